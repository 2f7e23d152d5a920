//! Unary calls, from our client to our server.

use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};
use kit_base::{Context, Deadline, Endpoint, Error, Kind, Origin, Request, Response};
use kit_transport_grpc::{GrpcClient, binary_value, binary_values, status_of};

use crate::support::{HANGS, Note, echo, echoing, note, serve};

#[tokio::test]
async fn a_message_comes_back() {
    let server = serve(echoing(async |request| Ok(Response::new(request.into_message())))).await;
    let reply = server.echo().call(Request::new(note("grüße"))).await.expect("an answer");
    assert_eq!(reply.message().text, "grüße");
    // Empty messages are messages too.
    let reply = server.echo().call(Request::new(Note::default())).await.expect("an answer");
    assert_eq!(*reply.message(), Note::default());
}

#[tokio::test]
async fn an_error_comes_back_as_what_it_was() {
    let server = serve(echoing(async |_| {
        let error = Error::resource_exhausted("50% of\nÄpfel").with_reason("NO_APPLES");
        Err(error.with_retry_after(Duration::from_millis(1500)).with_source("secret".to_owned()))
    }))
    .await;
    let error = server.echo().call(Request::new(note(""))).await.expect_err("an error");
    assert_eq!((error.kind(), error.message()), (Kind::ResourceExhausted, "50% of\nÄpfel"));
    assert_eq!((error.reason(), error.retry_after()), (Some("NO_APPLES"), Some(Duration::from_millis(1500))));
    assert_eq!(error.origin(), Origin::Remote);
    assert_eq!(status_of(&error).expect("the status").code(), tonic::Code::ResourceExhausted);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn metadata_goes_both_ways() {
    let name = HeaderName::from_static;
    let server = serve(echoing(|request: Request<Note>| async move {
        let name = HeaderName::from_static;
        let key = request.context().inbound()["x-key"].clone();
        let bytes = binary_values(request.context().inbound(), "x-key-bin").expect("base64");
        let mut response = Response::new(request.into_message()).with_header(name("x-head"), key);
        response.parts_mut().trailers.insert("x-tail-bin", binary_value(&bytes[0]));
        // Not the user's to send.
        response.parts_mut().headers.insert("content-length", HeaderValue::from_static("3"));
        response.parts_mut().trailers.insert("grpc-status", HeaderValue::from_static("7"));
        Ok(response)
    }))
    .await;
    let context = Context::new()
        .with_outbound(name("x-key"), HeaderValue::from_static("v"))
        .with_outbound(name("x-key-bin"), binary_value(&[0, 1, 255]));
    let reply = server.echo().call(Request::from_parts(context, note(""))).await.expect("an answer");
    let parts = reply.parts().expect("parts");
    assert_eq!(parts.headers["x-head"], "v");
    assert_eq!(binary_values(&parts.trailers, "x-tail-bin").expect("base64"), [&[0, 1, 255][..]]);
    assert!(!parts.trailers.contains_key("grpc-status"), "{parts:?}");
}

#[tokio::test]
async fn a_deadline_passes_on_both_sides() {
    let (ended, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = serve(echoing(async |_| std::future::pending().await).finalizer(move |finished| {
        let _ = ended.send((finished.left, finished.error.map(Error::kind)));
    }))
    .await;
    let started = Instant::now();
    let context = Context::new().with_deadline(Deadline::after(started, Duration::from_millis(200)));
    let error = server.echo().call(Request::from_parts(context, note(""))).await.expect_err("too late");
    assert_eq!(error.kind(), Kind::DeadlineExceeded, "{error}");
    assert!(started.elapsed() >= Duration::from_millis(200));
    let (left, kind) = tokio::time::timeout(HANGS, seen.recv()).await.expect("no hang").expect("an end");
    // Whichever side was first.
    assert!(left || kind == Some(Kind::DeadlineExceeded), "{left} {kind:?}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable_and_nothing_was_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    drop(listener);
    let client = GrpcClient::new(url).expect("a client");
    let call = client.endpoint::<Note, Note>(echo());
    let error = call.call(Request::new(note(""))).await.expect_err("nobody is there");
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{error:?}");
}

#[tokio::test]
async fn a_gateway_sends_the_message_of_its_clients_response_and_none_of_its_metadata() {
    let name = HeaderName::from_static;
    let behind = serve(echoing(|request: Request<Note>| async move {
        let secret = HeaderValue::from_static("secret");
        let mut response =
            Response::new(request.into_message()).with_header(HeaderName::from_static("x-own"), secret.clone());
        response.parts_mut().trailers.insert("x-own-tail", secret);
        Ok(response)
    }))
    .await;
    let call = std::sync::Arc::new(behind.echo());
    let gateway = serve(echoing(move |request| {
        let call = std::sync::Arc::clone(&call);
        async move { call.call(request).await }
    }))
    .await;
    let reply = gateway.echo().call(Request::new(note("through"))).await.expect("an answer");
    assert_eq!(reply.message().text, "through");
    let parts = reply.parts().expect("parts");
    assert!(!parts.headers.contains_key(name("x-own")) && !parts.trailers.contains_key("x-own-tail"), "{parts:?}");
}

#[test]
fn a_url_that_names_no_service_is_told_with_what_is_wanted() {
    for url in ["http://127.0.0.1", "http://127.0.0.1:8082", "http://[::1]:8082/", "http://add"] {
        GrpcClient::new(url).expect(url);
    }
    // A port that is too large would be that of `http` otherwise.
    let wrong = ["", "localhost", "127.0.0.1:8082", "http://", "http://:8082", "http://x:", "http://x:99999"];
    for url in wrong.into_iter().chain(["http://x:1/path", "http://a@x:1", "grpc://x:1"]) {
        let error = GrpcClient::new(url).expect_err(url).to_string();
        assert!(error.starts_with(&format!("{url:?} is not the URL of a service: want http://host:port")), "{error}");
    }
}
