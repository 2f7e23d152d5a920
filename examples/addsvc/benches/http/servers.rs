//! The servers: the same JSON service on bare hyper, on axum, and on kit, bare and under ten layers.

use std::convert::Infallible;
use std::error::Error;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kit_base::{End, Gate, Guard, Now};
use kit_serve::Server;
use kit_transport_http::HttpServer;
use tokio::net::TcpListener;

use crate::service::{StringsEndpoints, Upper, UppercaseRequest, uppercase};

/// Their names.
pub(crate) const NAMES: [&str; 5] = ["hyper", "axum", "kit", "kit, ten layers", "axum on kit-serve"];
/// Where the ones that are compared stand among them.
pub(crate) const HYPER: usize = 0;
pub(crate) const AXUM: usize = 1;
pub(crate) const KIT: usize = 2;

/// Serves on a free port, says which, and ends on SIGTERM.
pub(crate) fn serve(name: &str) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let stop = kit_serve::signal()?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        match name {
            "hyper" => hyper_server(listener, stop).await,
            "axum" => axum::serve(listener, axum_service()).with_graceful_shutdown(stop).await?,
            "kit" => {
                let service = StringsEndpoints::new(Upper).bind(HttpServer::new()).build()?;
                Server::from_listener(listener)?.serve(service, stop).await;
            }
            "kit, ten layers" => {
                let gates = Guard::new((five(), five()));
                let service = StringsEndpoints::new(Upper).layer(gates).bind(HttpServer::new()).build()?;
                Server::from_listener(listener)?.serve(service, stop).await;
            }
            "axum on kit-serve" => {
                Server::from_listener(listener)?.serve(axum_service(), stop).await;
            }
            other => return Err(format!("no server {other:?}").into()),
        }
        Ok(())
    })
}

fn axum_service() -> Router {
    Router::new().route("/uppercase", post(async |Json(req): Json<UppercaseRequest>| Json(uppercase(&req))))
}

/// What a careful user writes by hand: a limit for the body, and the statuses for what is wrong.
async fn by_hand(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = |status| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        Ok(response)
    };
    if request.uri().path() != "/uppercase" {
        return status(StatusCode::NOT_FOUND);
    }
    if request.method() != Method::POST {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Ok(body) = Limited::new(request.into_body(), 2 * 1024 * 1024).collect().await else {
        return status(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let Ok(message) = serde_json::from_slice(&body.to_bytes()) else { return status(StatusCode::BAD_REQUEST) };
    let Ok(answer) = serde_json::to_vec(&uppercase(&message)) else {
        return status(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Full::from(answer));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn hyper_server(listener: TcpListener, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(by_hand)));
    }
}

/// A gate that takes a number before and counts after.
#[derive(Debug, Default)]
struct Tally(AtomicU64, AtomicU64);

impl<Req, Res, Err> Gate<Req, Res, Err> for Tally {
    type Permit = u64;

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<u64, kit_base::Error> {
        Ok(self.0.fetch_add(1, Relaxed))
    }

    fn finish(&self, number: u64, end: &End<'_>) {
        if !end.judgement.is_failure() {
            self.1.store(number + 1, Relaxed);
        }
    }
}

type Five = (Tally, Tally, Tally, Tally, Tally);

fn five() -> Five {
    Five::default()
}
