//! The layers of tower-http 0.7.

use std::time::Duration;

use axum::body::Body;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderName, HeaderValue};
use http::{Request, StatusCode};
use kit_testing::laws::{Inner, InnerBody, Laws};
use tower::ServiceBuilder;
use tower_http::add_extension::AddExtensionLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::decompression::{DecompressionLayer, RequestDecompressionLayer};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::map_request_body::MapRequestBodyLayer;
use tower_http::map_response_body::{MapResponseBody, MapResponseBodyLayer};
use tower_http::metrics::in_flight_requests::InFlightRequestsLayer;
use tower_http::normalize_path::NormalizePathLayer;
use tower_http::on_early_drop::{EarlyDropsAsFailures, OnEarlyDropLayer};
use tower_http::propagate_header::PropagateHeaderLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveHeadersLayer;
use tower_http::set_header::{SetRequestHeaderLayer, SetResponseHeaderLayer};
use tower_http::timeout::{
    RequestBodyDeadlineLayer, RequestBodyTimeoutLayer, ResponseBodyDeadlineLayer, ResponseBodyTimeoutLayer,
    TimeoutLayer,
};
use tower_http::trace::{DefaultOnFailure, TraceLayer};
use tower_http::validate_request::{AcceptHeader, ValidateRequestHeaderLayer};
use tower_layer::{Layer, layer_fn};
use tower_service::Service;

use super::keeps;

const SECOND: Duration = Duration::from_secs(1);
/// Longer than the checker lets time pass.
const LONG: Duration = Duration::from_secs(100_000);
const HEADER: HeaderName = HeaderName::from_static("x-others");

/// A layer that passes calls through, over answers of HTTP and of gRPC.
#[track_caller]
fn passes<L, B>(layer: impl Fn() -> L + Copy + 'static)
where
    L: Layer<Inner> + 'static,
    L::Service: Service<Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    <L::Service as Service<Request<Body>>>::Future: Send + 'static,
    <L::Service as Service<Request<Body>>>::Error: Into<tower::BoxError> + 'static,
    B: axum::body::HttpBody<Error: Into<tower::BoxError> + 'static> + Send + 'static,
{
    keeps(Laws::http_service::<Body, _, _, _>(move |_| layer()));
    keeps(Laws::grpc_service::<Body, _, _, _>(move |_| layer()));
}

/// The layer over answers with a body that has a default, which it gives to its own answers.
fn over_bodies<L>(layer: L) -> impl Layer<Inner, Service = L::Service>
where
    L: Layer<MapResponseBody<Inner, fn(InnerBody) -> Body>>,
{
    layer_fn(move |inner| layer.layer(MapResponseBody::new(inner, Body::new as fn(InnerBody) -> Body)))
}

#[test]
fn trace() {
    passes(TraceLayer::new_for_http);
    passes(TraceLayer::new_for_grpc);
}

#[test]
fn timeout() {
    let timeout = |_: &_| over_bodies(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, SECOND));
    keeps(Laws::http_service::<Body, _, _, _>(timeout).gives_up_after(SECOND));
}

#[test]
fn timeouts_of_bodies() {
    passes(|| RequestBodyTimeoutLayer::new(LONG));
    passes(|| RequestBodyDeadlineLayer::new(LONG));
    passes(|| ResponseBodyTimeoutLayer::new(LONG));
    passes(|| ResponseBodyDeadlineLayer::new(LONG));
}

#[test]
fn headers() {
    passes(|| SetRequestIdLayer::x_request_id(MakeRequestUuid));
    passes(PropagateRequestIdLayer::x_request_id);
    passes(|| PropagateHeaderLayer::new(HEADER));
    passes(|| SetRequestHeaderLayer::overriding(HEADER, HeaderValue::from_static("a")));
    passes(|| SetResponseHeaderLayer::if_not_present(HEADER, HeaderValue::from_static("a")));
    passes(|| SetSensitiveHeadersLayer::new([AUTHORIZATION]));
    passes(|| over_bodies(CorsLayer::permissive()));
}

#[test]
fn requests() {
    passes(|| AddExtensionLayer::new(7_u32));
    passes(NormalizePathLayer::trim_trailing_slash);
    passes(FollowRedirectLayer::new);
    passes(|| MapRequestBodyLayer::new(|body: Body| Body::new(body)));
    passes(|| RequestBodyLimitLayer::new(1024));
    passes(RequestDecompressionLayer::new);
}

#[test]
fn validate_request() {
    passes(|| over_bodies(ValidateRequestHeaderLayer::<AcceptHeader<Body>>::accept("text/plain")));
}

#[test]
fn responses() {
    passes(|| MapResponseBodyLayer::new(|body: InnerBody| Body::new(body)));
    passes(|| InFlightRequestsLayer::pair().0);
    passes(DecompressionLayer::new);
    passes(|| OnEarlyDropLayer::new(EarlyDropsAsFailures::new(DefaultOnFailure::new())));
}

#[test]
fn catch_panic() {
    passes(CatchPanicLayer::new);
}

#[test]
fn compression() {
    // Nothing is compressed where nobody accepts it.
    passes(CompressionLayer::new);
    passes(|| {
        ServiceBuilder::new()
            .layer(SetRequestHeaderLayer::overriding(ACCEPT_ENCODING, HeaderValue::from_static("gzip")))
            .layer(CompressionLayer::new())
    });
}
