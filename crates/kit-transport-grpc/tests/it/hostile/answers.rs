//! Answers that are wrong, and what a client makes of each.

use std::error::Error as _;
use std::time::Duration;

use kit_base::{Error, Kind, Origin, RetryHint};
use kit_transport_grpc::status_of;
use prost::Message;

use super::peer::{announced, frame, framed};
use super::script::{Fields, Step, answer, called, data, fields, head, ok, only, trailers};
use crate::support::note;

/// A table of scripts, and of what the first call must end with.
async fn assert_all<const N: usize>(cases: [(&str, Vec<Step>, Kind, &str); N]) {
    for (case, steps, kind, message) in cases {
        let error = called(steps).await.expect_err(case);
        assert_eq!((error.kind(), error.message()), (kind, message), "{case}: {error:?}");
        assert_eq!(error.origin(), Origin::Remote, "{case}: {error:?}");
        // It is not this caller's fault that a peer behind it breaks rules.
        assert_ne!(error.reason(), Some("GRPC_PROTOCOL"), "{case}: {error:?}");
    }
}

#[tokio::test]
async fn a_status_that_is_none_is_unknown_and_shown() {
    let status = |status: &str| vec![head(), data("a"), trailers(&[("grpc-status", status)])];
    let both = |status: &str| {
        let fields = [("grpc-status", status), ("grpc-message", "why"), ("x", "y")];
        vec![head(), data("a"), trailers(&fields)]
    };
    assert_all([
        ("garbage", status("banana"), Kind::Unknown, r#"the grpc-status "banana" is none of gRPC"#),
        ("17", status("17"), Kind::Unknown, r#"the grpc-status "17" is none of gRPC"#),
        ("-1", status("-1"), Kind::Unknown, r#"the grpc-status "-1" is none of gRPC"#),
        ("-0", status("-0"), Kind::Unknown, r#"the grpc-status "-0" is none of gRPC"#),
        ("empty", status(""), Kind::Unknown, r#"the grpc-status "" is none of gRPC"#),
        ("a float", status("0.0"), Kind::Unknown, r#"the grpc-status "0.0" is none of gRPC"#),
        ("a name", status("OK"), Kind::Unknown, r#"the grpc-status "OK" is none of gRPC"#),
        (
            "too large",
            status("99999999999999999999"),
            Kind::Unknown,
            r#"the grpc-status "99999999999999999999" is none of gRPC"#,
        ),
        ("no text", status("\u{ff}"), Kind::Unknown, "the grpc-status \"\u{fffd}\" is none of gRPC"),
        ("with a text", both("18"), Kind::Unknown, r#"the grpc-status "18" is none of gRPC: why"#),
        ("a code and no text", status("5"), Kind::NotFound, "no message came with the status"),
        ("with zeros", status("005"), Kind::NotFound, "no message came with the status"),
    ])
    .await;
    for code in ["0", "00"] {
        let reply = called(status(code)).await.expect("an answer");
        assert_eq!(reply.message().text, "a");
    }
    for kind in Kind::ALL {
        let error = called(both(&kind.grpc_code().to_string())).await.expect_err("an error");
        assert_eq!((error.kind(), error.message(), error.origin()), (kind, "why", Origin::Remote), "{error:?}");
        assert_eq!(status_of(&error).expect("the status").metadata().get("x").expect("metadata"), "y");
    }
}

#[tokio::test]
async fn a_status_counts_wherever_it_stands() {
    let error = [("grpc-status", "5"), ("grpc-message", "why")];
    let found = |error: [(&'static str, &str); 2]| Step::Fields(answer(&error));
    let none = Kind::NotFound;
    assert_all([
        ("alone", vec![only(&error)], none, "why"),
        ("in the head, the end apart", vec![found(error), Step::End], none, "why"),
        ("in the head, and no end", vec![found(error)], none, "why"),
        ("in the head, and a message", vec![found(error), data("a"), ok()], none, "why"),
        ("in trailers behind a message", vec![head(), data("a"), trailers(&error)], none, "why"),
        (
            "in trailers, though not in the head",
            vec![found([("grpc-status", "0"), ("grpc-message", "")]), data("a"), trailers(&error)],
            none,
            "why",
        ),
        (
            "in trailers behind two messages",
            vec![head(), Step::Data([framed("a"), frame(0, b"")[..3].to_vec()].concat()), trailers(&error)],
            none,
            "why",
        ),
        (
            "OK alone",
            vec![only(&[("grpc-status", "0")])],
            Kind::Unimplemented,
            "no message came, and the method answers one",
        ),
        (
            "OK in the head, the end apart",
            vec![Step::Fields(answer(&[("grpc-status", "0")])), Step::End],
            Kind::Unimplemented,
            "no message came, and the method answers one",
        ),
        (
            "OK in the head, and none at the end",
            vec![Step::Fields(answer(&[("grpc-status", "0")])), data("a"), Step::End],
            Kind::Internal,
            "the answer ended without trailers, and so without a grpc-status",
        ),
        (
            "nowhere, in trailers",
            vec![head(), data("a"), trailers(&[("x", "y")])],
            Kind::Unknown,
            "the trailers have no grpc-status",
        ),
        (
            "nowhere, in a head alone",
            vec![only(&[])],
            Kind::Unknown,
            "the answer has no grpc-status, under the HTTP status 200 OK",
        ),
        (
            "nowhere, without trailers",
            vec![head(), data("a"), Step::End],
            Kind::Internal,
            "the answer ended without trailers, and so without a grpc-status",
        ),
    ])
    .await;
    let given = answer(&[("grpc-status", "0")]);
    let reply = called(vec![Step::Fields(given), data("a"), ok()]).await.expect("an answer");
    assert_eq!(reply.message().text, "a");
}

#[tokio::test]
async fn an_answer_that_is_not_grpc_is_told_by_its_http_status() {
    let statuses = [
        ("200", Kind::Unknown),
        ("204", Kind::Unknown),
        ("302", Kind::Unknown),
        ("400", Kind::Internal),
        ("401", Kind::Unauthenticated),
        ("403", Kind::PermissionDenied),
        ("404", Kind::Unimplemented),
        ("418", Kind::Unknown),
        ("429", Kind::Unavailable),
        ("500", Kind::Unknown),
        ("502", Kind::Unavailable),
        ("503", Kind::Unavailable),
        ("504", Kind::Unavailable),
    ];
    for (status, kind) in statuses {
        let html = fields(&[(":status", status), ("content-type", "text/html; charset=utf-8")]);
        let bare = fields(&[(":status", status)]);
        let grpc = fields(&[(":status", status), ("content-type", "application/grpc")]);
        let page = Step::Data(b"<html>no</html>".to_vec());
        let with = |head: Fields| vec![Step::Fields(head), page.clone(), Step::End];
        let name = http::StatusCode::from_bytes(status.as_bytes()).expect("a status");
        let not_grpc = |content: &str| format!("the answer is not gRPC: HTTP status {name} with {content}");
        let html_text = not_grpc(r#"the content type "text/html; charset=utf-8""#);
        assert_all([
            ("html", with(html.clone()), kind, &html_text),
            ("a head of html", vec![Step::Last(html)], kind, &html_text),
            ("no type", with(bare.clone()), kind, &not_grpc("no content type")),
        ])
        .await;
        if status != "200" {
            let text = format!("the answer has no grpc-status, under the HTTP status {name}");
            assert_all([
                ("under gRPC", with(grpc.clone()), kind, &text),
                ("a head under gRPC", vec![Step::Last(grpc.clone())], kind, &text),
            ])
            .await;
        }
        let told = [grpc, fields(&[("grpc-status", "8"), ("grpc-message", "told")])].concat();
        assert_all([("told", vec![Step::Last(told)], Kind::ResourceExhausted, "told")]).await;
    }
}

#[tokio::test]
async fn texts_and_details_may_be_broken_and_the_status_stands() {
    let told = |message: &str| vec![only(&[("grpc-status", "5"), ("grpc-message", message)])];
    let utf8: String = "grüße".bytes().map(char::from).collect();
    assert_all([
        ("per cent", told("100%25 of %C3%9C"), Kind::NotFound, "100% of Ü"),
        ("broken", told("100% of %zz%4"), Kind::NotFound, "100% of %zz%4"),
        ("lower case", told("%c3%bc"), Kind::NotFound, "ü"),
        ("no UTF-8", told("a%FF%FEb"), Kind::NotFound, "a\u{fffd}\u{fffd}b"),
        ("half a character", told("a%C3"), Kind::NotFound, "a\u{fffd}"),
        ("UTF-8 as it is", told(&utf8), Kind::NotFound, "grüße"),
        ("Latin", told("gr\u{fc}n"), Kind::NotFound, "gr\u{fffd}n"),
        ("control characters", told("a%0A%00b"), Kind::NotFound, "a\n\0b"),
        ("empty", told(""), Kind::NotFound, "no message came with the status"),
    ])
    .await;
    let error = called(told(&"x".repeat(10_000))).await.expect_err("an error");
    assert_eq!((error.kind(), error.message().len()), (Kind::NotFound, 2048));
    // No base64; base64 of garbage; a status of another code; an Any of garbage; a time below zero, and one too long.
    let any = |name: &str, value: &[u8]| {
        let url = format!("type.googleapis.com/google.rpc.{name}");
        let any = Any { type_url: url, value: value.to_vec() };
        let status = Status { code: 7, message: "other".to_owned(), details: vec![any] };
        base64(&status.encode_to_vec())
    };
    let negative = any("RetryInfo", &[0x0a, 11, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    let endless = any("RetryInfo", &[0x0a, 10, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    let reason = any("ErrorInfo", b"\x0a\x03WHY");
    let details = [
        "!!!".to_owned(),
        "AAAA=A".to_owned(),
        "\u{ff}".to_owned(),
        base64(&[0xff; 40]),
        any("ErrorInfo", &[0xff; 9]),
        any("RetryInfo", &[0xff; 9]),
        any("BadRequest", &[0x0a, 0xff]),
        negative.clone(),
        endless.clone(),
        reason.clone(),
        format!("{reason}, {endless}"),
    ];
    for details in &details {
        let steps = vec![only(&[("grpc-status", "5"), ("grpc-message", "why"), ("grpc-status-details-bin", details)])];
        let error = called(steps).await.expect_err("an error");
        assert_eq!((error.kind(), error.message()), (Kind::NotFound, "why"), "{details}: {error:?}");
        assert_eq!(error.reason(), (*details == reason).then_some("WHY"), "{details}: {error:?}");
        let ten_years = Duration::from_secs(10 * 365 * 24 * 3600);
        let after = if *details == negative { Some(Duration::ZERO) } else { None };
        let after = if *details == endless { Some(ten_years) } else { after };
        assert_eq!(error.retry_after(), after, "{details}: {error:?}");
    }
}

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

fn base64(bytes: &[u8]) -> String {
    kit_transport_grpc::binary_value(bytes).to_str().expect("ASCII").to_owned()
}

#[tokio::test]
async fn a_push_back_that_is_no_time_says_never() {
    let ms = |ms| RetryHint::After(Duration::from_millis(ms));
    let cases: [(&[&str], RetryHint); 12] = [
        (&[], RetryHint::None),
        (&["0"], ms(0)),
        (&["1500"], ms(1500)),
        (&["-1"], RetryHint::Never),
        (&["-1500"], RetryHint::Never),
        (&["banana"], RetryHint::Never),
        (&[""], RetryHint::Never),
        (&["1.5"], RetryHint::Never),
        (&["\u{ff}"], RetryHint::Never),
        (&["99999999999999999999999"], RetryHint::Never),
        (&["18446744073709551615"], RetryHint::After(Duration::from_secs(10 * 365 * 24 * 3600))),
        // gRFC A6 and grpc-go: nobody could say which one counts.
        (&["10", "20"], RetryHint::Never),
    ];
    for (values, hint) in cases {
        let mut given = vec![("grpc-status", "14")];
        given.extend(values.iter().map(|value| ("grpc-retry-pushback-ms", *value)));
        let error = called(vec![only(&given)]).await.expect_err("an error");
        assert_eq!((error.kind(), error.retry_hint()), (Kind::Unavailable, hint), "{values:?}: {error:?}");
    }
}

#[tokio::test]
async fn messages_that_are_none_are_told_as_what_they_are() {
    let hi = note("hi").encode_to_vec();
    let body = |data: Vec<u8>| vec![head(), Step::Data(data), ok()];
    let under =
        |coding: &str, data: Vec<u8>| vec![Step::Fields(answer(&[("grpc-encoding", coding)])), Step::Data(data), ok()];
    let known = if cfg!(feature = "gzip") { "gzip,identity" } else { "identity" };
    assert_all([
        ("none", vec![head(), ok()], Kind::Unimplemented, "no message came, and the method answers one"),
        ("two", body(framed("a").repeat(2)), Kind::Unimplemented, "two messages came, and the method answers one"),
        (
            "two apart",
            vec![head(), data("a"), data("b"), ok()],
            Kind::Unimplemented,
            "two messages came, and the method answers one",
        ),
        (
            "half a head",
            body(vec![0, 0, 0]),
            Kind::Internal,
            "the stream ended within a message, 3 bytes after its beginning",
        ),
        (
            "longer than announced",
            body(announced(0, 3, &hi)),
            Kind::Internal,
            "the stream ended within a message, 1 bytes after its beginning",
        ),
        (
            "shorter than announced",
            body(announced(0, 5, &hi)),
            Kind::Internal,
            "the stream ended within a message, 9 bytes after its beginning",
        ),
        (
            "a flag that is none",
            body(frame(2, &hi)),
            Kind::Internal,
            "a message has the flag 2, which is neither 0 nor 1",
        ),
        ("html", body(b"<html>".to_vec()), Kind::Internal, "a message has the flag 60, which is neither 0 nor 1"),
        (
            "compressed by nothing",
            body(frame(1, &hi)),
            Kind::Internal,
            "a message is compressed, and no grpc-encoding says how",
        ),
        (
            "compressed by identity",
            under("identity", frame(1, &hi)),
            Kind::Internal,
            "a message is compressed, and no grpc-encoding says how",
        ),
        (
            "compressed by what is not known",
            under("br", frame(1, &hi)),
            Kind::Internal,
            &format!("messages compressed by \"br\" are not supported: want one of {known}"),
        ),
        (
            "garbage",
            body(frame(0, &[0xff; 12])),
            Kind::Internal,
            "a message cannot be decoded: failed to decode Protobuf message: invalid varint",
        ),
        (
            "too long",
            body(announced(0, 4 * 1024 * 1024 + 1, &[])),
            Kind::ResourceExhausted,
            "a message of 4194305 bytes came, more than 4194304 are not taken",
        ),
        (
            "of 4 GiB",
            vec![head(), Step::Data(announced(0, u32::MAX, &hi))],
            Kind::ResourceExhausted,
            "a message of 4294967295 bytes came, more than 4194304 are not taken",
        ),
    ])
    .await;
    let error = called(body(frame(0, &[0xff; 12]))).await.expect_err("garbage");
    assert!(error.source().is_some_and(|source| source.is::<prost::DecodeError>()), "{error:?}");
    // What no message is compressed by does not matter.
    let error = called(vec![
        Step::Fields(answer(&[("grpc-encoding", "br")])),
        trailers(&[("grpc-status", "5"), ("grpc-message", "why")]),
    ])
    .await;
    let error: Error = error.expect_err("an error");
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "why"), "{error:?}");
    // Byte by byte, and with interim heads before.
    let mut steps = vec![
        Step::Fields(fields(&[(":status", "100")])),
        Step::Fields(fields(&[(":status", "103"), ("x", "y")])),
        head(),
    ];
    steps.extend(framed("a").iter().map(|byte| Step::Data(vec![*byte])));
    steps.push(ok());
    assert_eq!(called(steps).await.expect("an answer").message().text, "a");
}
