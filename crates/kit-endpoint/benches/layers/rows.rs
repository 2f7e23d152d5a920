//! The rows: which subjects are put where, how they are called, and what each must keep.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use kit_base::{Endpoint, Guard, Tower};
use kit_endpoint::{BoxEndpoint, EndpointExt, Error, Layer, Response};
use tower::util::{BoxCloneSyncService, Oneshot, ServiceExt};
use tower::{Service, service_fn};

use crate::harness::{Bound, Row};
use crate::subjects::{
    Answer, AsyncLayer, BoxedLayer, FlatLayer, Leaf, Message, TallyGate, TimeGate, WaitingLeaf, leaf,
};

const FREE: Bound = Bound { allocations: None, layer: None, once: None, over: None };
const ALLOCATIONS_0: Bound = Bound { allocations: Some(0), ..FREE };
const ALLOCATIONS_1: Bound = Bound { allocations: Some(1), ..FREE };
const GATES: Bound = Bound { allocations: Some(0), layer: Some(30), once: Some(100), over: None };
/// One count up and down, and not a second one.
const ONE_BUMP: Bound = Bound { allocations: Some(0), over: Some(4), ..FREE };

const BARE: &str = "endpoint: bare";
const BARE_WAITS: &str = "endpoint that waits once: bare";
const SERVICE: &str = "tower: bare";
const ARC: &str = "clone and drop: Arc";

/// Every row, at every size of message.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Rows(Vec::new());
    rows.of_size::<8>();
    rows.of_size::<64>();
    rows.of_size::<160>();
    rows.of_size::<1024>();
    rows.clones();
    rows.0
}

struct Rows(Vec<Row>);

impl Rows {
    fn of_size<const N: usize>(&mut self) {
        self.endpoints::<N, _>(
            BARE,
            Leaf,
            ["endpoint: gates, nested", "endpoint: gates, one tuple", "endpoint: async fn"],
        );
        self.endpoints::<N, _>(
            BARE_WAITS,
            WaitingLeaf,
            [
                "endpoint that waits once: gates, nested",
                "endpoint that waits once: gates, one tuple",
                "endpoint that waits once: async fn",
            ],
        );
        self.timed::<N>();
        self.boxed::<N>();
        self.services::<N>();
    }

