//! Answers that stream, in process: what a client makes of heads, bodies and trailers of every kind, and when it gives up.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Cx, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response as HttpResponse};
use http_body::Frame;
use kit_base::{Bidi, ClientStream, Context, Deadline, Endpoint, Error, Kind, Origin, Request, Response, ServiceError};
use kit_transport_grpc::GrpcClient;
use tonic::body::Body;

use crate::streams_support::{Log, Notes, drain, feed, frame, in_time, list, list_in, with};
use crate::support::{Note, echo, note};

type Parts = Vec<Result<Frame<Bytes>, &'static str>>;

/// A body of these frames, which then waits, or is at its end. It notes when it is dropped.
struct Frames(std::vec::IntoIter<Result<Frame<Bytes>, &'static str>>, Ends, Option<Log>);

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some(log) = &self.2 {
            log.add("answer");
        }
    }
}

#[derive(Clone, Copy)]
enum Ends {
    Waits,
    Ends,
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Cx<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        match (self.0.next(), self.1) {
            (None, Ends::Waits) => Poll::Pending,
            (frame, _) => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!((self.0.len(), self.1), (0, Ends::Ends))
    }
}

/// A service that answers once, with this head and body, and keeps the request until then.
#[derive(Clone)]
struct Answers(Arc<Mutex<Option<HttpResponse<Frames>>>>, Arc<Mutex<Option<http::Request<Body>>>>);

impl Endpoint<http::Request<Body>> for Answers {
    type Response = HttpResponse<Frames>;
    type Error = ServiceError<Infallible>;

    async fn call(&self, request: http::Request<Body>) -> Result<HttpResponse<Frames>, ServiceError<Infallible>> {
        *self.1.lock().unwrap() = Some(request);
        let answer = self.0.lock().unwrap().take();
        match answer {
            Some(answer) => Ok(answer),
            None => std::future::pending().await,
        }
    }
}

fn head(body: Frames, headers: &[(&'static str, &'static str)]) -> HttpResponse<Frames> {
    let mut answer = HttpResponse::new(body);
    answer.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    for (name, value) in headers {
        answer.headers_mut().insert(*name, value.parse().unwrap());
    }
    answer
}

fn service(answer: impl Into<Option<HttpResponse<Frames>>>) -> Answers {
    Answers(Arc::new(Mutex::new(answer.into())), Arc::default())
}

fn client(service: Answers) -> GrpcClient<Answers> {
    GrpcClient::over("http://test", service).unwrap()
}

fn message(text: &'static str) -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(frame(&note(text))))
}

fn trailers(lines: &[(&'static str, &'static str)]) -> Result<Frame<Bytes>, &'static str> {
    let lines = lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    Ok(Frame::trailers(lines.collect::<HeaderMap>()))
}

/// What a call reads of this body.
async fn reads(body: Parts, end: Ends) -> (Vec<String>, Option<Error>) {
    let client = client(service(head(Frames(body.into_iter(), end, None), &[])));
    let items = list(&client.endpoint::<Note, Notes>(echo()), "").await.expect("a head");
    drain(items).await
}

#[tokio::test]
async fn the_status_in_the_trailers_is_the_end() {
    let (all, error) = reads(vec![message("1"), message("2"), trailers(&[("grpc-status", "0")])], Ends::Waits).await;
    assert_eq!((all, error.is_none()), (vec!["1".to_owned(), "2".to_owned()], true));
    let body = vec![message("1"), trailers(&[("grpc-status", "9"), ("grpc-message", "no%21")])];
    let (all, error) = reads(body, Ends::Waits).await;
    let error = error.unwrap();
    assert_eq!((all.len(), error.kind(), error.message()), (1, Kind::FailedPrecondition, "no!"));
}

