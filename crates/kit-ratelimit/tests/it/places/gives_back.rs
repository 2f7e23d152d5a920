//! Which calls that were let in get their tokens back: those that another gate of the same tuple has no room for, and no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use kit_base::{Clock, End, Endpoint, Error, Gate, Guard, Kind, Now, Origin, Request, Standard, Tower};
use kit_ratelimit::{Keyed, Layer, RateLimit};
use kit_testing::clock::ManualClock;
use kit_testing::http::Peer;
use tonic_health::pb::health_client::HealthClient;
use tower_layer::Stack;

use super::health::{behind, word};
use super::{Limit, five, routes, serve, until};
use crate::support::{Echo, quota};

/// Refuses everything as this kind: `Unavailable` as an open circuit does, `ResourceExhausted` as a full bulkhead,
/// `Unauthenticated` as a check of credentials.
#[derive(Clone, Copy, Debug)]
struct RefusesAs(Kind);

impl<Req, Res, Err> Gate<Req, Res, Err> for RefusesAs {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        Err(Error::new(self.0, "refused"))
    }

    fn finish(&self, (): (), _: &End<'_>) {}
}

/// A clock that goes on a little whenever it is read, as real ones do.
#[derive(Clone, Debug)]
struct Ticking(Instant, Arc<AtomicU64>);

impl Ticking {
    fn new() -> Self {
        Self(Instant::now(), Arc::default())
    }
}

impl Clock for Ticking {
    fn now(&self) -> Instant {
        self.0 + Duration::from_nanos(self.1.fetch_add(1, SeqCst))
    }
}

/// A method that fails so, and counts.
#[derive(Clone, Debug)]
struct Fails(fn() -> Error, Arc<AtomicUsize>);

impl Endpoint<Request<u32>> for Fails {
    type Response = u32;
    type Error = Error;

    async fn call(&self, _: Request<u32>) -> Result<u32, Error> {
        self.1.fetch_add(1, SeqCst);
        Err((self.0)())
    }
}

/// How many tokens of five are left after three calls.
async fn left_of(endpoint: &impl Endpoint<Request<u32>, Error = Error>, left: impl Fn() -> u32) -> u32 {
    assert_eq!(left(), 5);
    for _ in 0..3 {
        assert!(endpoint.call(Request::new(1)).await.is_err());
    }
    left()
}

fn left(limit: &RateLimit, clock: &impl Clock) -> u32 {
    limit.standing_at(clock.now()).remaining
}

#[tokio::test]
async fn what_another_gate_has_no_room_for_gets_its_tokens_back_and_what_it_refuses_for_its_content_does_not() {
    for kind in Kind::ALL {
        let no_room = matches!(kind, Kind::Unavailable | Kind::ResourceExhausted);
        let clock = Ticking::new();
        let guard = Guard::with((five(), RefusesAs(kind)), Standard, clock.clone());
        let left = left_of(&guard.layer(Echo::default()), || left(&guard.gate().0, &clock)).await;
        assert_eq!(left, if no_room { 5 } else { 2 }, "{kind}");
    }
}

#[tokio::test]
async fn so_does_each_key() {
    let keyed = || Keyed::by(quota(5, 5), |request: &Request<u32>| Some(*request.message()));
    for (kind, expected) in [(Kind::Unavailable, 5), (Kind::Unauthenticated, 2)] {
        let clock = Ticking::new();
        let guard = Guard::with((keyed(), RefusesAs(kind)), Standard, clock.clone());
        let left = || guard.gate().0.standing_at(&1, clock.now()).remaining;
        assert_eq!(left_of(&guard.layer(Echo::default()), left).await, expected, "{kind}");
    }
}