    fn endpoints<const N: usize, L>(&mut self, bare: &'static str, leaf: L, titles: [&'static str; 3])
    where
        L: Endpoint<Message<N>, Response = Response<u64>, Error = Error> + Copy + 'static,
    {
        let [nested, tuple, asynchronous] = titles;
        self.endpoint::<N, _>(bare, 0, None, ALLOCATIONS_0, leaf);
        self.endpoint::<N, _>(nested, 5, Some(bare), GATES, five(gate).layer(leaf));
        self.endpoint::<N, _>(nested, 10, Some(bare), GATES, ten(gate).layer(leaf));
        self.endpoint::<N, _>(tuple, 5, Some(bare), GATES, Guard::new(five(TallyGate::<true>::default)).layer(leaf));
        self.endpoint::<N, _>(tuple, 10, Some(bare), GATES, Guard::new(ten(TallyGate::<true>::default)).layer(leaf));
        self.endpoint::<N, _>(asynchronous, 5, Some(bare), ALLOCATIONS_0, five(AsyncLayer::default).layer(leaf));
        self.endpoint::<N, _>(asynchronous, 10, Some(bare), ALLOCATIONS_0, ten(AsyncLayer::default).layer(leaf));
    }

    fn timed<const N: usize>(&mut self) {
        let nested = five(|| Guard::new(TimeGate::default())).layer(Leaf);
        self.endpoint::<N, _>("endpoint: timed gates, nested", 5, Some(BARE), ALLOCATIONS_0, nested);
        let tuple = Guard::new(five(TimeGate::default)).layer(Leaf);
        self.endpoint::<N, _>("endpoint: timed gates, one tuple", 5, Some(BARE), ALLOCATIONS_0, tuple);
    }

    fn boxed<const N: usize>(&mut self) {
        let title = "endpoint: boxed, gates in one tuple";
        self.endpoint::<N, _>("endpoint: boxed", 0, Some(BARE), ALLOCATIONS_1, erased::<N>(Leaf));
        let gates = Guard::new(five(TallyGate::<true>::default)).layer(Leaf);
        self.endpoint::<N, _>(title, 5, Some(BARE), ALLOCATIONS_1, erased::<N>(gates));
        let gates = Guard::new(ten(TallyGate::<true>::default)).layer(Leaf);
        self.endpoint::<N, _>(title, 10, Some(BARE), ALLOCATIONS_1, erased::<N>(gates));
    }

    fn services<const N: usize>(&mut self) {
        let leaf = service_fn(leaf::<N>);
        self.service::<N, _>(SERVICE, 0, None, ALLOCATIONS_0, leaf);
        self.service::<N, _>("tower: Tower, no layer", 0, Some(SERVICE), ALLOCATIONS_1, Tower::new(()).layer(leaf));

        let title = "tower: Tower, gates, nested";
        self.service::<N, _>(title, 5, Some(SERVICE), ALLOCATIONS_1, Tower::new(five(gate)).layer(leaf));
        self.service::<N, _>(title, 10, Some(SERVICE), ALLOCATIONS_1, Tower::new(ten(gate)).layer(leaf));
        let title = "tower: Tower, gates, one tuple";
        let gates = Tower::new(Guard::new(five(TallyGate::<true>::default)));
        self.service::<N, _>(title, 5, Some(SERVICE), ALLOCATIONS_1, gates.layer(leaf));
        let gates = Tower::new(Guard::new(ten(TallyGate::<true>::default)));
        self.service::<N, _>(title, 10, Some(SERVICE), ALLOCATIONS_1, gates.layer(leaf));
        let title = "tower: Tower, gates that never refuse, one tuple";
        let gates = Tower::new(Guard::new(five(TallyGate::<false>::default)));
        self.service::<N, _>(title, 5, Some(SERVICE), ALLOCATIONS_1, gates.layer(leaf));
        let gates = Tower::new(Guard::new(ten(TallyGate::<false>::default)));
        self.service::<N, _>(title, 10, Some(SERVICE), ALLOCATIONS_1, gates.layer(leaf));
        let title = "tower: Tower, async fn";
        let layers = Tower::new(five(AsyncLayer::default));
        self.service::<N, _>(title, 5, Some(SERVICE), ALLOCATIONS_1, layers.layer(leaf));
        let layers = Tower::new(ten(AsyncLayer::default));
        self.service::<N, _>(title, 10, Some(SERVICE), ALLOCATIONS_1, layers.layer(leaf));

        let title = "tower: by hand, flat futures";
        self.service::<N, _>(title, 5, Some(SERVICE), FREE, five(FlatLayer::default).layer(leaf));
        self.service::<N, _>(title, 10, Some(SERVICE), FREE, ten(FlatLayer::default).layer(leaf));
        let title = "tower: by hand, flat futures, clone and oneshot";
        self.oneshot::<N, _>(title, 5, five(FlatLayer::default).layer(leaf));
        self.oneshot::<N, _>(title, 10, ten(FlatLayer::default).layer(leaf));
        let title = "tower: by hand, boxed futures";
        self.service::<N, _>(title, 5, Some(SERVICE), FREE, five(BoxedLayer::default).layer(leaf));
        self.service::<N, _>(title, 10, Some(SERVICE), FREE, ten(BoxedLayer::default).layer(leaf));
        let title = "tower: by hand, boxed futures, clone and oneshot";
        self.oneshot::<N, _>(title, 5, five(BoxedLayer::default).layer(leaf));
        self.oneshot::<N, _>(title, 10, ten(BoxedLayer::default).layer(leaf));

        let title = "tower: BoxCloneSyncService, by hand, flat futures";
        self.service::<N, _>("tower: BoxCloneSyncService", 0, Some(SERVICE), FREE, BoxCloneSyncService::new(leaf));
        let service = BoxCloneSyncService::new(five(FlatLayer::default).layer(leaf));
        self.service::<N, _>(title, 5, Some(SERVICE), FREE, service);
        let service = BoxCloneSyncService::new(ten(FlatLayer::default).layer(leaf));
        self.service::<N, _>(title, 10, Some(SERVICE), FREE, service.clone());
        self.oneshot::<N, _>("tower: BoxCloneSyncService, clone and oneshot", 10, service);
    }

    fn clones(&mut self) {
        self.clone_of(ARC, 0, None, ALLOCATIONS_0, Arc::new(0_u64));
        let gates = Guard::new(ten(TallyGate::<true>::default)).layer(Leaf);
        self.clone_of("clone and drop: BoxEndpoint", 10, Some(ARC), ONE_BUMP, erased::<8>(gates));
        let service = BoxCloneSyncService::new(ten(FlatLayer::default).layer(service_fn(leaf::<8>)));
        self.clone_of("clone and drop: BoxCloneSyncService", 10, Some(ARC), FREE, service);
    }

    fn endpoint<const N: usize, E>(
        &mut self,
        title: &'static str,
        layers: usize,
        over: Option<&'static str>,
        bound: Bound,
        endpoint: E,
    ) where
        E: Endpoint<Message<N>, Response = Response<u64>, Error = Error> + 'static,
    {
        let run = Box::new(move |calls| {
            for _ in 0..calls {
                black_box(poll(pin!(call(&endpoint, Message::new(black_box([7; N]))))).is_ok());
            }
        });
        self.0.push(Row { title, layers, bytes: N, over, bound, run });
    }

    fn service<const N: usize, S>(
        &mut self,
        title: &'static str,
        layers: usize,
        over: Option<&'static str>,
        bound: Bound,
        mut service: S,
    ) where
        S: Service<Message<N>, Response = Response<u64>, Error = Error> + 'static,
    {
        let run = Box::new(move |calls| {
            for _ in 0..calls {
                let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(ready, Poll::Ready(Ok(()))));
                black_box(poll(pin!(call_service(&mut service, Message::new(black_box([7; N]))))).is_ok());
            }
        });
        self.0.push(Row { title, layers, bytes: N, over, bound, run });
    }

    /// As services are called that are shared: cloned for each call.
    fn oneshot<const N: usize, S>(&mut self, title: &'static str, layers: usize, service: S)
    where
        S: Service<Message<N>, Response = Response<u64>, Error = Error> + Clone + 'static,
    {
        let run = Box::new(move |calls| {
            for _ in 0..calls {
                black_box(poll(pin!(clone_and_oneshot(&service, Message::new(black_box([7; N]))))).is_ok());
            }
        });
        self.0.push(Row { title, layers, bytes: N, over: Some(SERVICE), bound: FREE, run });
    }

    fn clone_of<T: Clone + 'static>(
        &mut self,
        title: &'static str,
        layers: usize,
        over: Option<&'static str>,
        bound: Bound,
        value: T,
    ) {
        let run = Box::new(move |times| {
            for _ in 0..times {
                drop(black_box(value.clone()));
            }
        });
        self.0.push(Row { title, layers, bytes: 8, over, bound, run });
    }
}

