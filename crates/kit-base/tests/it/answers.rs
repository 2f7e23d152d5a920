//! The two encoders of an error: problem details, and a gRPC status with its details.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use kit_base::{Error, Failure, Kind, Origin, RetryHint};
use prost::Message;
use serde_json::{Value, json};

fn problem(answer: &Response<Bytes>) -> Value {
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    serde_json::from_slice(answer.body()).unwrap()
}

#[test]
fn each_kind_is_answered_with_its_status_and_name() {
    for kind in Kind::ALL {
        let answer = Error::new(kind, "no user 7").to_http_answer();
        let problem = problem(&answer);
        assert_eq!(answer.status(), kind.http_status());
        assert_eq!(problem["status"], kind.http_status().as_u16());
        assert_eq!(problem["kind"], kind.as_str());
        assert_eq!(problem["type"], "about:blank");
        let neutral = matches!(kind, Kind::Internal | Kind::Unknown);
        assert_eq!(problem["detail"] == "no user 7", !neutral, "{kind}");
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(problem.get("reason").is_none());
    }
}

#[test]
fn problem_details_have_exactly_these_members() {
    let answer = Error::not_found("no user 7").with_reason("NO_SUCH_USER").to_http_answer();
    let want = json!({
        "type": "about:blank", "title": "Not Found", "status": 404, "detail": "no user 7",
        "kind": "NOT_FOUND", "reason": "NO_SUCH_USER",
    });
    assert_eq!(problem(&answer), want);
    assert!(answer.headers().get("retry-after").is_none());
}

#[test]
fn every_text_is_written_as_valid_json() {
    let controls: String = (0..0x20u8).map(char::from).collect();
    for text in [r#"say "hi" to c:\temp"#, "a\nb\r\tc", &controls, "\u{7f}\u{2028}\u{2029}", "grüße 🦀 \u{10ffff}", ""]
    {
        let problem = problem(&Error::not_found(text.to_owned()).with_reason(text.to_owned()).to_http_answer());
        assert_eq!((&problem["detail"], &problem["reason"]), (&text.into(), &text.into()));
    }
}

#[test]
fn a_status_that_says_more_than_the_kind_keeps_the_kind() {
    let answer = Error::invalid_argument("body is larger than 1 MiB").to_http_answer_as(StatusCode::PAYLOAD_TOO_LARGE);
    let problem = problem(&answer);
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!((&problem["status"], &problem["title"]), (&413.into(), &"Payload Too Large".into()));
    assert_eq!(problem["kind"], "INVALID_ARGUMENT");
}

#[test]
fn a_status_without_a_name_has_a_title_that_is_not_wrong() {
    let title = |status: u16| {
        let answer = Error::unavailable("x").to_http_answer_as(StatusCode::from_u16(status).unwrap());
        problem(&answer)["title"].as_str().unwrap().to_owned()
    };
    assert_eq!(title(499), "Client Closed Request");
    assert_ne!(title(599), "Client Closed Request");
}

#[test]
fn retry_after_is_rounded_up_to_whole_seconds() {
    for (after, header) in [
        (Duration::ZERO, "0"),
        (Duration::from_nanos(1), "1"),
        (Duration::from_secs(1), "1"),
        (Duration::from_millis(1001), "2"),
        (Duration::MAX, "18446744073709551615"),
    ] {
        let answer = Error::resource_exhausted("full").with_retry_after(after).to_http_answer();
        assert_eq!(answer.headers()["retry-after"], header, "{after:?}");
    }
    let never = Error::unavailable("x").with_retry_hint(RetryHint::Never).to_http_answer();
    assert!(never.headers().get("retry-after").is_none());
}

#[test]
fn nothing_internal_goes_onto_the_wire() {
    let secret = || {
        Error::internal("password of db1 is wrong")
            .with_source(std::io::Error::other("secret source"))
            .with_origin(Origin::NotSent)
            .with_reason("DB")
            .with_retry_after(Duration::from_secs(1))
    };
    let http = secret().to_http_answer();
    let grpc = secret().to_grpc_answer();
    let wire = format!("{http:?} {grpc:?} {:?}", details(grpc.headers()));
    assert!(!wire.contains("password") && !wire.contains("secret"), "{wire}");
    assert_eq!(problem(&http)["detail"], "internal error");
    assert_eq!(grpc.headers()["grpc-message"], "internal error");
}

#[test]
fn a_grpc_answer_is_a_head_without_messages() {
    for kind in Kind::ALL {
        let answer = Error::new(kind, "x").to_grpc_answer();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        assert_eq!(answer.headers()["grpc-status"], kind.grpc_code().to_string());
        assert!(answer.headers().get("grpc-status-details-bin").is_none());
        assert!(answer.headers().get("grpc-retry-pushback-ms").is_none());
        assert!(answer.body().is_empty());
    }
}

#[test]
fn a_grpc_message_is_per_cent_encoded() {
    for (message, encoded) in [
        ("no user 7", "no user 7"),
        ("", ""),
        ("100% sure", "100%25 sure"),
        ("a\nb\0c", "a%0Ab%00c"),
        ("~ \u{7f}", "~ %7F"),
        ("grüße 🦀", "gr%C3%BC%C3%9Fe %F0%9F%A6%80"),
    ] {
        let answer = Error::not_found(message).to_grpc_answer();
        assert_eq!(answer.headers()["grpc-message"], encoded);
        let back = percent_decoded(encoded);
        assert_eq!(back, message.as_bytes());
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    out
}

#[test]
fn a_push_back_is_milliseconds_or_minus_one() {
    let push_back = |hint| {
        let answer = Error::unavailable("x").with_retry_hint(hint).to_grpc_answer();
        let back = kit_base::wire::grpc_push_back(answer.headers());
        assert_eq!(back, hint);
        answer.headers()["grpc-retry-pushback-ms"].to_str().unwrap().to_owned()
    };
    assert_eq!(push_back(RetryHint::After(Duration::from_millis(1500))), "1500");
    assert_eq!(push_back(RetryHint::After(Duration::ZERO)), "0");
    assert_eq!(push_back(RetryHint::Never), "-1");
    // Up, as whole seconds are: a client that keeps to it would come too early.
    let between = Error::unavailable("x").with_retry_after(Duration::from_nanos(180_000_001)).to_grpc_answer();
    assert_eq!(between.headers()["grpc-retry-pushback-ms"], "181");
    let longest = Error::unavailable("x").with_retry_after(Duration::MAX).to_grpc_answer();
    assert_eq!(longest.headers()["grpc-retry-pushback-ms"], "315360000000");
}

// The messages of `google.rpc`, as prost would generate them.

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn details(headers: &HeaderMap) -> Status {
    let text = headers["grpc-status-details-bin"].to_str().unwrap();
    assert!(!text.contains('='), "gRPC senders write no padding");
    Status::decode(&*base64_decoded(text)).unwrap()
}

fn base64_decoded(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut group, mut bits) = (0u32, 0);
    for c in text.chars() {
        group = group << 6 | u32::try_from(ALPHABET.find(c).unwrap()).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((group >> bits & 0xff) as u8);
        }
    }
    out
}

