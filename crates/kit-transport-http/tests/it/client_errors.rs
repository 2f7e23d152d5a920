//! Errors as a client gets them: from kit servers, from foreign ones, and from no server at all.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use kit_base::{Endpoint, Error, Kind, Origin, Request, RetryHint};
use kit_testing::backend::{Backend, Reply};
use kit_testing::ports;
use kit_transport_http::{Connected, HttpClient, Json, Reply as Answer};
use serde_json::{Value, json};

use crate::support::{chain, failing, op, up};

fn client(url: impl AsRef<str>) -> Connected<Json, Value, Value> {
    HttpClient::new(url).unwrap().endpoint(op("fail"))
}

async fn fail(client: &Connected<Json, Value, Value>) -> Error {
    client.call(Request::new(json!({}))).await.unwrap_err()
}

async fn foreign(reply: Reply) -> Error {
    let backend = Backend::start(reply).await.unwrap();
    fail(&client(backend.url())).await
}

#[tokio::test]
async fn an_error_of_a_kit_server_comes_back_as_it_was_whatever_its_kind() {
    for kind in Kind::ALL {
        let served = up(failing(move || {
            Error::new(kind, "no \"such\" ünit\n")
                .with_reason("NO_SUCH_UNIT")
                .with_retry_after(Duration::from_secs(7))
                .with_source("a secret")
        }))
        .await;
        let error = fail(&client(served.url())).await;
        assert_eq!(error.kind(), kind);
        assert_eq!(error.reason(), Some("NO_SUCH_UNIT"));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(error.origin(), Origin::Remote);
        let message = match kind {
            Kind::Internal => "internal error",
            Kind::Unknown => "unknown error",
            _ => "no \"such\" ünit\n",
        };
        assert_eq!(error.message(), message);
        assert!(!chain(&error).contains("secret"));
    }
}

#[tokio::test]
async fn an_error_without_reason_and_hint_comes_back_without() {
    let served = up(failing(|| Error::aborted("again"))).await;
    let error = fail(&client(served.url())).await;
    assert_eq!((error.kind(), error.message()), (Kind::Aborted, "again"));
    assert_eq!((error.reason(), error.retry_hint()), (None, RetryHint::None));
}

#[tokio::test]
async fn what_the_edge_of_a_kit_server_answers_is_an_error_too() {
    let served = up(failing(|| Error::aborted("x"))).await;
    let error = fail(&HttpClient::new(served.url()).unwrap().endpoint(op("nope"))).await;
    assert_eq!((error.kind(), error.reason()), (Kind::NotFound, Some("NO_ROUTE")));
    let put = HttpClient::new(served.url()).unwrap().route("fail", "PUT /fail");
    let error = fail(&put.endpoint(op("fail"))).await;
    assert_eq!((error.kind(), error.reason()), (Kind::InvalidArgument, Some("METHOD_NOT_ALLOWED")));
}

#[tokio::test]
async fn every_foreign_status_has_its_kind() {
    use Kind::*;
    let table: &[(&[u16], Kind)] = &[
        (&[400, 405, 406, 411, 413, 414, 415, 422, 431], InvalidArgument),
        (&[401], Unauthenticated),
        (&[403], PermissionDenied),
        (&[404, 410], NotFound),
        (&[408, 504], DeadlineExceeded),
        (&[409], Aborted),
        (&[412, 428], FailedPrecondition),
        (&[425, 502, 503], Unavailable),
        (&[429], ResourceExhausted),
        (&[499], Cancelled),
        (&[501], Unimplemented),
        (&[402, 407, 416, 417, 418, 421, 423, 424, 426, 451, 498], FailedPrecondition),
        (&[500, 505, 507, 511, 599], Unknown),
        (&[300, 301, 302, 304, 307, 308], Unknown),
    ];
    for (statuses, kind) in table {
        for status in *statuses {
            let reply = Reply::status(*status).header("content-type", "text/html").body("<h1>no</h1>");
            let error = foreign(reply).await;
            assert_eq!(error.kind(), *kind, "{status}");
            let shown = StatusCode::from_u16(*status).unwrap();
            assert!(error.message().starts_with(&format!("answered with {shown}")), "{error}");
            assert_eq!((error.reason(), error.origin()), (None, Origin::Remote));
        }
    }
}