fn gate() -> Guard<TallyGate<true>> {
    Guard::new(TallyGate::default())
}

fn erased<const N: usize>(
    endpoint: impl Endpoint<Message<N>, Response = Response<u64>, Error = Error> + 'static,
) -> BoxEndpoint<Message<N>, Response<u64>, Error> {
    endpoint.boxed()
}

/// Five of them: a tuple of layers is a layer, and a tuple of gates is a gate.
fn five<T>(make: impl Fn() -> T) -> (T, T, T, T, T) {
    (make(), make(), make(), make(), make())
}

type Five<T> = (T, T, T, T, T);

fn ten<T>(make: impl Fn() -> T) -> (Five<T>, Five<T>) {
    (five(&make), five(&make))
}

// Futures are made behind a call that is not inlined, as they are where a router, a box or another crate calls: the
// request arrives in memory, and each form moves it from there into its future.

#[inline(never)]
fn call<E: Endpoint<Req>, Req>(endpoint: &E, req: Req) -> impl Future<Output = Result<E::Response, E::Error>> {
    endpoint.call(req)
}

#[inline(never)]
fn call_service<S: Service<Req>, Req>(service: &mut S, req: Req) -> S::Future {
    service.call(req)
}

#[inline(never)]
fn clone_and_oneshot<S: Service<Req> + Clone, Req>(service: &S, req: Req) -> Oneshot<S, Req> {
    service.clone().oneshot(req)
}

/// Polls a future until it is ready, through a vtable and at a place of which the optimiser knows nothing: as a runtime
/// polls a task.
#[inline(never)]
fn poll(mut future: Pin<&mut dyn Future<Output = Answer>>) -> Answer {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = black_box(future.as_mut()).poll(&mut cx) {
            return answer;
        }
    }
}
