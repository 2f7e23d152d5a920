//! The rows: each subject at each number of instances, and what it must keep.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use kit_base::{Connect, Endpoint, Error, Guard, Instance, IntoService, Operation, Request, Response};
use kit_lb::{Balancer, Choice, Endpointer, Fixed, LeastLoaded, PerInstance, Random, RoundRobin, Weighted};
use tokio::runtime::Runtime;
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};
use tower::{Layer, Service, ServiceExt};

use crate::harness::{Bound, Row};
use crate::subjects::{ByHand, Idle, Leaf};

/// How many instances there are.
pub(crate) const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

const fn at_most(instructions: u64) -> Option<Bound> {
    Some(Bound { allocations: 0, instructions })
}

/// Every row, at these numbers of instances.
pub(crate) fn all(sizes: &[usize]) -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut rows = Rows { rows: Vec::new(), runtime: Rc::new(runtime) };
    rows.gated();
    for &instances in sizes {
        rows.by_hand(instances);
        rows.kit(instances);
        rows.tower(instances);
    }
    rows.rows
}

struct Rows {
    rows: Vec<Row>,
    runtime: Rc<Runtime>,
}

impl Rows {
    fn row(&mut self, title: &'static str, instances: usize, bound: Option<Bound>, mut once: impl FnMut() + 'static) {
        let run = Box::new(move |times| (0..times).for_each(|_| once()));
        self.rows.push(Row { title, instances, bound, run });
    }

    /// What stands around the connection to one instance.
    fn gated(&mut self) {
        self.calls("one instance: call behind a `Guard`", 1, None, Guard::new(Idle).layer(Leaf));
        self.calls("kit: call behind `PerInstance`", 1, at_most(250), PerInstance::new(Idle).layer(Leaf));
    }

    fn by_hand(&mut self, instances: usize) {
        let by_hand = Rc::new(ByHand::new(instances));
        let list = Rc::clone(&by_hand);
        self.row("by hand: pick, round robin", instances, None, move || drop(black_box(list.round_robin())));
        let list = Rc::clone(&by_hand);
        self.row("by hand: pick, p2c", instances, None, move || drop(black_box(list.less_loaded())));
        self.row("by hand: call, p2c", instances, None, move || {
            let pending = by_hand.less_loaded().expect("there are some");
            drop(answer(pin!(call(&pending.0.leaf, request()))));
        });
    }

    fn kit(&mut self, instances: usize) {
        let runtime = Rc::clone(&self.runtime);
        let _entered = runtime.enter();
        let set = |weight: fn(usize) -> u32| {
            let instance = |number| {
                let mut instance = Instance::new(format!("addsvc-{number:05}"), "10.0.0.7:8081");
                instance.weight = weight(number);
                instance
            };
            Endpointer::new(Fixed::new((0..instances).map(instance)), Leaf::factory)
        };
        let (equal, weighted) = (set(|_| 1), set(|number| 1 << (number % 3)));
        self.picks("kit: pick, round robin", instances, at_most(90), equal.balanced_by(RoundRobin::new()));
        self.picks("kit: pick, random", instances, at_most(95), equal.balanced_by(Random));
        self.picks("kit: pick, weighted, all equal", instances, at_most(120), equal.balanced_by(Weighted));
        self.picks("kit: pick, weighted, 1:2:4", instances, at_most(145), weighted.balanced_by(Weighted));
        self.picks("kit: pick, least loaded", instances, at_most(130), equal.balanced_by(LeastLoaded));
        self.picks("kit: pick, least loaded, 1:2:4", instances, at_most(250), weighted.balanced_by(LeastLoaded));

        self.calls("the endpoint alone: call", instances, None, Leaf);
        self.calls("kit: call, round robin", instances, at_most(360), equal.balanced_by(RoundRobin::new()));
        self.calls("kit: call, least loaded", instances, at_most(400), equal.balancer());
        self.calls("kit: call, least loaded, 1:2:4", instances, at_most(500), weighted.balancer());
        let sum = || Operation::new("addsvc", "sum");
        // The first call of a method at an instance makes its endpoint.
        let first = equal.balanced_by(RoundRobin::new()).connect(sum());
        (0..instances).for_each(|_| drop(answer(pin!(call(&first, request())))));
        let method = equal.balancer().connect(sum());
        self.calls("kit: call of a method, least loaded", instances, at_most(440), method);
        let mut service = IntoService::new(equal.balancer());
        let bound = Some(Bound { allocations: 1, instructions: 680 });
        let title = "kit: call, least loaded, tower face";
        self.row(title, instances, bound, move || drop(answer(pin!(service.call(request())))));
    }

    fn picks(&mut self, title: &'static str, size: usize, bound: Option<Bound>, by: Balancer<Leaf, impl Choice>) {
        self.row(title, size, bound, move || drop(black_box(by.pick())));
    }

    fn calls<E>(&mut self, title: &'static str, instances: usize, bound: Option<Bound>, endpoint: E)
    where
        E: Endpoint<Request<u64>, Response = Response<u64>, Error = Error> + 'static,
    {
        self.row(title, instances, bound, move || drop(answer(pin!(call(&endpoint, request())))));
    }

    fn tower(&mut self, instances: usize) {
        let balance = || {
            let leaf = |_| PendingRequests::new(Leaf, CompleteOnResponse::default());
            Balance::new(ServiceList::new::<Request<u64>>((0..instances).map(leaf).collect::<Vec<_>>()))
        };
        let mut bare = balance();
        self.row("tower: call, p2c with pending requests, `&mut`", instances, None, move || {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(matches!(black_box(&mut bare).poll_ready(&mut cx), Poll::Ready(Ok(()))));
            drop(answer(pin!(bare.call(request()))));
        });
        let runtime = Rc::clone(&self.runtime);
        let _entered = runtime.enter();
        let shared = Buffer::new(balance(), 1_024);
        let runtime = Rc::clone(&self.runtime);
        let run = Box::new(move |times| {
            runtime.block_on(async {
                for _ in 0..times {
                    drop(black_box(shared.clone().oneshot(request()).await));
                }
            });
        });
        self.rows.push(Row { title: "tower: call, the same behind a buffer", instances, bound: None, run });
    }
}

fn request() -> Request<u64> {
    Request::new(black_box(7))
}

// Made behind a call that is not inlined, as where a router, a box or another crate calls.
#[inline(never)]
fn call<E: Endpoint<Req>, Req>(endpoint: &E, request: Req) -> impl Future<Output = Result<E::Response, E::Error>> {
    endpoint.call(request)
}

/// Polls a future until it is ready, through a vtable and at a place of which the optimiser knows nothing: as a runtime
/// polls a task.
#[inline(never)]
fn answer<T>(mut future: Pin<&mut dyn Future<Output = T>>) -> T {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = black_box(future.as_mut()).poll(&mut cx) {
            return answer;
        }
    }
}
