//! REST and gRPC on one port, whichever of the two is outside.

use std::convert::Infallible;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, post};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use kit_base::{Endpoint, IntoService};
use kit_transport_grpc::{GrpcServer, RequestBody};
use tokio_stream::StreamExt as _;
use tower_layer::Layer as _;

use crate::support::{Note, echoing, note, serve_service};

fn grpc() -> GrpcServer {
    echoing(async |request: kit_base::Request<Note>| Ok(kit_base::Response::new(request.into_message())))
}

fn rest() -> Router {
    let shout = async |headers: HeaderMap, method: Method, body: Bytes| {
        let length = headers.get("content-length").map(|length| length.to_str().unwrap_or("?").to_owned());
        let text = String::from_utf8_lossy(&body).to_uppercase();
        (StatusCode::ACCEPTED, [("x-length", length.unwrap_or_default())], format!("{method} {text}"))
    };
    Router::new().route("/shout", any(shout))
}

/// An answer of a REST service: version, status, headers, body.
async fn ask(url: String, version: Version, kind: &str, body: &str) -> (StatusCode, HeaderMap, String) {
    let mut client = Client::builder(TokioExecutor::new());
    client.http2_only(version == Version::HTTP_2);
    let request = Request::post(url).version(version).header("content-type", kind);
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request");
    let answer = client.build_http().request(request).await.expect("an answer");
    assert_eq!(answer.version(), version);
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (head.status, head.headers, String::from_utf8_lossy(&body).into_owned())
}

/// Calls both, over each version of HTTP.
async fn both(url: String, grpc: impl Endpoint<kit_base::Request<Note>, Response = kit_base::Response<Note>>) {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (status, headers, body) = ask(format!("{url}/shout"), version, "text/plain", "hello").await;
        assert_eq!((status, body.as_str()), (StatusCode::ACCEPTED, "POST HELLO"), "{version:?}");
        assert_eq!(headers["x-length"], "5");
        assert_eq!(headers["content-length"], "10");
        assert!(!headers.contains_key("grpc-status"), "{headers:?}");
        let reply = grpc.call(kit_base::Request::new(note("hi"))).await.ok().expect("an answer");
        assert_eq!(reply.message().text, "hi");
    }
}

#[tokio::test]
async fn axum_answers_what_is_not_grpc() {
    let server = serve_service(grpc().fallback_service(rest()).build().expect("a service")).await;
    both(server.url(), server.echo()).await;
    // What axum does not know is axum's to say.
    let (status, headers, _) =
        ask(format!("{}/test.Notes/Echo", server.url()), Version::HTTP_2, "text/plain", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(!headers.contains_key("content-type"), "{headers:?}");
}

#[tokio::test]
async fn grpc_stays_grpc_beside_a_fallback() {
    let server = serve_service(grpc().fallback_service(rest()).build().expect("a service")).await;
    let (status, headers, _) = ask(format!("{}/shout", server.url()), Version::HTTP_2, "application/grpc", "").await;
    assert_eq!((status, headers["grpc-status"].as_bytes()), (StatusCode::OK, &b"12"[..]), "{headers:?}");
}

#[tokio::test]
async fn without_a_fallback_what_is_not_grpc_is_refused() {
    let server = serve_service(grpc().build().expect("a service")).await;
    let (status, _, body) = ask(format!("{}/shout", server.url()), Version::HTTP_11, "text/plain", "hello").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{body}");
}

/// Answers with the frames, the hints and the trailers of the request, one frame each.
struct Mirror;

impl Endpoint<Request<RequestBody>> for Mirror {
    type Response = http::Response<RequestBody>;
    type Error = Infallible;

    async fn call(&self, request: Request<RequestBody>) -> Result<Self::Response, Infallible> {
        let size = request.body().size_hint().exact();
        let mut answer = http::Response::new(request.into_body());
        if let Some(size) = size {
            answer.headers_mut().insert("x-size", size.into());
        }
        Ok(answer)
    }
}

#[tokio::test]
async fn any_service_on_http_types_can_be_the_fallback_and_its_bodies_are_left_alone() {
    let service = grpc().fallback_service(IntoService::new(Mirror)).build().expect("a service");
    let server = serve_service(service).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (_, headers, body) = ask(server.url(), version, "text/plain", "abc").await;
        assert_eq!((headers["x-size"].as_bytes(), body.as_str()), (&b"3"[..], "abc"));
    }
    // Frame by frame, as they come, with trailers.
    let (frames, body) = tokio::sync::mpsc::channel(1);
    let body = tokio_stream::wrappers::ReceiverStream::new(body).map(Ok::<_, Infallible>);
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::post(server.url()).body(http_body_util::StreamBody::new(body)).expect("a request");
    let mut answer = client.request(request).await.expect("an answer").into_body();
    for text in ["one", "two"] {
        let frame = http_body::Frame::data(Bytes::from_static(text.as_bytes()));
        frames.send(frame).await.expect("a reader");
        let frame = answer.frame().await.expect("a frame").expect("no error");
        assert_eq!(frame.into_data().expect("data"), text);
    }
    let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("x-tail"), "v".parse().expect("a value"))]);
    frames.send(http_body::Frame::trailers(trailers.clone())).await.expect("a reader");
    let frame = answer.frame().await.expect("a frame").expect("no error");
    assert_eq!(frame.into_trailers().expect("trailers"), trailers);
}

