//! The five places, with real servers and clients: an error status of the backend trips the gate, and its refusal
//! arrives under the right status.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use axum::routing::get;
use kit_base::{Endpoint, Error, FromHttpService, Guard, Kind, Request, Response, ServiceError, Tower};
use outside::Trip;
use tower_layer::Layer;

mod grpc;

struct Fails(Arc<AtomicU32>, Kind);

impl Endpoint<Request<u8>> for Fails {
    type Response = Response<u8>;
    type Error = Error;

    async fn call(&self, _: Request<u8>) -> Result<Response<u8>, Error> {
        self.0.fetch_add(1, SeqCst);
        Err(Error::new(self.1, "no"))
    }
}

#[tokio::test]
async fn an_endpoint() {
    for (kind, reached) in [(Kind::Unavailable, 3), (Kind::NotFound, 5)] {
        let calls = Arc::new(AtomicU32::new(0));
        let guarded = Guard::new(Trip::default()).layer(Fails(calls.clone(), kind));
        for n in 0..5 {
            let error = guarded.call(Request::new(1)).await.unwrap_err();
            assert_eq!(error.message(), if n < reached { "no" } else { "tripped" });
        }
        assert_eq!(calls.load(SeqCst), reached);
    }
}

/// Serves a router that answers as its path says, and counts what reached it.
async fn router(guard: impl FnOnce(axum::Router) -> axum::Router) -> (String, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let answer = move |axum::extract::Path(status): axum::extract::Path<u16>| {
        count.fetch_add(1, SeqCst);
        async move { (http::StatusCode::from_u16(status).unwrap(), "answer") }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = guard(axum::Router::new().route("/{status}", get(answer)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, calls)
}

#[tokio::test]
async fn an_axum_router() {
    for (status, reached) in [(503, 3), (500, 3), (404, 5), (200, 5)] {
        let (url, calls) = router(|app| app.layer(Tower::new(Guard::new(Trip::default())).answered())).await;
        for n in 0..5 {
            let answer = reqwest::get(format!("{url}/{status}")).await.unwrap();
            if n < reached {
                assert_eq!(answer.status().as_u16(), status);
                assert_eq!(answer.text().await.unwrap(), "answer");
            } else {
                assert_eq!(answer.status(), 503);
                assert_eq!(answer.headers()["retry-after"], "7");
                assert_eq!(answer.headers()["content-type"], "application/problem+json");
                assert!(answer.text().await.unwrap().contains(r#""kind":"UNAVAILABLE""#));
            }
        }
        assert_eq!(calls.load(SeqCst), reached);
    }
}

#[tokio::test]
async fn a_reqwest_client() {
    for (status, reached) in [(503, 3), (404, 5), (200, 5)] {
        let (url, calls) = router(|app| app).await;
        let client = Guard::new(Trip::default()).layer(FromHttpService::new(reqwest::Client::new()));
        for n in 0..5 {
            let request = http::Request::get(format!("{url}/{status}")).body("").unwrap();
            match client.call(request).await {
                Ok(answer) if n < reached => assert_eq!(answer.status().as_u16(), status),
                Err(ServiceError::Refused(error)) if n >= reached => assert_eq!(error.message(), "tripped"),
                other => panic!("call {n}: {other:?}"),
            }
        }
        assert_eq!(calls.load(SeqCst), reached);
    }
}

#[tokio::test]
async fn a_reqwest_client_trips_on_a_dead_backend() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Guard::new(Trip::default()).layer(FromHttpService::new(reqwest::Client::new()));
    for n in 0..5 {
        let request = http::Request::get(format!("http://{dead}/")).body("").unwrap();
        let error = client.call(request).await.unwrap_err();
        assert_eq!(matches!(error, ServiceError::Refused(_)), n >= 3, "call {n}: {error:?}");
    }
}
