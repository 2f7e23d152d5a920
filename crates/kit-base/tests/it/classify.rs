//! The standard judgement on endpoints, on HTTP and on gRPC over HTTP, and judgements of one's own.

use std::time::Duration;

use http::{HeaderMap, Response};
use kit_base::Verdict::{Caller, Fault, Overloaded, Success, Transient};
use kit_base::{Classify, Error, Judgement, Kind, Origin, Request, RetryHint, Standard, StreamEnd, Unary, wire};

type Http = http::Request<()>;

fn of_head(response: Response<()>) -> Judgement {
    Classify::<Http, Response<()>, Error>::judge(&Standard, &Ok(response))
}

fn of_end(head: &Judgement, end: &StreamEnd<'_>) -> Judgement {
    Classify::<Http, Response<()>, Error>::judge_end(&Standard, head, end)
}

fn head(status: u16, headers: &[(&'static str, &str)]) -> Response<()> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap()
}

fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
    head(200, headers).headers().clone()
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

#[test]
fn an_answer_of_an_endpoint_is_a_success_and_an_error_is_judged_by_its_kind() {
    let judge = |outcome: Result<u8, Error>| Classify::<Request<(), Unary>, _, _>::judge(&Standard, &outcome);
    assert_eq!(judge(Ok(1)), Judgement::SUCCESS);
    for kind in Kind::ALL {
        assert_eq!(judge(Err(Error::new(kind, "x"))), Judgement::of_kind(kind));
    }
}

#[test]
fn an_http_answer_is_judged_by_its_status() {
    for status in [100, 200, 204, 304, 399] {
        assert_eq!(of_head(head(status, &[])), Judgement::SUCCESS, "{status}");
    }
    for (status, verdict) in [(404, Caller), (429, Overloaded), (500, Fault), (502, Transient), (503, Transient)] {
        let judgement = of_head(head(status, &[]));
        assert_eq!(judgement.verdict, verdict, "{status}");
        assert_eq!(judgement.kind, Kind::from_http_status(status.try_into().unwrap()));
        assert_eq!(judgement.origin, Origin::Remote);
        assert_eq!(judgement.retry_hint, RetryHint::None);
    }
}

#[test]
fn an_error_of_the_service_is_judged_by_its_kind_over_http_too() {
    let outcome: Result<Response<()>, Error> = Err(Error::unavailable("no connection").with_origin(Origin::NotSent));
    let judgement = Classify::<Http, _, _>::judge(&Standard, &outcome);
    assert_eq!((judgement.verdict, judgement.origin), (Transient, Origin::NotSent));
}

#[test]
fn retry_after_is_read_where_it_is_seconds() {
    for (text, want) in [
        ("7", Some(7)),
        (" 7 ", Some(7)),
        ("0", Some(0)),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("99999999999999999999", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ] {
        let judgement = of_head(head(429, &[("retry-after", text)]));
        let want = want.map_or(RetryHint::None, |seconds| RetryHint::After(Duration::from_secs(seconds)));
        assert_eq!(judgement.retry_hint, want, "{text:?}");
    }
    assert_eq!(of_head(head(503, &[("retry-after", "7")])).verdict, Overloaded);
    assert_eq!(of_head(head(200, &[("retry-after", "7")])), Judgement::SUCCESS);
}

#[test]
fn a_grpc_status_in_the_head_decides() {
    for kind in Kind::ALL {
        let code = kind.grpc_code().to_string();
        assert_eq!(of_head(head(200, &[GRPC, ("grpc-status", &code)])), Judgement::of_kind(kind));
        // It decides over the HTTP status too.
        assert_eq!(of_head(head(503, &[GRPC, ("grpc-status", &code)])), Judgement::of_kind(kind));
    }
    assert_eq!(of_head(head(200, &[GRPC, ("grpc-status", "0")])), Judgement::SUCCESS);
    for garbage in ["", "x", "-1", "17", "99999999999"] {
        let judgement = of_head(head(200, &[GRPC, ("grpc-status", garbage)]));
        assert_eq!(judgement.kind, Some(Kind::Unknown), "{garbage:?}");
    }
}

#[test]
fn a_bare_status_under_application_grpc_is_judged_as_grpc_does() {
    assert_eq!(of_head(head(200, &[GRPC])).kind, None);
    assert_eq!(of_head(head(400, &[GRPC])).kind, Some(Kind::Internal));
    assert_eq!(of_head(head(404, &[GRPC])).kind, Some(Kind::Unimplemented));
    assert_eq!(of_head(head(429, &[GRPC])).kind, Some(Kind::Unavailable));
    assert_eq!(of_head(head(418, &[GRPC])).kind, Some(Kind::Unknown));
    assert_eq!(of_head(head(418, &[])).kind, Some(Kind::FailedPrecondition));
}

#[test]
fn a_grpc_status_counts_only_under_the_content_type_of_grpc() {
    for (content_type, grpc) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc;charset=utf-8", true),
        ("application/grpc-web", false),
        ("application/json", false),
        ("text/application/grpc", false),
    ] {
        let headers = [("content-type", content_type), ("grpc-status", "13")];
        assert_eq!(wire::is_grpc(&map(&headers)), grpc, "{content_type}");
        assert_eq!(of_head(head(200, &headers)).verdict, if grpc { Fault } else { Success }, "{content_type}");
    }
    assert!(!wire::is_grpc(&HeaderMap::new()));
}

#[test]
fn a_grpc_status_in_the_trailers_decides_over_a_good_head() {
    let ok = Judgement::SUCCESS;
    for kind in Kind::ALL {
        let trailers = map(&[("grpc-status", &kind.grpc_code().to_string())]);
        assert_eq!(of_end(&ok, &StreamEnd::Complete(Some(&trailers))), Judgement::of_kind(kind));
    }
    let good = map(&[("grpc-status", "0")]);
    assert_eq!(of_end(&ok, &StreamEnd::Complete(Some(&good))), ok);
    let others = map(&[("x-checksum", "1")]);
    assert_eq!(of_end(&ok, &StreamEnd::Complete(Some(&others))), ok);
    assert_eq!(of_end(&ok, &StreamEnd::Complete(None)), ok);
}

#[test]
fn a_bad_head_stands_whatever_the_end() {
    let bad = Judgement::of_kind(Kind::NotFound);
    let good = map(&[("grpc-status", "0")]);
    assert_eq!(of_end(&bad, &StreamEnd::Complete(Some(&good))), bad);
    assert_eq!(of_end(&bad, &StreamEnd::Complete(None)), bad);
    assert_eq!(of_end(&bad, &StreamEnd::Failed(Judgement::of_kind(Kind::Internal))), bad);
}

#[test]
fn a_stream_that_breaks_off_after_a_good_head_is_judged_by_how_it_broke() {
    let failure = Judgement::of_kind(Kind::Unavailable);
    assert_eq!(of_end(&Judgement::SUCCESS, &StreamEnd::Failed(failure)), failure);
    let end = StreamEnd::Failed(failure);
    assert_eq!(Classify::<Request<()>, u8, Error>::judge_end(&Standard, &Judgement::SUCCESS, &end), failure);
}

#[test]
fn a_push_back_is_milliseconds_or_means_never() {
    let after = |ms| RetryHint::After(Duration::from_millis(ms));
    for (text, hint) in [
        ("0", after(0)),
        ("250", after(250)),
        ("-1", RetryHint::Never),
        ("", RetryHint::Never),
        ("soon", RetryHint::Never),
        ("1.5", RetryHint::Never),
        ("99999999999999999999", RetryHint::Never),
    ] {
        let headers = map(&[GRPC, ("grpc-status", "14"), ("grpc-retry-pushback-ms", text)]);
        assert_eq!(wire::grpc_push_back(&headers), hint, "{text:?}");
        let in_head = of_head(head(200, &[GRPC, ("grpc-status", "14"), ("grpc-retry-pushback-ms", text)]));
        assert_eq!(in_head.retry_hint, hint, "{text:?}");
        let in_trailers = of_end(&Judgement::SUCCESS, &StreamEnd::Complete(Some(&headers)));
        assert_eq!(in_trailers, in_head);
    }
    assert_eq!(wire::grpc_push_back(&HeaderMap::new()), RetryHint::None);
}

#[test]
fn a_header_that_is_no_text_is_garbage_and_no_panic() {
    let mut headers = map(&[GRPC]);
    let opaque = http::HeaderValue::from_bytes(b"\xff").unwrap();
    for name in [wire::GRPC_STATUS, wire::GRPC_RETRY_PUSHBACK, http::header::RETRY_AFTER] {
        headers.insert(name, opaque.clone());
    }
    assert_eq!(wire::grpc_push_back(&headers), RetryHint::Never);
    assert_eq!(wire::retry_after(&headers), RetryHint::None);
    let mut response = Response::new(());
    *response.headers_mut() = headers;
    assert_eq!(of_head(response).kind, Some(Kind::Unknown));
}

#[test]
fn a_closure_replaces_the_standard_judgement() {
    let failer = |outcome: &Result<Option<u8>, Error>| match outcome {
        Ok(Some(_)) => Judgement::SUCCESS,
        Ok(None) => Judgement::of_kind(Kind::NotFound),
        Err(error) => Judgement::of(error),
    };
    assert_eq!(Classify::<Request<()>, _, _>::judge(&failer, &Ok(None)).verdict, Caller);
    assert_eq!(Classify::<Request<()>, _, _>::judge(&failer, &Ok(Some(1))).verdict, Success);
}
