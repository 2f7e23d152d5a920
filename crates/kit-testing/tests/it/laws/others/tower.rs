//! The layers of tower 0.5.

use std::convert::Infallible;
use std::future::ready;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::routing::future::RouteFuture;
use axum::routing::{any, get};
use http::StatusCode;
use kit_base::Request;
use kit_testing::laws::{Inner, Law, Laws};
use tokio::time::sleep;
use tower::balance::p2c::Balance;
use tower::buffer::BufferLayer;
use tower::discover::ServiceList;
use tower::filter::{AsyncFilterLayer, FilterLayer};
use tower::hedge::Hedge;
use tower::limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer, RateLimitLayer};
use tower::load::{CompleteOnResponse, PendingRequests};
use tower::load_shed::LoadShedLayer;
use tower::reconnect::Reconnect;
use tower::retry::{Policy, RetryLayer};
use tower::spawn_ready::SpawnReadyLayer;
use tower::steer::Steer;
use tower::timeout::TimeoutLayer;
use tower::util::{BoxCloneServiceLayer, service_fn};
use tower::{BoxError, ServiceBuilder, ServiceExt as _};
use tower_layer::layer_fn;
use tower_service::Service;

use super::{breaks, keeps};

const SECOND: Duration = Duration::from_secs(1);

fn idempotent(request: &Request<u64>) -> bool {
    request.context().operation().is_idempotent()
}

/// A buffer's worker waits for an inner service that is never ready, also when everybody has left and the buffer is gone.
const WORKER_STAYS: (Law, &str) = (Law::NothingLeft, "readiness/3");

#[test]
fn concurrency_limit() {
    let limit = || Laws::service(|_| ConcurrencyLimitLayer::new(3)).waiting().at_most(3);
    keeps(limit().state_per_service());
    breaks(limit, [(Law::Shared, "sharing/2"), (Law::Bound, "schedules/0")]);
    keeps(Laws::service(|_| GlobalConcurrencyLimitLayer::new(3)).waiting().at_most(3));
}

/// The place is free again when the head is there.
#[test]
fn concurrency_limit_over_bodies() {
    let limit = || Laws::http_service::<Body, _, _, _>(|_| GlobalConcurrencyLimitLayer::new(3)).waiting().at_most(3);
    keeps(limit());
    breaks(|| limit().holds_bodies(), [(Law::Bound, "schedules/0")]);
}

#[test]
fn rate_limit() {
    keeps(Laws::lone_service(|_| RateLimitLayer::new(3, SECOND)).waiting().quota(3, SECOND).state_per_service());
}

/// A buffer makes a rate limit `Clone`; each time that the two are put over a service there is another limit.
#[test]
fn rate_limit_under_buffer() {
    let limit = || {
        let stack = |_: &_| ServiceBuilder::new().layer(BufferLayer::new(64)).layer(RateLimitLayer::new(3, SECOND));
        Laws::service(stack).waiting().quota(3, SECOND).wraps_errors()
    };
    breaks(|| limit().state_per_service(), [WORKER_STAYS]);
    breaks(limit, [WORKER_STAYS, (Law::Shared, "sharing/2"), (Law::Bound, "schedules/0")]);
}

/// A service behind an axum handler that answers `GET` and `POST`, under a rate limit in a buffer.
fn axum_route(inner: Inner, method_by_method: bool) -> Router {
    let limit = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(|_: BoxError| ready(StatusCode::SERVICE_UNAVAILABLE)))
        .layer(BufferLayer::new(64))
        .layer(RateLimitLayer::new(3, SECOND));
    let handler = move |request: http::Request<Body>| async move {
        inner.oneshot(request).await.map(|response| response.map(Body::new))
    };
    let route = if method_by_method { get(handler.clone()).post(handler) } else { any(handler) };
    Router::new().route("/laws/call", route).layer(limit)
}

/// tokio-rs/axum#3682: how many calls get in is up to how the router is used.
#[test]
fn rate_limit_under_buffer_on_an_axum_handler() {
    let limit = |router: fn(Inner) -> Router| {
        let laws = Laws::http_service::<Body, _, _, _>(move |_| layer_fn(router));
        laws.waiting().quota(3, SECOND).state_per_service()
    };
    // A router that is called as it is puts the layer over the handler anew in each call.
    breaks(|| limit(|inner| axum_route(inner, false)), [(Law::Bound, "sharing/0")]);
    // `into_make_service` gives it its state at first, and so puts the layer over the handler once; once for each method.
    keeps(limit(|inner| axum_route(inner, false).with_state(())));
    breaks(|| limit(|inner| axum_route(inner, true).with_state(())), [(Law::Bound, "schedules/0")]);
    // `axum::serve` of the router itself does that for each connection.
    breaks(
        || {
            let served = |_: &_| layer_fn(|inner| Connection::new(axum_route(inner, false)));
            Laws::http_service::<Body, _, _, _>(served).waiting().quota(3, SECOND).state_per_service()
        },
        [(Law::Shared, "sharing/1"), (Law::Bound, "clock/0")],
    );
}

/// A router as `axum::serve(listener, router)` uses it: a clone is another connection.
struct Connection {
    router: Router,
    service: Router,
}

impl Connection {
    fn new(router: Router) -> Self {
        Self { service: router.clone().with_state(()), router }
    }
}

impl Clone for Connection {
    fn clone(&self) -> Self {
        Self::new(self.router.clone())
    }
}

