//! axum as the host: kit's routes beside its own, its layers over them, its values in the context.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request as AxumRequest};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt, Full};
use kit_base::{Endpoint, Error, Request, Response};
use kit_testing::http::curl;
use kit_testing::tools::skip_unless;
use kit_transport_http::{HttpClient, HttpServer};
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::support::{By, Sum, Value, get as get_request, malformed, op, post, problem, request, sum};

async fn ask(router: &Router, request: http::Request<Full<Bytes>>) -> http::Response<Bytes> {
    let answer = router.clone().oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    http::Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

fn three() -> http::Request<Full<Bytes>> {
    post("/sum", r#"{"a":1,"b":2}"#)
}

#[tokio::test]
async fn kit_routes_stand_beside_axum_routes() {
    let pages = Router::new().route("/healthz", get(async || "ok\n")).fallback(async || "axum's fallback");
    let router = sum().into_axum().unwrap().merge(pages);
    assert_eq!(ask(&router, three()).await.body(), r#"{"v":3}"#);
    assert_eq!(ask(&router, get_request("/healthz")).await.body(), "ok\n");
    assert_eq!(ask(&router, get_request("/nope")).await.body(), "axum's fallback");
    let answer = ask(&router, get_request("/sum")).await;
    problem(&answer, 405);
    assert_eq!(answer.headers()["allow"], "POST");
    malformed(&ask(&router, post("/sum", "nope")).await, "expected ident");
}

#[tokio::test]
async fn without_axum_routes_an_unknown_path_is_axums_404() {
    assert_eq!(ask(&sum().into_axum().unwrap(), get_request("/nope")).await.status(), 404);
}

#[tokio::test]
async fn it_can_be_nested_and_its_parameters_stay_right() {
    let double =
        By(async |request: Request<Value>| Ok::<_, Error>(Response::new(Value { v: request.message().v * 2 })));
    let kit = HttpServer::new().endpoint(op("double"), double).route("double", "GET /double/{v}").into_axum().unwrap();
    let router = Router::new().nest("/api/{tenant}", kit);
    assert_eq!(ask(&router, get_request("/api/acme/double/21")).await.body(), r#"{"v":42}"#);
    assert_eq!(ask(&router, get_request("/double/21")).await.status(), 404);
    let answer = ask(&router, request(http::Method::HEAD, "/api/acme/double/21", "")).await;
    assert_eq!(answer.headers()["content-length"], "8");
}

#[tokio::test]
async fn the_plain_service_is_a_fallback_or_nested() {
    let router = Router::new().route("/healthz", get(async || "ok")).fallback_service(sum().build().unwrap());
    assert_eq!(ask(&router, three()).await.body(), r#"{"v":3}"#);
    assert_eq!(ask(&router, get_request("/healthz")).await.body(), "ok");
    assert_eq!(problem(&ask(&router, get_request("/nope")).await, 404)["reason"], "NO_ROUTE");

    let router = Router::new().nest_service("/api", sum().build().unwrap());
    assert_eq!(ask(&router, post("/api/sum", r#"{"a":1,"b":2}"#)).await.body(), r#"{"v":3}"#);
    assert_eq!(problem(&ask(&router, get_request("/api/nope")).await, 404)["reason"], "NO_ROUTE");
}

/// What an extractor of the user's makes of a request.
#[derive(Clone, Debug, PartialEq)]
struct User(String);

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let user = parts.headers.get("x-user").map_or("nobody", |user| user.to_str().unwrap());
        Ok(Self(user.to_owned()))
    }
}

async fn extract(user: User, mut request: AxumRequest, next: Next) -> impl IntoResponse {
    request.extensions_mut().insert(user);
    next.run(request).await
}

#[tokio::test]
async fn values_of_extractors_and_extensions_are_in_the_context() {
    let who = By(async |request: Request<()>| {
        let extensions = request.context().extensions();
        let User(user) = extensions.get().unwrap();
        Ok::<_, Error>(Response::new(format!("{user} {}", extensions.get::<u32>().unwrap())))
    });
    let router = HttpServer::new().endpoint(op("who"), who).into_axum().unwrap();
    let router = router.layer(from_fn(extract)).layer(Extension(7_u32));
    let mut request = post("/who", "");
    request.headers_mut().insert("x-user", "ada".parse().unwrap());
    assert_eq!(ask(&router, request).await.body(), r#""ada 7""#);
}

#[tokio::test]
async fn tower_http_layers_lie_over_it_as_over_any_router() {
    let id = By(async |request: Request<()>| {
        Ok::<_, Error>(Response::new(request.context().inbound()["x-request-id"].to_str().unwrap().to_owned()))
    });
    let router = HttpServer::new()
        .endpoint(op("id"), id)
        .into_axum()
        .unwrap()
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(SetResponseHeaderLayer::overriding(http::header::SERVER, http::HeaderValue::from_static("kit")));
    let answer = ask(&router, post("/id", "")).await;
    let id = answer.headers()["x-request-id"].to_str().unwrap();
    assert_eq!(answer.body(), &format!("{id:?}"));
    assert_eq!(id.len(), 36);
    assert_eq!(answer.headers()["server"], "kit");
}

#[tokio::test]
async fn axum_serves_it_to_curl_and_to_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = sum().into_axum().unwrap().route("/healthz", get(async || "ok"));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let client = HttpClient::new(&url).unwrap().endpoint::<Sum, Value>(op("sum"));
    assert_eq!(client.call(Request::new(Sum { a: 1, b: 2 })).await.unwrap().into_message(), Value { v: 3 });
    if skip_unless("curl") {
        assert_eq!(curl([format!("{url}/healthz")]).await.unwrap().body(), "ok");
        let answer = curl(["--head", &format!("{url}/sum")]).await.unwrap();
        assert_eq!(answer.status(), 405);
        let large = "x".repeat(3_000_000);
        let folder = kit_testing::temp::temp_dir().unwrap();
        std::fs::write(folder.path().join("body"), large).unwrap();
        let body = format!("@{}", folder.path().join("body").display());
        problem(&curl(["--data-binary", &body, &format!("{url}/sum")]).await.unwrap(), 413);
    }
    serving.abort();
}

#[test]
fn what_cannot_be_built_is_an_error_and_no_panic_of_axum() {
    let server = sum().route("sum", "POST sum");
    assert!(server.into_axum().is_err());
    for odd in [
        "GET /:id",
        "GET /*all",
        "GET /a/{x}/:b",
        "GET /a/*",
        "GET /",
        "GET //",
        "GET /a:b",
        "GET /a*",
        "GET /{x}/",
        "GET /{*rest}",
        "GET /a-{x}",
        "GET /{x}.json",
        "GET /a//{x}",
    ] {
        let server = || sum().route("sum", odd);
        assert_eq!(server().into_axum().is_err(), server().build().is_err(), "{odd}");
    }
    let prefixed = HttpServer::new().prefix("/:v").endpoint(op("sum"), By(crate::support::add));
    assert!(prefixed.into_axum().is_err());
}
