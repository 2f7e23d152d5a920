//! Requests and responses, and what a policy reads of any request.

use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, StatusCode};
use kit_base::{Context, Deadline, Operation, Peer, Request, RequestParts, Response, ResponseParts};

const NAME: HeaderName = HeaderName::from_static("x-tenant");

#[test]
fn a_request_is_a_message_and_its_context() {
    let mut request = Request::new(1u8);
    *request.message_mut() += 1;
    request.context_mut().outbound_mut().insert(NAME, HeaderValue::from_static("a"));
    let (context, message) = request.into_parts();
    assert_eq!((message, &context.outbound()[NAME]), (2, &HeaderValue::from_static("a")));
    assert_eq!(Request::<_>::from_parts(context, 3).into_message(), 3);
}

#[test]
fn a_response_allocates_its_parts_when_they_are_used() {
    assert_eq!(size_of::<Response<u64>>(), 16);
    let mut plain = Response::new(1u8);
    assert!(plain.parts().is_none());
    *plain.message_mut() += 1;

    let full = plain.with_header(NAME, HeaderValue::from_static("a")).with_status(StatusCode::CREATED);
    let full = full.map(|n| n * 2).with_header(NAME, HeaderValue::from_static("b"));
    let (message, parts) = full.into_parts();
    assert_eq!((message, parts.headers.get_all(NAME).iter().count()), (4, 1));
    assert_eq!(parts.headers[NAME], "b");
    assert_eq!(parts.extensions.get(), Some(&StatusCode::CREATED));
    assert!(parts.trailers.is_empty());

    let mut made = Response::from_parts("x", ResponseParts::default());
    assert!(made.parts().is_some());
    made.parts_mut().trailers.insert(NAME, HeaderValue::from_static("t"));
    assert_eq!(made.into_parts().1.trailers.len(), 1);
    assert!(Response::new(1).into_parts().1.headers.is_empty());
}

fn reads<R: RequestParts>(mut request: R, now: Instant) -> (String, Option<Deadline>, usize) {
    request.extensions_mut().insert(Peer::default());
    assert_eq!(request.peer(), Some(&Peer::default()));
    request.outbound_mut().insert("x-sent", HeaderValue::from_static("1"));
    assert!(request.extensions().get::<Peer>().is_some());
    (request.operation().to_string(), request.deadline(now), request.metadata().len())
}

#[test]
fn a_policy_reads_a_request_of_kit() {
    let now = Instant::now();
    let deadline = Deadline::after(now, Duration::from_secs(1));
    let inbound = [(NAME, HeaderValue::from_static("a"))].into_iter().collect();
    let context = Context::received(inbound, http::Extensions::new());
    let request = Request::<_>::from_parts(context.clone(), ());
    assert_eq!(reads(request, now), ("unmatched".into(), None, 1));
    let context = context.with_deadline(deadline).with_operation(Operation::new("a", "b"));
    // The time at which one asks does not move it.
    let later = now + Duration::from_secs(5);
    assert_eq!(reads(Request::<_>::from_parts(context, ()), later), ("a/b".into(), Some(deadline), 1));
}

#[test]
fn a_policy_reads_an_http_request_on_a_foreign_host() {
    let now = Instant::now();
    let request = |timeout: &str| http::Request::builder().header("grpc-timeout", timeout).body(()).unwrap();
    let second = Deadline::after(now, Duration::from_secs(1));
    assert_eq!(reads(http::Request::new(()), now), ("unmatched".into(), None, 1));
    assert_eq!(reads(request("1S"), now), ("unmatched".into(), Some(second), 2));
    assert_eq!(reads(request("soon"), now).1, None);

    let mut named = request("9S");
    named.extensions_mut().insert(Operation::new("a", "b"));
    named.extensions_mut().insert(second);
    assert_eq!(reads(named, now), ("a/b".into(), Some(second), 2));
}