#[tokio::test]
async fn problem_details_of_others_give_their_detail_or_title() {
    let problem = |body: &str| {
        Reply::status(403).header("content-type", "application/problem+json; charset=utf-8").body(body.to_owned())
    };
    let error = foreign(problem(r#"{"title":"Not enough credit","detail":"your balance is 30"}"#)).await;
    assert_eq!((error.kind(), error.message()), (Kind::PermissionDenied, "your balance is 30"));
    let error = foreign(problem(r#"{"title":"Not enough credit"}"#)).await;
    assert_eq!(error.message(), "Not enough credit");
    for odd in ["", "nope", "[]", "{}", r#"{"detail":5,"kind":7,"reason":{}}"#, r#"{"kind":"NO_KIND"}"#] {
        let error = foreign(problem(odd)).await;
        assert_eq!((error.kind(), error.message()), (Kind::PermissionDenied, "answered with 403 Forbidden"), "{odd}");
    }
    // A body of another type means nothing, whatever is in it.
    let error =
        foreign(Reply::status(403).header("content-type", "application/json").body(r#"{"kind":"ABORTED"}"#)).await;
    assert_eq!(error.kind(), Kind::PermissionDenied);
}

#[tokio::test]
async fn retry_after_is_read_as_seconds_and_as_a_date() {
    let after = async |value: &str| foreign(Reply::status(503).header("retry-after", value)).await.retry_hint();
    assert_eq!(after("120").await, RetryHint::After(Duration::from_secs(120)));
    assert_eq!(after("0").await, RetryHint::After(Duration::ZERO));
    assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT").await, RetryHint::After(Duration::ZERO));
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
    let RetryHint::After(left) = after(&date).await else { panic!("no time in {date}") };
    assert!((97..=100).contains(&left.as_secs()), "{left:?}");
    // More than ten years is as good as never, and sums with it must not overflow.
    let ten_years = RetryHint::After(Duration::from_secs(10 * 365 * 24 * 3600));
    for long in ["18446744073709551615", "9999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        assert_eq!(after(long).await, ten_years, "{long}");
    }
    for garbage in ["soon", "-1", "1.5", "99999999999999999999999"] {
        assert_eq!(after(garbage).await, RetryHint::None, "{garbage}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Backend::start(Reply::json("1")).await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        let backend = Backend::start(Reply::status(status).header("location", &target.url())).await.unwrap();
        let error = fail(&client(backend.url())).await;
        assert_eq!(error.kind(), Kind::Unknown);
        assert!(error.message().ends_with("and redirects are not followed"), "{error}");
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_refused_connection_is_unavailable_and_was_not_sent() {
    let port = ports::free_port().unwrap();
    let error = fail(&client(format!("http://{}", port.addr()))).await;
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
    assert_eq!(error.message(), "cannot connect to the service");
    assert!(chain(&error).contains("refused"), "{}", chain(&error));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_was_not_sent() {
    let error = fail(&client("http://no-such-host.invalid")).await;
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
}

#[tokio::test]
async fn https_without_tls_says_what_to_do() {
    let error = fail(&client("https://127.0.0.1:1")).await;
    assert_eq!((error.kind(), error.origin()), (Kind::Internal, Origin::NotSent));
    let want = "https://127.0.0.1:1/ needs TLS, which this client lacks: \
                turn on a TLS feature of reqwest, or give a client of your own";
    assert_eq!(error.message(), want);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_unavailable_and_may_have_run() {
    let whole = || Reply::json(r#"{"v":3}"#);
    let cuts = [
        (Reply::close(), "the call broke off"),
        (Reply::reset(), "the call broke off"),
        (Reply::raw("HTTP/1.1 200 O"), "the call broke off"),
        (Reply::raw("SSH-2.0-OpenSSH_9.2\r\n"), "the call broke off"),
        (Reply::raw(&b"\0\x01\x02\xff"[..]), "the call broke off"),
        (whole().truncate(3), "the answer broke off"),
        (Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"v\""), "the answer broke off"),
        (Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), "the answer broke off"),
    ];
    for (reply, want) in cuts {
        let shown = format!("{reply:?}");
        let error = foreign(reply).await;
        assert_eq!(
            (error.kind(), error.origin(), error.message()),
            (Kind::Unavailable, Origin::Remote, want),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_internal_and_says_what_it_was() {
    let error = foreign(Reply::ok().header("content-type", "text/html").body("<h1>hello</h1>")).await;
    assert_eq!((error.kind(), error.origin()), (Kind::Internal, Origin::Remote));
    let want = "INTERNAL: the answer cannot be decoded (200 OK, text/html): expected value at line 1 column 1";
    assert_eq!(chain(&error), want);
    let backend = Backend::start(Reply::json(r#"{"v":"x"}"#)).await.unwrap();
    let sum = HttpClient::new(backend.url()).unwrap().endpoint::<Value, crate::support::Value>(op("sum"));
    let error = sum.call(Request::new(json!({}))).await.unwrap_err();
    assert!(chain(&error).contains("invalid type: string \"x\", expected i64"));
}

#[tokio::test]
async fn an_error_whose_body_breaks_off_still_has_its_status() {
    let error = foreign(Reply::status(404).body("not there").truncate(3)).await;
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "answered with 404 Not Found"));
}

#[tokio::test]
async fn an_error_decoder_reads_the_services_own_form_and_leaves_the_rest() {
    let replies = [
        Reply::status(400).header("content-type", "application/json").body(r#"{"error":"zero values"}"#),
        Reply::status(418).body("tea"),
    ];
    let backend = Backend::start(replies).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().error_decoder(|reply: &Answer| {
        let body: Value = serde_json::from_slice(&reply.body).ok()?;
        let text = body.get("error")?.as_str()?.to_owned();
        Some(Error::out_of_range(format!("{}: {text}", reply.status.as_u16())))
    });
    let client = client.endpoint(op("fail"));
    let error = fail(&client).await;
    assert_eq!((error.kind(), error.message()), (Kind::OutOfRange, "400: zero values"));
    assert_eq!(fail(&client).await.kind(), Kind::FailedPrecondition);
}

#[tokio::test]
async fn a_long_text_of_a_peer_is_cut() {
    let problem = |member: &str, text: &str| {
        let body = json!({ member: text, "reason": text }).to_string();
        Reply::status(404).header("content-type", "application/problem+json").body(body)
    };
    let whole = "x".repeat(2048);
    for member in ["detail", "title"] {
        let error = foreign(problem(member, &whole)).await;
        assert_eq!((error.message(), error.reason()), (&*whole, Some(&*whole)));
        let error = foreign(problem(member, &"x".repeat(1024 * 1024))).await;
        assert!(error.message() == format!("{whole}..."), "{} bytes", error.message().len());
        assert_eq!(error.reason(), None, "a name that is cut is another name");
    }
    let error = foreign(problem("detail", &format!("x{}", "ü".repeat(2000)))).await;
    assert_eq!(error.message(), format!("x{}...", "ü".repeat(1023)));
}
