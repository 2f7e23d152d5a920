//! Services of other libraries, each served by one line.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use kit_serve::RequestBody;
use tower::{Service, ServiceExt, service_fn};

use crate::support::{GET, Raw, bind, http2, start, text};

#[tokio::test]
async fn an_axum_router_is_served() {
    let app = axum::Router::new()
        .route("/", axum::routing::get(|| async { "from axum" }))
        .route("/echo", axum::routing::post(|body: Bytes| async { body }));
    let server = start!(bind().await.body_limit(100), app);
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    assert!(raw.response().await.ends_with("from axum"));
    // Over the limit only once it is read, so it is axum that answers.
    raw.send("POST /echo HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n").await;
    raw.send(format!("65\r\n{}\r\n0\r\n\r\n", "x".repeat(0x65))).await;
    assert!(raw.response().await.starts_with("HTTP/1.1 413 "));
}

/// A unary gRPC method by hand: answers the message with itself.
#[derive(Clone)]
struct Unary;

impl tonic::server::NamedService for Unary {
    const NAME: &'static str = "test.Echo";
}

impl Service<Request<tonic::body::Body>> for Unary {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async move {
            let message = request.into_body().collect().await.unwrap().to_bytes();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            let body = Full::new(message).with_trailers(async move { Some(Ok(trailers)) });
            let response = Response::builder().header("content-type", "application/grpc");
            Ok(response.body(tonic::body::Body::new(body)).unwrap())
        })
    }
}

fn grpc(addr: std::net::SocketAddr) -> Request<Full<Bytes>> {
    Request::post(format!("http://{addr}/test.Echo/Say"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(b"\0\0\0\0\x02hi")))
        .unwrap()
}

async fn says_hi(addr: std::net::SocketAddr) {
    let mut client = http2(addr).await;
    let response = client.send_request(grpc(addr)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), &b"\0\0\0\0\x02hi"[..]);
}

#[tokio::test]
async fn tonic_routes_are_served() {
    let server = start!(bind().await, tonic::service::Routes::new(Unary));
    says_hi(server.addr).await;
}

#[tokio::test]
async fn a_service_over_another_body_is_served_after_a_map() {
    let server =
        start!(bind().await, Unary.map_request(|request: Request<RequestBody>| request.map(tonic::body::Body::new)));
    says_hi(server.addr).await;
}

/// Ready only when polled a second time; panics when called before.
#[derive(Default)]
struct ReadyAtSecond {
    polls: usize,
    clones: Arc<AtomicUsize>,
}

impl Clone for ReadyAtSecond {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Self { polls: 0, clones: Arc::clone(&self.clones) }
    }
}

impl Service<Request<RequestBody>> for ReadyAtSecond {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.polls += 1;
        if self.polls < 2 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        assert_eq!(self.polls, 2, "called before it was ready");
        std::future::ready(Ok(text("was ready")))
    }
}

#[tokio::test]
async fn a_service_is_called_only_when_it_is_ready() {
    let service = ReadyAtSecond::default();
    let clones = Arc::clone(&service.clones);
    let server = start!(bind().await, service);
    let mut raw = Raw::connect(server.addr).await;
    for _ in 0..2 {
        raw.send(GET).await;
        assert!(raw.response().await.ends_with("was ready"));
    }
    assert_eq!(clones.load(Ordering::Relaxed), 3, "one for the connection, one for each request");
}

#[tokio::test]
async fn a_protocol_upgrade_hands_the_connection_over() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = start!(
        bind().await,
        service_fn(|mut request: Request<RequestBody>| async move {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
                stream.write_all(b"upgraded").await.unwrap();
            });
            let response = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "test");
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send("GET / HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: test\r\n\r\n").await;
    assert!(raw.response().await.starts_with("HTTP/1.1 101 "));
    let mut rest = String::new();
    raw.0.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "upgraded");
}