#[tokio::test]
async fn an_error_of_a_body_reaches_the_fallback_as_what_it_was() {
    // axum answers 413 only where it finds the very type of the error.
    let rest = Router::new().route("/", post(async |_: Bytes| {})).layer(DefaultBodyLimit::disable());
    let grpc = grpc().fallback_service(rest).routes().expect("routes");
    let limited = limit(grpc);
    let server = serve_service(limited).await;
    let (status, _, body) = ask(server.url(), Version::HTTP_11, "text/plain", "too long").await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{body}");
}

/// The routes behind a limit of 4 bytes.
fn limit(
    routes: kit_transport_grpc::Routes,
) -> impl tower_service::Service<
    Request<hyper::body::Incoming>,
    Response = http::Response<kit_transport_grpc::Body>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ 'static {
    struct Limit(kit_transport_grpc::Routes);
    impl Endpoint<Request<hyper::body::Incoming>> for Limit {
        type Response = http::Response<kit_transport_grpc::Body>;
        type Error = Infallible;

        async fn call(&self, request: Request<hyper::body::Incoming>) -> Result<Self::Response, Infallible> {
            self.0.call(request.map(|body| Limited::new(body, 4))).await
        }
    }
    IntoService::new(Limit(routes))
}

#[tokio::test]
async fn a_panic_of_the_fallback_is_a_500_and_is_told() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let boom = || -> () { panic!("boom") };
    let rest = Router::new().route("/", post(async move || boom()));
    let server = grpc().fallback_service(rest).observer(move |event: &kit_base::Event<'_>| {
        let _ = told.send((event.source, event.what));
    });
    let server = serve_service(server.build().expect("a service")).await;
    let (status, _, body) = ask(server.url(), Version::HTTP_11, "text/plain", "").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!body.contains("boom"), "{body}");
    assert_eq!(heard.try_recv().expect("it was told"), ("grpc_server", "panicked"));
}

#[tokio::test]
async fn two_fallbacks_are_refused() {
    let error = grpc().fallback_service(rest()).fallback_service(rest()).build().expect_err("two of them");
    assert!(error.to_string().contains("only one fallback"), "{error}");
}

#[tokio::test]
async fn a_server_is_the_fallback_of_an_axum_router() {
    let server = serve_service(rest().fallback_service(grpc().build().expect("a service"))).await;
    both(server.url(), server.echo()).await;
}

#[tokio::test]
async fn a_server_is_a_route_of_an_axum_router() {
    let app = rest().route_service("/test.Notes/{*method}", grpc().build().expect("a service"));
    let server = serve_service(app).await;
    both(server.url(), server.echo()).await;
}

#[tokio::test]
async fn grpc_web_comes_by_a_layer_of_tonic_web() {
    let service = tonic_web::GrpcWebLayer::new().layer(grpc().build().expect("a service"));
    let server = serve_service(rest().fallback_service(service)).await;
    // The empty message, in a frame of its own.
    let url = format!("{}/test.Notes/Echo", server.url());
    let (status, headers, body) = ask(url, Version::HTTP_11, "application/grpc-web+proto", "\0\0\0\0\0").await;
    assert_eq!((status, headers["content-type"].as_bytes()), (StatusCode::OK, &b"application/grpc-web+proto"[..]));
    // The trailers are a frame of the body.
    assert!(body.starts_with("\0\0\0\0\0") && body.contains("grpc-status:0"), "{body:?}");
    let reply = server.echo().call(kit_base::Request::new(note("hi"))).await.expect("plain gRPC goes on");
    assert_eq!(reply.message().text, "hi");
    // REST, gRPC and gRPC-Web, on one port.
    both(server.url(), server.echo()).await;
}
