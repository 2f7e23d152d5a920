//! smoke
use kit_base::*;
use kit_testing::laws::*;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tower::limit::*;

struct AtMost(usize, AtomicUsize);
impl<Req, Res, Err> Gate<Req, Res, Err> for AtMost {
    type Permit = ();
    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        let room = |n| (n < self.0).then_some(n + 1);
        self.1
            .fetch_update(AcqRel, Acquire, room)
            .map(|_| ())
            .map_err(|n| Error::resource_exhausted(format!("{n} calls are running")))
    }
    fn finish(&self, _: (), _: &End<'_>) {
        self.1.fetch_sub(1, AcqRel);
    }
}

fn timed(name: &str, laws: Laws) {
    let t = Instant::now();
    let r = laws.report();
    println!("== {name}: {:?} {} runs\n{r}", t.elapsed(), r.runs());
}

#[test]
fn smoke() {
    let gate = || Guard::new(AtMost(3, AtomicUsize::new(0)));
    timed("gate endpoint", Laws::endpoint(move |_| gate()).refusing().at_most(3));
    timed("gate stream", Laws::stream(move |_| gate()).refusing().at_most(3).holds_bodies());
    timed("gate service", Laws::service(move |_| Tower::new(gate())).refusing().at_most(3));
    timed(
        "gate http",
        Laws::http_service::<InnerBody0, _, _, _>(move |_| Tower::new(gate()).answered())
            .refusing()
            .at_most(3)
            .holds_bodies(),
    );
    timed(
        "gate grpc",
        Laws::grpc_service::<InnerBody0, _, _, _>(move |_| Tower::new(gate()).answered())
            .refusing()
            .at_most(3)
            .holds_bodies(),
    );
    timed("concurrency", Laws::service(|_| ConcurrencyLimitLayer::new(3)).waiting().at_most(3).state_per_service());
    timed("concurrency global", Laws::service(|_| GlobalConcurrencyLimitLayer::new(3)).waiting().at_most(3));
    timed("concurrency not shared", Laws::service(|_| ConcurrencyLimitLayer::new(3)).waiting().at_most(3));
    timed(
        "rate",
        Laws::lone_service(|_| RateLimitLayer::new(3, Duration::from_secs(1)))
            .waiting()
            .quota(3, Duration::from_secs(1))
            .state_per_service(),
    );
    timed("shed", Laws::service(|_| tower::load_shed::LoadShedLayer::new()).refusing().sheds().wraps_errors());
    timed(
        "timeout",
        Laws::service(|_| tower::timeout::TimeoutLayer::new(Duration::from_secs(1)))
            .pass_through()
            .gives_up_after(Duration::from_secs(1))
            .wraps_errors(),
    );
    timed(
        "timeout unsaid",
        Laws::service(|_| tower::timeout::TimeoutLayer::new(Duration::from_secs(1)))
            .pass_through()
            .gives_up_after(Duration::from_secs(1)),
    );
    timed("buffer", Laws::service(|_| tower::buffer::BufferLayer::new(10)).waiting().wraps_errors());
    timed("identity", Laws::service(|_| tower_layer::Identity::new()).pass_through());
}
type InnerBody0 = String;