impl Service<http::Request<Body>> for Connection {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<http::Request<Body>>::poll_ready(&mut self.service, cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.service.call(request)
    }
}

#[test]
fn load_shed() {
    let shed = || Laws::service(|_| LoadShedLayer::new()).refusing().sheds();
    keeps(shed().wraps_errors());
    breaks(shed, [(Law::Unchanged, "answers/4")]);
    // Over a limit it refuses who would wait.
    let over_limit =
        |_: &_| ServiceBuilder::new().layer(LoadShedLayer::new()).layer(GlobalConcurrencyLimitLayer::new(3));
    keeps(Laws::service(over_limit).refusing().sheds().at_most(3).wraps_errors());
}

#[test]
fn timeout() {
    let timeout = || Laws::service(|_| TimeoutLayer::new(SECOND)).gives_up_after(SECOND);
    keeps(timeout().wraps_errors());
    breaks(timeout, [(Law::Unchanged, "answers/4")]);
}

#[test]
fn buffer() {
    breaks(|| Laws::service(|_| BufferLayer::new(10)).waiting().wraps_errors(), [WORKER_STAYS]);
    let http = || Laws::http_service::<Body, _, _, _>(|_| BufferLayer::new(10)).waiting().wraps_errors();
    breaks(http, [WORKER_STAYS]);
}

/// So many more attempts, where the operation is idempotent.
#[derive(Clone, Debug)]
struct Attempts(usize);

impl<Res, E> Policy<Request<u64>, Res, E> for Attempts {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Request<u64>, result: &mut Result<Res, E>) -> Option<Self::Future> {
        if result.is_ok() || self.0 == 0 {
            return None;
        }
        self.0 -= 1;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &Request<u64>) -> Option<Request<u64>> {
        idempotent(request).then(|| request.clone())
    }
}

impl tower::hedge::Policy<Request<u64>> for Attempts {
    fn clone_request(&self, request: &Request<u64>) -> Option<Request<u64>> {
        idempotent(request).then(|| request.clone())
    }

    fn can_retry(&self, _: &Request<u64>) -> bool {
        true
    }
}

#[test]
fn retry() {
    keeps(Laws::service(|_| RetryLayer::new(Attempts(2))).retrying(3));
}

#[test]
fn hedge() {
    let hedge = |period| {
        let hedge = move |inner: Inner| Hedge::new_with_mock_latencies(inner, Attempts(1), 5, 0.9, period, &[10; 20]);
        Laws::lone_service(move |_| layer_fn(hedge)).hedging(2).wraps_errors()
    };
    // The period is longer than any wait of the checker.
    keeps(hedge(100_000 * SECOND));
    // What it knows of latencies is forgotten after two minutes without a call, and then it does not hedge.
    breaks(|| hedge(10 * SECOND), [(Law::Attempts, "retries/1")]);
}

#[test]
fn spawn_ready() {
    keeps(Laws::lone_service(|_| SpawnReadyLayer::new()).wraps_errors());
}

#[test]
fn reconnect() {
    let reconnect = |inner: Inner| {
        // The first connection is there at once; another takes its time.
        let mut first = true;
        let connect = service_fn(move |()| {
            let (inner, takes) = (inner.node(0), if std::mem::take(&mut first) { Duration::ZERO } else { SECOND });
            Box::pin(async move {
                if !takes.is_zero() {
                    sleep(takes).await;
                }
                Ok::<_, BoxError>(inner)
            })
        });
        Reconnect::<_, ()>::new(connect, ())
    };
    keeps(Laws::lone_service(move |_| layer_fn(reconnect)).wraps_errors());
}

#[test]
fn filter() {
    let all = |request: Request<u64>| Ok::<_, BoxError>(request);
    keeps(Laws::service(move |_| FilterLayer::new(all)).wraps_errors());
    keeps(Laws::service(move |_| AsyncFilterLayer::new(move |request| ready(all(request)))).wraps_errors());
}

#[test]
fn balance() {
    let balance = |inner: Inner| {
        let load = |node| PendingRequests::new(inner.node(node), CompleteOnResponse::default());
        Balance::new(ServiceList::new::<Request<u64>>([load(0), load(1), load(2)]))
    };
    let laws = |laws: Laws| laws.selecting([1, 1, 1]).skips_unready().wraps_errors();
    keeps(laws(Laws::lone_service(move |_| layer_fn(balance))));
    let buffered =
        || Laws::service(move |_| ServiceBuilder::new().layer(BufferLayer::new(10)).layer(layer_fn(balance)));
    breaks(|| laws(buffered()), [WORKER_STAYS]);
}

#[test]
fn steer() {
    let by_number = |request: &Request<u64>, _: &[Inner]| *request.message() as usize % 2;
    let steer = move |inner: Inner| Steer::new([inner.node(0), inner.node(1)], by_number);
    breaks(|| Laws::service(move |_| layer_fn(steer)).selecting([1, 1]), [(Law::Readiness, "clones/0")]);
}

#[test]
fn boxed() {
    keeps(Laws::service(|_| BoxCloneServiceLayer::new(tower_layer::Identity::new())));
}

#[test]
fn a_stack() {
    let stack = |_: &_| {
        ServiceBuilder::new()
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::new(3))
            .layer(TimeoutLayer::new(SECOND))
    };
    keeps(Laws::service(stack).refusing().sheds().at_most(3).gives_up_after(SECOND).wraps_errors());
}