#[tokio::test]
async fn an_answer_without_a_status_has_not_ended_well() {
    for (body, kind) in [
        (vec![message("1")], Kind::Internal),
        (vec![message("1"), trailers(&[("x", "y")])], Kind::Unknown),
        (vec![message("1"), Err("broken")], Kind::Unavailable),
        (
            vec![message("1"), Ok(Frame::data(Bytes::from_static(&[0, 0]))), trailers(&[("grpc-status", "0")])],
            Kind::Internal,
        ),
        (vec![message("1"), Ok(Frame::data(Bytes::from_static(&[0, 0])))], Kind::Internal),
        (vec![message("1"), Ok(Frame::data(Bytes::from_static(&[9, 0, 0, 0, 0])))], Kind::Internal),
        // A status says more than what is wrong before it.
        (
            vec![message("1"), Ok(Frame::data(Bytes::from_static(&[0, 0]))), trailers(&[("grpc-status", "5")])],
            Kind::NotFound,
        ),
    ] {
        let (all, error) = reads(body, Ends::Ends).await;
        let error = error.unwrap();
        assert_eq!((all.len(), error.kind(), error.origin()), (1, kind, Origin::Remote), "{error}");
    }
}

#[tokio::test]
async fn a_head_that_is_all_there_is_is_an_outcome() {
    let log = Log::default();
    let over = |status| {
        let log = log.clone();
        let seen = log.clone();
        let body = Frames(vec![].into_iter(), Ends::Ends, None);
        let client = client(service(head(body, &[("grpc-status", status), ("x-tail", "t")])));
        let client =
            client.after(move |_, headers, trailers| log.add(format!("{} {:?}", headers.len(), trailers["x-tail"])));
        client.finalizer(move |call| seen.add(format!("{:?} {}", call.error.map(Error::kind), call.left)))
    };
    let call = over("0").endpoint::<Note, Notes>(echo());
    let reply = call.call(Request::from_parts(Context::new(), note(""))).await.unwrap();
    assert_eq!(reply.parts().unwrap().trailers["x-tail"], "t");
    assert!(reply.parts().unwrap().headers.is_empty());
    assert!(drain(reply.into_message()).await.1.is_none());
    let error = list(&over("5").endpoint::<Note, Notes>(echo()), "").await.expect_err("not found");
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(log.all(), ["0 \"t\"", "None false", "0 \"t\"", "Some(NotFound) false"]);
}

