//! A whole service through one balancer, by hand-written clients that know no transport.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use kit_base::{
    Bidi, ClientStream, Connect, Endpoint, Error, Instance, Operation, Request, Response, ServerStream, Shape,
    Streaming, Unary,
};
use kit_lb::{Endpointer, Fixed, Registry, RoundRobin};

use crate::support::{Alive, settled};

/// A client of one instance, and how many endpoints it has made.
#[derive(Clone)]
pub(crate) struct Client {
    id: String,
    made: Arc<AtomicUsize>,
}

pub(crate) struct Called {
    id: String,
    operation: Operation,
}

impl<S: Shape> Connect<S, (), String> for Client {
    type Endpoint = Called;

    fn connect(&self, operation: Operation) -> Called {
        self.made.fetch_add(1, SeqCst);
        Called { id: self.id.clone(), operation }
    }
}

impl<S: Shape> Endpoint<Request<(), S>> for Called {
    type Response = Response<String>;
    type Error = Error;

    async fn call(&self, _: Request<(), S>) -> Result<Response<String>, Error> {
        Ok(Response::new(format!("{} {}", self.id, self.operation.method())))
    }
}

pub(crate) fn clients() -> (Endpointer<Client>, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let factory = {
        let made = made.clone();
        move |instance: &Instance| Ok::<_, std::io::Error>(Client { id: instance.id.clone(), made: made.clone() })
    };
    (Endpointer::new(Fixed::at(["a", "b"]), factory), made)
}

#[tokio::test]
async fn the_methods_share_connections_and_records_and_each_makes_its_endpoint_once_an_instance() {
    let (set, made) = clients();
    let balancer = set.balanced_by(RoundRobin::new());
    // More than one node of the list holds.
    let methods: Vec<_> = (0..20)
        .map(|n| Connect::<Unary, (), String>::connect(&balancer, Operation::new("svc".to_owned(), format!("m{n}"))))
        .collect();
    assert_eq!(made.load(SeqCst), 0, "nothing before the first call");
    for _ in 0..3 {
        for (n, method) in methods.iter().enumerate() {
            for id in ["a", "b"] {
                let answer = method.call(Request::new(())).await.unwrap().into_message();
                assert_eq!(answer, format!("{id} m{n}"));
            }
        }
    }
    assert_eq!(made.load(SeqCst), 40);
    assert_eq!(set.snapshot().members.iter().map(|member| member.calls).collect::<Vec<_>>(), [60, 60]);

    // Asked for again, they are the same.
    let again = Connect::<Unary, (), String>::connect(&set.balancer(), Operation::new("svc", "m7"));
    again.call(Request::new(())).await.unwrap();
    assert_eq!(made.load(SeqCst), 40);
}

/// Counts what is open.
struct Streams;

impl<Req: Send> Connect<ServerStream, Req, Streaming<u8>> for Streams
where
    Streams: Endpoint<Request<Req, ServerStream>, Response = Response<Streaming<u8>>, Error = Error>,
{
    type Endpoint = Streams;

    fn connect(&self, _: Operation) -> Streams {
        Streams
    }
}

impl<Req: Send + 'static, S: Shape> Endpoint<Request<Req, S>> for Streams {
    type Response = Response<Streaming<u8>>;
    type Error = Error;

    async fn call(&self, _: Request<Req, S>) -> Result<Self::Response, Error> {
        Ok(Response::new(Streaming::new(three_items())))
    }
}

impl Connect<Bidi, Streaming<u8>, Streaming<u8>> for Streams {
    type Endpoint = Streams;

    fn connect(&self, _: Operation) -> Streams {
        Streams
    }
}

pub(crate) fn three_items() -> impl futures_core::Stream<Item = Result<u8, Error>> + Send + 'static {
    let mut left = 3;
    Items(move || {
        left -= 1;
        (left >= 0).then_some(Ok(1))
    })
}

struct Items<F>(F);

impl<F: FnMut() -> Option<Result<u8, Error>> + Unpin> futures_core::Stream for Items<F> {
    type Item = Result<u8, Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready((self.0)())
    }
}

#[tokio::test]
async fn a_stream_is_a_call_in_flight_until_it_is_read_to_its_end_or_dropped() {
    let set = Endpointer::new(Fixed::at(["a"]), |_: &Instance| Ok::<_, std::io::Error>(Streams));
    let in_flight = || set.snapshot().members[0].in_flight;
    let method = Connect::<ServerStream, (), Streaming<u8>>::connect(&set.balancer(), Operation::new("svc", "m"));
    let mut stream = method.call(Request::from_parts(kit_base::Context::new(), ())).await.unwrap().into_message();
    assert_eq!(in_flight(), 1);
    while let Some(item) = stream.message().await.unwrap() {
        assert_eq!((item, in_flight()), (1, 1));
    }
    assert_eq!(in_flight(), 0);
    let stream = method.call(Request::from_parts(kit_base::Context::new(), ())).await.unwrap();
    assert_eq!(in_flight(), 1);
    drop(stream);
    assert_eq!(in_flight(), 0);
}

/// A client that is counted while it lives.
struct Kept(#[expect(dead_code, reason = "its drop is seen")] Alive);

impl Connect<ServerStream, (), Streaming<u8>> for Kept {
    type Endpoint = Streams;

    fn connect(&self, _: Operation) -> Streams {
        Streams
    }
}

#[tokio::test]
async fn a_stream_goes_on_when_its_instance_and_its_set_are_gone_and_keeps_the_connection_to_its_end() {
    let (registry, alive) = (Registry::new(), Arc::new(AtomicUsize::new(0)));
    registry.insert(Instance::new("a", "a:1"));
    let count = alive.clone();
    let set = Endpointer::new(registry.clone(), move |_: &Instance| Ok::<_, std::io::Error>(Kept(Alive::new(&count))));
    let method = Connect::<ServerStream, (), Streaming<u8>>::connect(&set.balancer(), Operation::new("svc", "m"));
    let mut stream = method.call(Request::from_parts(kit_base::Context::new(), ())).await.unwrap().into_message();
    assert_eq!(stream.message().await.unwrap(), Some(1));
    registry.remove("a");
    settled().await;
    assert_eq!((set.snapshot().members.len(), alive.load(SeqCst)), (0, 1));
    drop((method, set));
    settled().await;
    assert_eq!(alive.load(SeqCst), 1);
    assert_eq!([stream.message().await.unwrap(), stream.message().await.unwrap()], [Some(1); 2]);
    assert_eq!(stream.message().await.unwrap(), None);
    assert_eq!(alive.load(SeqCst), 0, "the stream itself is still there");
}

#[tokio::test]
async fn streams_of_requests_go_through_too() {
    let set = Endpointer::new(Fixed::at(["a"]), |_: &Instance| Ok::<_, std::io::Error>(Streams));
    let method = Connect::<Bidi, Streaming<u8>, Streaming<u8>>::connect(&set.balancer(), Operation::new("svc", "m"));
    let requests = Streaming::new(three_items());
    let request = Request::<_, Bidi>::from_parts(kit_base::Context::new(), requests);
    let mut stream = method.call(request).await.unwrap().into_message();
    assert_eq!(stream.message().await.unwrap(), Some(1));

    let (set, _) = clients();
    let method = Connect::<ClientStream, (), String>::connect(&set.balancer(), Operation::new("svc", "m"));
    let request = Request::<_, ClientStream>::from_parts(kit_base::Context::new(), ());
    method.call(request).await.unwrap();
}
