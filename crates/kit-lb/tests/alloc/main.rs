//! What a pick and a balanced call allocate, gated or not: nothing, and one box on the tower face. A program without a test harness, whose
//! threads would be counted too.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, and this is a test program")]

use std::convert::Infallible;

use kit_base::{End, Endpoint, Error, Gate, Instance, IntoService, Now, Request, Response};
use kit_lb::{Choice, Endpointer, Fixed, LeastLoaded, PerInstance, Random, RoundRobin, Weighted};
use kit_testing::alloc::{self, CountingAllocator};
use tower::{Layer, Service};

#[global_allocator]
static ALLOCATOR: CountingAllocator = alloc::counting();

struct Echo;

impl Endpoint<Request<u64>> for Echo {
    type Response = Response<u64>;
    type Error = Error;

    async fn call(&self, request: Request<u64>) -> Result<Response<u64>, Error> {
        Ok(Response::new(request.into_message()))
    }
}

/// A gate that remembers something.
struct Admits;

impl<Req, Res, Err> Gate<Req, Res, Err> for Admits {
    type Permit = u64;

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<u64, Error> {
        Ok(7)
    }

    fn finish(&self, permit: u64, _: &End<'_>) {
        assert_eq!(permit, 7);
    }
}

fn count<C>(set: &Endpointer<C>, choice: impl Choice)
where
    C: Endpoint<Request<u64>, Response = Response<u64>, Error = Error> + 'static,
{
    let balancer = set.balanced_by(choice);
    // What a thread makes at its first pick.
    drop(balancer.pick().unwrap());
    let picks = alloc::count(|| (0..1_000).for_each(|_| drop(balancer.pick().unwrap())));
    assert_eq!(picks.allocations, 0, "picks: {picks}");
    let (answer, call) = alloc::count_ready(|| balancer.call(Request::new(7)));
    assert_eq!((answer.unwrap().into_message(), call.allocations), (7, 0), "a call: {call}");
    let mut service = IntoService::new(balancer);
    let (answer, call) = alloc::count_ready(|| service.call(Request::new(7)));
    assert_eq!((answer.unwrap().into_message(), call.allocations), (7, 1), "a call on the tower face: {call}");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    for weight in [|_| 1, |number| 1 << (number % 3)] as [fn(u32) -> u32; 2] {
        let instances = (0..200).map(|number| {
            let mut instance = Instance::new(number.to_string(), "x:1");
            instance.weight = weight(number);
            instance
        });
        let set = Endpointer::new(Fixed::new(instances), |_| Ok::<_, Infallible>(Echo));
        count(&set, RoundRobin::new());
        count(&set, Random);
        count(&set, Weighted);
        count(&set, LeastLoaded);
    }
    let gated = |_: &Instance| Ok::<_, Infallible>(PerInstance::new(Admits).layer(Echo));
    count(&Endpointer::new(Fixed::at(["a", "b"]), gated), LeastLoaded);
}