#[test]
fn reason_and_time_are_details_of_the_status() {
    let after = Duration::new(7, 500_000_000);
    let error = Error::resource_exhausted("quota of 5").with_reason("QUOTA").with_retry_after(after);
    let status = details(error.to_grpc_answer().headers());
    assert_eq!((status.code, &*status.message), (8, "quota of 5"));
    let urls: Vec<_> = status.details.iter().map(|any| &*any.type_url).collect();
    assert_eq!(urls, ["type.googleapis.com/google.rpc.ErrorInfo", "type.googleapis.com/google.rpc.RetryInfo"]);
    let info = ErrorInfo::decode(&*status.details[0].value).unwrap();
    assert_eq!((&*info.reason, &*info.domain), ("QUOTA", ""));
    let retry = RetryInfo::decode(&*status.details[1].value).unwrap().retry_delay.unwrap();
    assert_eq!((retry.seconds, retry.nanos), (7, 500_000_000));
}

#[test]
fn details_of_any_length_are_base64_without_padding() {
    for length in 0..200 {
        let message = "x".repeat(length);
        let status = details(Error::not_found(message.clone()).with_reason("R").to_grpc_answer().headers());
        assert_eq!(status.message, message);
    }
}

#[test]
fn a_time_of_zero_is_a_time() {
    let error = Error::unavailable("x").with_retry_after(Duration::ZERO);
    let status = details(error.to_grpc_answer().headers());
    let retry = RetryInfo::decode(&*status.details[0].value).unwrap().retry_delay.unwrap();
    assert_eq!((retry.seconds, retry.nanos), (0, 0));
}

/// A `google.protobuf.Duration` holds no more than ten thousand years.
#[test]
fn the_longest_time_is_ten_years() {
    let status = details(Error::unavailable("x").with_retry_after(Duration::MAX).to_grpc_answer().headers());
    let retry = RetryInfo::decode(&*status.details[0].value).unwrap().retry_delay.unwrap();
    assert_eq!((retry.seconds, retry.nanos), (315_360_000, 0));
}

#[test]
fn a_status_is_written_into_trailers_over_what_was_there() {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers.insert("x-checksum", "1".parse().unwrap());
    Error::not_found("x").write_grpc_status(&mut trailers);
    assert_eq!(trailers.get_all("grpc-status").iter().collect::<Vec<_>>(), ["5"]);
    assert_eq!(trailers["x-checksum"], "1");
}

#[test]
fn a_head_of_grpc_stays_small_whatever_the_error_says() {
    let error = Error::not_found("é".repeat(100_000)).with_retry_after(Duration::MAX);
    let answer = error.to_grpc_answer();
    let size: usize = answer.headers().values().map(|value| value.len()).sum();
    assert!(size < 8 * 1024, "{size} bytes");
    let ms: u64 = answer.headers()["grpc-retry-pushback-ms"].to_str().unwrap().parse().unwrap();
    assert_eq!(Duration::from_millis(ms), Duration::from_secs(10 * 365 * 24 * 3600));
}

/// What an error of a policy may bring along.
fn speaking() -> Error {
    Error::resource_exhausted("too many").with_source("7").with_headers(|error, headers| {
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        headers.insert("x-left", source.parse().unwrap());
    })
}

#[test]
fn an_error_writes_headers_of_its_own_into_each_answer() {
    let mut head = HeaderMap::new();
    speaking().write_headers(&mut head);
    for headers in [speaking().to_http_answer().headers(), speaking().to_grpc_answer().headers(), &head] {
        assert_eq!(headers["x-left"], "7");
    }
    assert!(!Error::resource_exhausted("").to_http_answer().headers().contains_key("x-left"));
}

#[test]
fn headers_about_another_peer_are_no_part_of_our_own_answer() {
    let of_a_limit_on_the_way_out = speaking().with_origin(Origin::LocalRefusal).into_answer();
    assert!(!of_a_limit_on_the_way_out.to_http_answer().headers().contains_key("x-left"));
    let said_by_the_method_itself = speaking().into_answer();
    assert_eq!(said_by_the_method_itself.to_http_answer().headers()["x-left"], "7");
}
