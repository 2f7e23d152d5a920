//! A gate around each connection: what it refuses goes to another instance, and is told only where all refuse.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit_base::{
    Cause, Connect, Context, End, Endpoint, Error, Gate, Instance, Kind, Now, Operation, Origin, Request, Response,
    RetryHint, ServerStream, Shape, Streaming, Unary, Verdict,
};
use kit_lb::{Endpointer, Fixed, PerInstance, RoundRobin};
use kit_testing::laws::{Inner, Laws};
use tower_layer::{Layer, layer_fn};

use crate::whole::three_items;

type Ids = Arc<Mutex<BTreeSet<&'static str>>>;

/// What the instances do, and what their gates saw.
#[derive(Clone, Default)]
struct World {
    /// The gates that refuse.
    open: Ids,
    hint: Option<RetryHint>,
    kind: Option<Kind>,
    reached: Arc<AtomicU32>,
    ends: Arc<Mutex<Vec<(String, Verdict, Cause)>>>,
}

impl World {
    fn open(ids: &[&'static str]) -> Self {
        Self { open: Arc::new(Mutex::new(ids.iter().copied().collect())), ..Self::default() }
    }

    fn at(&self, instance: &Instance) -> Result<kit_lb::Gated<Node, Refuses>, Infallible> {
        let gate = PerInstance::new(Refuses { id: instance.id.clone(), world: self.clone() });
        Ok(gate.layer(Node { id: instance.id.clone(), reached: self.reached.clone() }))
    }

    fn ends(&self) -> Vec<(String, Verdict, Cause)> {
        self.ends.lock().unwrap().clone()
    }
}

struct Refuses {
    id: String,
    world: World,
}

impl<Req, Res, Err> Gate<Req, Res, Err> for Refuses {
    type Permit = u8;

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<u8, Error> {
        if !self.world.open.lock().expect("no panic").contains(&*self.id) {
            return Ok(7);
        }
        let refusal = Error::new(self.world.kind.unwrap_or(Kind::Unavailable), format!("{} refuses", self.id));
        Err(refusal.with_retry_hint(self.world.hint.unwrap_or_default()))
    }

    fn finish(&self, permit: u8, end: &End<'_>) {
        assert_eq!(permit, 7);
        self.world.ends.lock().expect("no panic").push((self.id.clone(), end.judgement.verdict, end.cause));
    }
}

struct Node {
    id: String,
    reached: Arc<AtomicU32>,
}

/// Not to be cloned.
struct Message(u32);

impl Endpoint<Request<Message>> for Node {
    type Response = Response<(String, u32)>;
    type Error = Error;

