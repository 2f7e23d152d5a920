//! A failure that only its user can see, in an answer 200: a closure judges in place of the standard.

use std::convert::Infallible;

use http::{HeaderMap, Request};
use kit_base::{Endpoint, FromHttpService, Guard, Judgement, Kind, Monotonic, ServiceError, Tower};
use kit_breaker::{Breaker, Settings};
use kit_testing::backend::{Backend, Reply, Script};
use tower_layer::Layer;

/// Says that the business of an answer failed, though the answer itself is a 200.
const FAILED: &str = "x-business-error";

fn breaker() -> Breaker {
    Breaker::new(Settings::new().consecutive_failures(3)).unwrap()
}

/// The business counts, and nothing else does.
fn judge(headers: &HeaderMap) -> Judgement {
    if headers.contains_key(FAILED) { Judgement::of_kind(Kind::Internal) } else { Judgement::SUCCESS }
}

#[tokio::test]
async fn around_a_reqwest_client() {
    let by_business = |outcome: &Result<http::Response<reqwest::Body>, ServiceError<reqwest::Error>>| match outcome {
        Ok(answer) => judge(answer.headers()),
        Err(error) => Judgement::of(error),
    };
    let backend = Backend::start(Script::by(|request| match request.uri().path() {
        "/failed" => Reply::ok().header(FAILED, "no stock").body("{}"),
        _ => Reply::status(503),
    }));
    let backend = backend.await.unwrap();
    let guard = Guard::with(breaker(), by_business, Monotonic);
    let client = guard.layer(FromHttpService::new(reqwest::Client::new()));
    let call = |path| client.call(Request::get(format!("{}{path}", backend.url())).body("").unwrap());
    for _ in 0..5 {
        assert_eq!(call("/unjudged").await.unwrap().status(), 503);
    }
    for _ in 0..3 {
        let answer = call("/failed").await.unwrap();
        assert_eq!(answer.status(), 200);
        // What the head said stands, at the end of the body too.
        http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
    }
    let refused = call("/unjudged").await.unwrap_err();
    assert!(matches!(refused, ServiceError::Refused(_)), "{refused:?}");
    assert_eq!(backend.requests().len(), 8);
}

#[tokio::test]
async fn around_a_router() {
    let by_business = |outcome: &Result<axum::response::Response, ServiceError<Infallible>>| match outcome {
        Ok(answer) => judge(answer.headers()),
        Err(error) => Judgement::of(error),
    };
    let guard = Guard::with(breaker(), by_business, Monotonic);
    let router = axum::Router::new()
        .route("/failed", axum::routing::get(|| async { ([(FAILED, "no stock")], "{}") }))
        .fallback(|| async { http::StatusCode::SERVICE_UNAVAILABLE })
        .layer(Tower::new(guard).answered());
    let url = super::router::serve(router).await;
    let get = async |path: &str| reqwest::get(format!("{url}{path}")).await.unwrap();
    for _ in 0..5 {
        assert!(get("/unjudged").await.headers().get("content-type").is_none());
    }
    for _ in 0..3 {
        assert_eq!(get("/failed").await.text().await.unwrap(), "{}");
    }
    assert_eq!(get("/unjudged").await.headers()["content-type"], "application/problem+json");
}
