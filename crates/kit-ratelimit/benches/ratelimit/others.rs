//! Other limiters, by their own interfaces: governor asked directly and by key, tower's, tower_governor's and tower-resilience's
//! around a service.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::Body;
use governor::clock::{DefaultClock, MonotonicClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use kit_base::{Guard, Tower};
use kit_ratelimit::Keyed;
use tower::buffer::Buffer;
use tower::limit::{RateLimit, rate::Rate};
use tower::{Service, ServiceExt, service_fn};
use tower_governor::GovernorLayer;
use tower_governor::errors::GovernorError;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::KeyExtractor;
use tower_layer::Layer;
use tower_resilience::ratelimiter::{RateLimiterLayer, WindowType};

use crate::rows::{HOUR, QUESTION, SERVICE, peer, plenty, scarce};
use crate::runs::{FREE, Rows, answer, boxes, call_service};
use crate::subjects::{Ask, leaf};

const HTTP: &str = "o: tower, an HTTP service alone";
const RUNTIME: &str = "p: tower, the service alone, on a runtime";
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn add(rows: &mut Rows) {
    governor(rows);
    towers(rows);
    resilience(rows);
    http(rows);
}

const fn a_lot() -> Quota {
    let rate = NonZeroU32::new(1_000_000).expect("more than zero");
    Quota::per_second(rate).allow_burst(NonZeroU32::MAX)
}

pub(crate) fn governor_direct() -> RateLimiter<NotKeyed, InMemoryState, DefaultClock> {
    RateLimiter::direct(a_lot())
}

fn governor(rows: &mut Rows) {
    let limiter = governor_direct();
    rows.question("governor: alone, its own clock", Some(QUESTION), FREE, move |_| limiter.check().is_ok());
    let limiter = RateLimiter::direct_with_clock(a_lot(), MonotonicClock);
    rows.question("governor: alone, std's clock", Some(QUESTION), FREE, move |_| limiter.check().is_ok());
    let limiter = RateLimiter::direct(Quota::per_hour(NonZeroU32::MIN));
    let _ = limiter.check();
    rows.question("governor: alone, refused", Some(QUESTION), FREE, move |_| limiter.check().is_ok());
    for (title, keys) in [
        ("governor: alone, 1 key", 1),
        ("governor: alone, 1,000 keys", 1_000),
        ("governor: alone, 65,536 keys", 65_536),
    ] {
        let limiter = RateLimiter::dashmap(a_lot());
        (0..keys).for_each(|key| drop(limiter.check_key(&key)));
        rows.question(title, Some(QUESTION), FREE, move |number| limiter.check_key(&(number % keys)).is_ok());
    }
}

/// Tower's own. It is no service that can be cloned, and its users put a buffer before it.
fn towers(rows: &mut Rows) {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let rate = Rate::new(u64::MAX, HOUR);
    let owner = runtime();
    let entered = owner.enter();
    let limit = Mutex::new(RateLimit::new(service_fn(leaf), rate));
    drop(entered);
    rows.row("tower: a rate limit that nobody shares", Some(SERVICE), FREE, move |calls| {
        let _ = &owner;
        let mut limit = limit.lock().unwrap_or_else(PoisonError::into_inner);
        for number in 0..calls {
            let ready = limit.poll_ready(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(ready, Poll::Ready(Ok(()))), "it is ready at once");
            drop(answer(pin!(call_service(&mut *limit, Ask::new(number)))));
        }
    });
    rows.alone();

    on_runtime(rows, RUNTIME, None, runtime(), service_fn(leaf));
    let owner = runtime();
    let entered = owner.enter();
    let buffer = Buffer::new(RateLimit::new(service_fn(leaf), rate), 1_024);
    drop(entered);
    on_runtime(rows, "tower: a rate limit behind a buffer", Some(RUNTIME), owner, buffer);
}

fn on_runtime<S>(
    rows: &mut Rows,
    title: &'static str,
    over: Option<&'static str>,
    runtime: tokio::runtime::Runtime,
    service: S,
) where
    S: Service<Ask> + Clone + Send + Sync + 'static,
{
    rows.row(title, over, FREE, move |calls| {
        let mut service = service.clone();
        runtime.block_on(async {
            for number in 0..calls {
                let Ok(service) = service.ready().await else { return };
                drop(service.call(Ask::new(number)).await);
            }
        });
    });
    // One runtime of one thread.
    rows.alone();
}

fn resilience(rows: &mut Rows) {
    let layer = |window, permits: usize, period| {
        let builder = RateLimiterLayer::builder().window_type(window).limit_for_period(permits).refresh_period(period);
        builder.timeout_duration(Duration::ZERO).build().expect("settings that make sense")
    };
    for (title, window) in [
        ("tower-resilience: fixed window", WindowType::Fixed),
        ("tower-resilience: sliding counter", WindowType::SlidingCounter),
    ] {
        let service = layer(window, 1_000_000_000, SECOND).layer(service_fn(leaf));
        rows.service(title, Some(SERVICE), FREE, service, Ask::new);
    }
    let mut service = layer(WindowType::Fixed, 1, HOUR).layer(service_fn(leaf));
    drop(answer(pin!(service.call(Ask::new(0)))));
    rows.service("tower-resilience: fixed window, refused", Some(SERVICE), FREE, service, Ask::new);
}

/// By the address of the peer, as an HTTP server would.
fn http(rows: &mut Rows) {
    let leaf = || service_fn(async |_: http::Request<()>| Ok::<_, Infallible>(http::Response::new(Body::empty())));
    rows.service(HTTP, None, FREE, leaf(), arrived);
    let kit = |quota| Tower::new(Guard::new(Keyed::per_peer(quota))).answered().layer(leaf());
    rows.service("kit: tower face over HTTP, per peer", Some(HTTP), boxes(5.0, 1_700), kit(plenty()), arrived);
    let mut refusing = kit(scarce());
    drop(answer(pin!(refusing.call(arrived(0)))));
    rows.service("kit: tower face over HTTP, per peer, refused", Some(HTTP), FREE, refusing, arrived);

    let layer = |builder: &mut GovernorConfigBuilder<_, _>| {
        GovernorLayer::new(builder.key_extractor(ByPeer).finish().expect("settings that make sense")).layer(leaf())
    };
    let service = layer(GovernorConfigBuilder::default().per_nanosecond(1_000).burst_size(u32::MAX));
    rows.service("tower_governor: per peer", Some(HTTP), FREE, service, arrived);
    let mut refusing = layer(GovernorConfigBuilder::default().period(HOUR).burst_size(1));
    drop(answer(pin!(refusing.call(arrived(0)))));
    rows.service("tower_governor: per peer, refused", Some(HTTP), FREE, refusing, arrived);
}

/// A request with the address that it comes from, as kit's limit reads it and as that of tower_governor does here.
fn arrived(_: u64) -> http::Request<()> {
    let mut request = http::Request::new(());
    let peer = peer();
    request.extensions_mut().insert(peer.addr);
    request.extensions_mut().insert(peer);
    request
}

#[derive(Clone, Copy, Debug)]
struct ByPeer;

impl KeyExtractor for ByPeer {
    type Key = IpAddr;

    fn extract<T>(&self, request: &http::Request<T>) -> Result<IpAddr, GovernorError> {
        let addr = request.extensions().get::<Option<SocketAddr>>().copied().flatten();
        addr.map(|addr| addr.ip()).ok_or(GovernorError::UnableToExtractKey)
    }
}