    async fn call(&self, request: Request<Message>) -> Result<Self::Response, Error> {
        self.reached.fetch_add(1, SeqCst);
        match request.into_message().0 {
            404 => Err(Error::not_found("no such thing")),
            408 => std::future::pending().await,
            n => Ok(Response::new((self.id.clone(), n))),
        }
    }
}

fn set(world: &World) -> Endpointer<kit_lb::Gated<Node, Refuses>> {
    let world = world.clone();
    Endpointer::new(Fixed::at(["a", "b", "c"]), move |instance: &Instance| world.at(instance))
}

#[tokio::test(start_paused = true)]
async fn a_call_that_one_instance_refuses_goes_to_another_and_none_is_lost() {
    for hint in [RetryHint::None, RetryHint::After(Duration::from_millis(100))] {
        let world = World { hint: Some(hint), ..World::open(&["a", "b"]) };
        let balancer = set(&world).balanced_by(RoundRobin::new());
        for n in 0..100 {
            let (id, message) = balancer.call(Request::new(Message(n))).await.unwrap().into_message();
            assert_eq!((&*id, message), ("c", n));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(world.reached.load(SeqCst), 100);
        world.open.lock().unwrap().clear();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut ids = BTreeSet::new();
        for n in 0..9 {
            ids.insert(balancer.call(Request::new(Message(n))).await.unwrap().into_message().0);
        }
        assert_eq!(ids.len(), 3, "{ids:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_refuse_the_refusal_is_told_as_it_is() {
    let after = Duration::from_secs(7);
    let world = World { hint: Some(RetryHint::After(after)), ..World::open(&["a", "b", "c"]) };
    for _ in 0..10 {
        let error = set(&world).balancer().call(Request::new(Message(1))).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::LocalRefusal));
        assert_eq!(error.retry_after(), Some(after));
    }
    assert_eq!(world.reached.load(SeqCst), 0);
}

/// Another instance would not know better who may call.
#[tokio::test(start_paused = true)]
async fn only_what_is_about_the_instance_is_taken_elsewhere() {
    for (kind, goes_on) in [
        (Kind::Unavailable, true),
        (Kind::ResourceExhausted, true),
        (Kind::PermissionDenied, false),
        (Kind::InvalidArgument, false),
    ] {
        let world = World { kind: Some(kind), ..World::open(&["a"]) };
        let outcome = set(&world).balanced_by(RoundRobin::new()).call(Request::new(Message(1))).await;
        assert_eq!(outcome.is_ok(), goes_on, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_permit_is_finished_once_whatever_becomes_of_the_call() {
    let world = World::default();
    let balancer = set(&world).balanced_by(RoundRobin::new());
    balancer.call(Request::new(Message(1))).await.unwrap();
    assert_eq!(balancer.call(Request::new(Message(404))).await.unwrap_err().kind(), Kind::NotFound);
    let left = tokio::time::timeout(Duration::from_millis(1), balancer.call(Request::new(Message(408)))).await;
    assert!(left.is_err());
    drop(balancer.call(Request::new(Message(1))));
    let ends = world.ends();
    let ends: Vec<_> = ends.iter().map(|(id, verdict, cause)| (&**id, *verdict, *cause)).collect();
    let wanted = [
        ("a", Verdict::Success, Cause::Answered),
        ("b", Verdict::Caller, Cause::Answered),
        ("c", Verdict::Caller, Cause::Left),
    ];
    assert_eq!(ends, wanted);
}

/// A client, of methods of every shape that answers at once, and of one that streams.
struct Client(Node);

impl<S: Shape> Connect<S, Message, (String, u32)> for Client {
    type Endpoint = Method;

    fn connect(&self, operation: Operation) -> Method {
        Method { id: format!("{} {}", self.0.id, operation.method()) }
    }
}

struct Method {
    id: String,
}

impl<S: Shape> Endpoint<Request<Message, S>> for Method {
    type Response = Response<(String, u32)>;
    type Error = Error;

    async fn call(&self, request: Request<Message, S>) -> Result<Self::Response, Error> {
        Ok(Response::new((self.id.clone(), request.into_message().0)))
    }
}

struct Streams;

impl Connect<ServerStream, Message, Streaming<u8>> for Streams {
    type Endpoint = Streams;

    fn connect(&self, _: Operation) -> Streams {
        Streams
    }
}

impl Endpoint<Request<Message, ServerStream>> for Streams {
    type Response = Response<Streaming<u8>>;
    type Error = Error;

    async fn call(&self, _: Request<Message, ServerStream>) -> Result<Self::Response, Error> {
        Ok(Response::new(Streaming::new(three_items())))
    }
}

#[tokio::test(start_paused = true)]
async fn all_methods_of_a_client_share_the_gate_of_their_instance() {
    let world = World::open(&["a"]);
    let factory = {
        let world = world.clone();
        move |instance: &Instance| {
            let gate = PerInstance::new(Refuses { id: instance.id.clone(), world: world.clone() });
            Ok::<_, Infallible>(gate.layer(Client(Node { id: instance.id.clone(), reached: Arc::default() })))
        }
    };
    let set = Endpointer::new(Fixed::at(["a", "b"]), factory);
    let balancer = set.balanced_by(RoundRobin::new());
    let connect = |name: &'static str| Connect::<Unary, _, _>::connect(&balancer, Operation::new("svc", name));
    for (method, name) in [(connect("one"), "b one"), (connect("two"), "b two")] {
        for n in 0..4 {
            assert_eq!(method.call(Request::new(Message(n))).await.unwrap().into_message(), (name.to_owned(), n));
        }
    }
    assert_eq!(world.ends().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_stream_keeps_its_permit_until_it_has_been_read() {
    let world = World::default();
    let gate = PerInstance::new(Refuses { id: "a".to_owned(), world: world.clone() });
    let method = Connect::<ServerStream, Message, Streaming<u8>>::connect(&gate.layer(Streams), Operation::UNMATCHED);
    let call = || method.call(Request::<_, ServerStream>::from_parts(Context::new(), Message(1)));
    let mut stream = call().await.unwrap().into_message();
    while stream.message().await.unwrap().is_some() {
        assert!(world.ends().is_empty());
    }
    assert_eq!(world.ends(), [("a".to_owned(), Verdict::Success, Cause::Answered)]);
    drop(call().await.unwrap());
    assert_eq!(world.ends().len(), 2);
}

#[test]
fn it_keeps_the_laws_of_middleware() {
    let gate = || PerInstance::new(Refuses { id: String::new(), world: World::default() });
    Laws::endpoint(move |_| {
        let gate = gate();
        layer_fn(move |inner: Inner| gate.layer(inner))
    })
    .pass_through()
    .check();
    Laws::stream(move |_| {
        let gate = gate();
        layer_fn(move |inner: Inner| gate.layer(inner))
    })
    .pass_through()
    .check();
}