/// The circuit of a client that it uses is open, its bulkhead is full, and it passes that on. It has run for all that, and a
/// limit is there so that it does not run too often.
#[tokio::test]
async fn a_method_that_runs_into_a_refusal_of_its_own_has_run() {
    let errors: [fn() -> Error; 4] = [
        || Error::unavailable("the circuit of my backend is open").with_origin(Origin::LocalRefusal),
        || Error::resource_exhausted("the bulkhead of my backend is full").with_origin(Origin::LocalRefusal),
        || Error::unavailable("no connection to my backend").with_origin(Origin::NotSent),
        || Error::unavailable("I am down"),
    ];
    for error in errors {
        let (clock, method) = (Ticking::new(), Fails(error, Arc::default()));
        let guard = Guard::with(five(), Standard, clock.clone());
        let endpoint = guard.layer(method.clone());
        assert_eq!(left_of(&endpoint, || left(guard.gate(), &clock)).await, 2, "{}", error().message());
        for _ in 0..20 {
            let _ = endpoint.call(Request::new(1)).await;
        }
        assert_eq!(method.1.load(SeqCst), 5, "a limit of five stays five: {}", error().message());
    }
}

/// Only gates of one tuple are known to be nothing but gates.
#[tokio::test]
async fn what_a_layer_further_in_refuses_has_cost_its_token() {
    let clock = Ticking::new();
    let (outer, inner) = (Guard::with(five(), Standard, clock.clone()), Guard::new(RefusesAs(Kind::Unavailable)));
    let endpoint = outer.layer(inner.layer(Echo::default()));
    assert_eq!(left_of(&endpoint, || left(outer.gate(), &clock)).await, 2);
}

#[tokio::test]
async fn so_it_is_over_a_router_and_a_tonic_server() {
    for (kind, status, expected) in [(Kind::Unavailable, 503, 5), (Kind::Unauthenticated, 401, 2)] {
        let clock = Ticking::new();
        let guard = Guard::with((five(), RefusesAs(kind)), Standard, clock.clone());
        let addr = serve(routes().0.layer(Tower::new(guard.clone()).answered())).await;
        for _ in 0..3 {
            assert_eq!(reqwest::get(format!("http://{addr}/")).await.unwrap().status(), status);
        }
        assert_eq!(left(&guard.gate().0, &clock), expected);

        let clock = Ticking::new();
        let guard = Guard::with((five(), RefusesAs(kind)), Standard, clock.clone());
        let backend = behind!(Tower::new(guard.clone()).answered());
        for _ in 0..3 {
            HealthClient::new(backend.channel()).check(word("ok")).await.unwrap_err();
        }
        assert_eq!((left(&guard.gate().0, &clock), backend.reached()), (expected, 0));
    }
}

#[tokio::test]
async fn failures_of_the_service_itself_cost_their_tokens() {
    let limit = Limit::of(five());
    let answers = axum::Router::new()
        .route("/503", axum::routing::get(async || http::StatusCode::SERVICE_UNAVAILABLE))
        .route("/429", axum::routing::get(async || http::StatusCode::TOO_MANY_REQUESTS))
        .layer(Tower::new(limit.guard.clone()).answered());
    let addr = serve(answers).await;
    for (path, left) in [("503", 4), ("429", 3), ("404", 2)] {
        let answer = reqwest::get(format!("http://{addr}/{path}")).await.unwrap();
        assert_eq!((answer.status().as_str(), limit.left()), (path, left));
    }

    let limit = Limit::of(five());
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let mut client = HealthClient::new(backend.channel());
    for (code, left) in [("14", 4), ("8", 3), ("busy", 2), ("16", 1)] {
        client.check(word(code)).await.unwrap_err();
        assert_eq!(limit.left(), left, "{code}");
    }
}

#[tokio::test]
async fn who_leaves_has_had_his_call() {
    let limit = Limit::of(five());
    let hangs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&hangs);
    let router = axum::Router::new().fallback(move || {
        count.fetch_add(1, SeqCst);
        std::future::pending::<()>()
    });
    let addr = serve(router.layer(Tower::new(limit.guard.clone()).answered())).await;
    for n in 1..=5 {
        let mut peer = Peer::connect(addr).await.unwrap();
        peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        until("it hangs", || hangs.load(SeqCst) == n).await;
        drop(peer);
    }
    let answer = reqwest::get(format!("http://{addr}/")).await.unwrap();
    assert_eq!((answer.status().as_u16(), limit.left(), hangs.load(SeqCst)), (429, 0, 5));

    let limit = Limit::of(five());
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let client = HealthClient::new(backend.channel());
    for n in 1..=5 {
        tokio::select! {
            _ = async { client.clone().check(word("hang")).await } => panic!("it hangs, and did not"),
            () = until("it hangs", || backend.reached() == n) => {}
        }
    }
    client.clone().check(word("ok")).await.unwrap_err();
    assert_eq!((limit.left(), backend.reached()), (0, 5));
}