#[tokio::test]
async fn an_answer_that_is_not_grpc_is_an_error_by_its_status() {
    let mut answer = HttpResponse::new(Frames(vec![].into_iter(), Ends::Ends, None));
    *answer.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    let error = list(&client(service(answer)).endpoint::<Note, Notes>(echo()), "").await.expect_err("not gRPC");
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_kept_to_the_end_and_drops_all() {
    let log = Log::default();
    let seen = log.clone();
    let body = Frames(vec![message("1")].into_iter(), Ends::Waits, Some(log.clone()));
    let client = client(service(head(body, &[])));
    let client = client
        .finalizer(move |call| seen.add(format!("{:?} {}", call.error.map(Error::kind), call.duration.as_secs())));
    let started = tokio::time::Instant::now();
    let context = Context::new().with_deadline(Deadline::after(started.into_std(), Duration::from_secs(7)));
    let mut items = list_in(&client.endpoint::<Note, Notes>(echo()), context, "").await.unwrap();
    assert_eq!(items.message().await.unwrap(), Some(note("1")));
    let error = items.message().await.expect_err("too late");
    assert_eq!((error.kind(), started.elapsed()), (Kind::DeadlineExceeded, Duration::from_secs(7)));
    assert_eq!(log.all(), ["answer", "Some(DeadlineExceeded) 7"]);
    assert!(items.message().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_waits_ends_at_the_deadline_too() {
    let body =
        Frames(std::iter::repeat_with(|| message("1")).take(9).collect::<Parts>().into_iter(), Ends::Waits, None);
    let second = Deadline::after(tokio::time::Instant::now().into_std(), Duration::from_secs(1));
    let call = client(service(head(body, &[]))).endpoint::<Note, Notes>(echo());
    let mut items = list_in(&call, Context::new().with_deadline(second), "").await.unwrap();
    assert_eq!(items.message().await.unwrap(), Some(note("1")));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(items.message().await.expect_err("too late").kind(), Kind::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_passes_before_the_head_comes() {
    let log = Log::default();
    let (_feed, said) = feed();
    let service = service(None);
    let context =
        Context::new().with_deadline(Deadline::after(tokio::time::Instant::now().into_std(), Duration::from_secs(7)));
    let call = client(service.clone()).endpoint::<Notes, Notes>(echo());
    let said = with(said, log.on_drop("request"));
    let error = call.call(Request::<_, Bidi>::from_parts(context, said)).await.expect_err("too late");
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    // The body is the connection's, which learns that the call is over.
    let mut body = service.1.lock().unwrap().take().unwrap().into_body();
    let frame = std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await;
    assert!(matches!(frame, Some(Err(_))), "{frame:?}");
    assert_eq!(log.all(), ["request"]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_stream_have_no_deadline_of_their_own() {
    let minutes = Duration::from_secs(600);
    let body = Frames(vec![message("1")].into_iter(), Ends::Waits, None);
    let service = service(head(body, &[]));
    let mut items = list(&client(service.clone()).endpoint::<Note, Notes>(echo()), "").await.unwrap();
    assert!(!service.1.lock().unwrap().as_ref().unwrap().headers().contains_key("grpc-timeout"));
    items.message().await.unwrap();
    assert!(tokio::time::timeout(minutes, items.message()).await.is_err());
    let (_feed, said) = feed();
    let taking = client(self::service(None)).endpoint::<Notes, Note>(echo());
    let call = taking.call(Request::<_, ClientStream>::from_parts(Context::new(), said));
    assert!(tokio::time::timeout(minutes, call).await.is_err());
}

#[tokio::test]
async fn a_caller_who_leaves_drops_answer_and_request_and_is_told_of_once() {
    let log = Log::default();
    let seen = log.clone();
    let body = Frames(vec![message("1")].into_iter(), Ends::Waits, Some(log.clone()));
    let client = client(service(head(body, &[])));
    let client = client.finalizer(move |call| seen.add(format!("{:?} {}", call.error.map(Error::kind), call.left)));
    let items = list(&client.endpoint::<Note, Notes>(echo()), "").await.unwrap();
    drop(items);
    assert_eq!(log.until(2).await, ["None true", "answer"]);
}

#[tokio::test]
async fn a_service_that_never_looks_at_the_request_does_not_hide_its_failure() {
    // The upload is polled by nobody but this test.
    let service = service(None);
    let (feed, said) = feed();
    let call = client(service.clone()).endpoint::<Notes, Note>(echo());
    let call =
        tokio::spawn(async move { call.call(Request::<_, ClientStream>::from_parts(Context::new(), said)).await });
    let mut request = loop {
        tokio::task::yield_now().await;
        if let Some(request) = service.1.lock().unwrap().take() {
            break request.into_body();
        }
    };
    feed.send(Ok(note("1"))).unwrap();
    feed.send(Err(Error::data_loss("gone"))).unwrap();
    for is_data in [true, false] {
        let frame = std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut request), cx)).await;
        assert_eq!(frame.unwrap().is_ok_and(|frame| frame.is_data()), is_data);
    }
    let outcome: Result<Response<Note>, _> = in_time(call).await.unwrap();
    assert_eq!(outcome.expect_err("gone").kind(), Kind::DataLoss);
}

#[tokio::test(start_paused = true)]
async fn what_is_late_already_is_not_sent() {
    let service = service(None);
    let context = Context::new().with_deadline(Deadline::after(tokio::time::Instant::now().into_std(), Duration::ZERO));
    let error = list_in(&client(service.clone()).endpoint::<Note, Notes>(echo()), context, "").await;
    let error = error.expect_err("too late");
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::NotSent));
    assert!(service.1.lock().unwrap().is_none());
}