/// A limit for each client, and one for all of them: as a tuple, or the one for all further in.
#[tokio::test]
async fn a_client_that_is_refused_does_not_eat_what_is_for_all() {
    let keyed = || Keyed::by(quota(1, 2), |request: &Request<u32>| Some(*request.message()));
    let all = || RateLimit::new(quota(1, 10));
    let abuse = async |endpoint: &dyn Fn(u32) -> kit_base::BoxFuture<bool>| {
        let mut passed = 0;
        for _ in 0..100 {
            passed += usize::from(endpoint(1).await);
        }
        assert_eq!(passed, 2, "the quota of one client");
        for other in 2..=5 {
            assert!(endpoint(other).await && endpoint(other).await, "what is left for others");
        }
        assert!(!endpoint(6).await, "ten for all");
    };
    let clock = Ticking::new();
    macro_rules! abuse {
        ($layer:expr) => {{
            let endpoint = Arc::new($layer.layer(Echo::default()));
            abuse(&|key| {
                let endpoint = Arc::clone(&endpoint);
                Box::pin(async move { endpoint.call(Request::new(key)).await.is_ok() })
            })
            .await;
        }};
    }
    abuse!(Guard::with((keyed(), all()), Standard, clock.clone()));
    abuse!(Guard::with((all(), keyed()), Standard, clock.clone()));
    // The first layer of a stack is the innermost.
    let (per_client, for_all) =
        (Guard::with(keyed(), Standard, clock.clone()), Guard::with(all(), Standard, clock.clone()));
    abuse!(Stack::new(for_all, per_client));
}

/// With the limit for each client first, what is for all is not even asked for.
#[test]
fn nor_does_it_from_many_threads_at_once() {
    let keyed = Keyed::by(quota(1, 2), |request: &Request<u32>| Some(*request.message()));
    let clock = ManualClock::new();
    let guard = Guard::with((keyed, RateLimit::new(quota(1, 1000))), Standard, clock.clone());
    let endpoint = guard.layer(Echo::default());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let mut call = std::pin::pin!(endpoint.call(Request::new(1)));
                    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                    assert!(call.as_mut().poll(&mut cx).is_ready());
                }
            });
        }
    });
    assert_eq!(guard.gate().1.standing_at(clock.now()).remaining, 998);
}

/// All that a race can cost is tokens, never the limit.
#[test]
fn what_is_given_back_from_many_threads_never_lets_more_through() {
    let (clock, passed) = (ManualClock::new(), AtomicUsize::new(0));
    let limit = RateLimit::new(quota(1, 50));
    let full = Guard::with((limit, EverySecond(AtomicUsize::new(0))), Standard, clock.clone());
    let endpoint = full.layer(Echo::default());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let mut call = std::pin::pin!(endpoint.call(Request::new(1)));
                    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                    if let std::task::Poll::Ready(Ok(_)) = call.as_mut().poll(&mut cx) {
                        passed.fetch_add(1, SeqCst);
                    }
                }
            });
        }
    });
    assert!((1..=50).contains(&passed.load(SeqCst)), "{passed:?}");
}

/// Has room for every second call.
#[derive(Debug)]
struct EverySecond(AtomicUsize);

impl<Req, Res, Err> Gate<Req, Res, Err> for EverySecond {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        if self.0.fetch_add(1, SeqCst) % 2 == 0 { Err(Error::unavailable("no room")) } else { Ok(()) }
    }

    fn finish(&self, (): (), _: &End<'_>) {}
}
