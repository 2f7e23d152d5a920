//! The hooks of a server: their order, what they see, and that finalizers run once.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use kit_base::{Error, Request, Response};
use kit_testing::http::{Peer, raw_response};
use kit_transport_http::{HttpServer, Json, Received, RequestInfo};

use crate::support::{By, Notes, OnDrop, add, answer, ask, chain, failing, op, post, problem, request, sum, up};

/// Puts notes of every hook into the server, two of each.
fn noted(server: HttpServer, notes: &Notes) -> HttpServer {
    let note = |text: &'static str| {
        let notes = notes.clone();
        move || notes.add(text)
    };
    let (before1, before2) = (note("before 1"), note("before 2"));
    let (after1, after2) = (note("after 1"), note("after 2"));
    let (error1, error2) = (note("error 1"), note("error 2"));
    let (final1, final2) = (notes.clone(), note("finalizer 2"));
    server
        .before(move |_, _| before1())
        .before(move |_, _| before2())
        .after(move |_, _| after1())
        .after(move |_, _| after2())
        .error_handler(move |_, _| error1())
        .error_handler(move |_, _| error2())
        .finalizer(move |finished| final1.add(format!("finalizer 1: {:?}", finished.status.map(|s| s.as_u16()))))
        .finalizer(move |_| final2())
}

fn three_steps(notes: &Notes, fail: [bool; 3]) -> HttpServer {
    let [decoding, calling, encoding] = ["decode", "endpoint", "encode"].map(|step| {
        let notes = notes.clone();
        let index = ["decode", "endpoint", "encode"].iter().position(|name| *name == step).unwrap();
        move || {
            notes.add(step);
            if fail[index] { Err(Error::aborted(step)) } else { Ok(()) }
        }
    });
    HttpServer::new().handle(
        op("m"),
        By(move |_: Request<()>| {
            let called = calling();
            async { called.map(Response::new) }
        }),
        move |_: &Received<'_>| decoding(),
        move |_: &Received<'_>, outcome: Result<Response<()>, Error>| {
            encoding()?;
            outcome.map(|_| http::Response::new(Bytes::new()))
        },
    )
}

#[tokio::test]
async fn the_steps_of_a_success_come_in_order() {
    // HTTP-S5, S6, S7, S14.
    let notes = Notes::default();
    assert_eq!(answer(noted(three_steps(&notes, [false; 3]), &notes), post("/m", "")).await.status(), 200);
    let want = ["before 1", "before 2", "decode", "endpoint", "encode", "after 1", "after 2"];
    assert_eq!(notes.all(), [&want[..], &["finalizer 1: Some(200)", "finalizer 2"]].concat());
}

#[tokio::test]
async fn an_error_at_any_step_goes_to_handlers_encoder_and_finalizers() {
    // HTTP-S1, S2, S3.
    let cases: [([bool; 3], &[&str]); 3] = [
        ([true, false, false], &["decode"]),
        ([false, true, false], &["decode", "endpoint", "encode"]),
        ([false, false, true], &["decode", "endpoint", "encode"]),
    ];
    for (fail, steps) in cases {
        let notes = Notes::default();
        problem(&answer(noted(three_steps(&notes, fail), &notes), post("/m", "")).await, 409);
        let ends = ["error 1", "error 2", "finalizer 1: Some(409)", "finalizer 2"];
        assert_eq!(notes.all(), [&["before 1", "before 2"], steps, &ends[..]].concat());
    }
}

#[tokio::test]
async fn what_one_hook_puts_into_the_context_the_others_and_the_endpoint_see() {
    // HTTP-S6, S7: Go kit's hooks share a context.
    let notes = Notes::default();
    let [in_endpoint, in_after, in_final] = [(); 3].map(|()| notes.clone());
    let endpoint = By(move |request: Request<()>| {
        in_endpoint.add(*request.context().extensions().get::<&str>().unwrap());
        async { Ok::<_, Error>(Response::new(())) }
    });
    let server = HttpServer::new()
        .endpoint(op("m"), endpoint)
        .before(|context, _| {
            context.extensions_mut().insert("one");
        })
        .before(|context, _| {
            assert_eq!(context.extensions().get(), Some(&"one"));
            context.extensions_mut().insert("two");
        })
        .after(move |context, headers| {
            in_after.add(*context.extensions().get::<&str>().unwrap());
            headers.insert("x-one", HeaderValue::from_static("1"));
        })
        .after(|_, headers| {
            assert_eq!(headers["x-one"], "1");
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/hal+json"));
        })
        .finalizer(move |finished| in_final.add(*finished.context.extensions().get::<&str>().unwrap()));
    let answer = answer(server, post("/m", "")).await;
    assert_eq!(notes.all(), ["two"; 3]);
    assert_eq!(answer.headers()["x-one"], "1");
    // HTTP-S16: SetContentType, SetResponseHeader.
    assert_eq!(answer.headers()["content-type"], "application/hal+json");
}

#[tokio::test]
async fn a_finalizer_sees_status_headers_bytes_and_the_request() {
    // HTTP-S8.
    let notes = Notes::default();
    let seen = notes.clone();
    let teapot = |_: &Received<'_>, _: Result<Response<()>, Error>| {
        let mut answer = http::Response::new(Bytes::from_static(b"go eat a fly ugly\n"));
        *answer.status_mut() = StatusCode::IM_A_TEAPOT;
        answer.headers_mut().insert("x-henlo-lizer", HeaderValue::from_static("Helllo you stinky lizard"));
        Ok(answer)
    };
    let server = HttpServer::new()
        .handle(op("m"), By(async |_: Request<()>| Ok::<_, Error>(Response::new(()))), Json::new(), teapot)
        .finalizer(move |finished| {
            let header = finished.headers.unwrap()["x-henlo-lizer"].to_str().unwrap();
            seen.add(format!("{:?} {} {header}", finished.status, finished.bytes));
            seen.add(format!("{} {} {}", finished.info.method, finished.info.uri, finished.context.operation()));
        });
    answer(server, post("/m?x=1", "")).await;
    assert_eq!(notes.all(), ["Some(418) 18 Helllo you stinky lizard", "POST /m?x=1 test/m"]);
}

#[tokio::test]
async fn a_caller_that_leaves_is_a_finalizer_without_a_status_and_a_dropped_handler() {
    let notes = Notes::default();
    let (started, dropped, seen) = (notes.clone(), notes.clone(), notes.clone());
    let slow = By(move |_: Request<()>| {
        started.add("started");
        let guard = OnDrop(dropped.clone(), "dropped");
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok::<_, Error>(Response::new(()))
        }
    });
    let server = HttpServer::new()
        .endpoint(op("m"), slow)
        .finalizer(move |finished| seen.add(format!("{:?} {:?}", finished.status, finished.headers)));
    let served = up(server).await;
    let mut peer = Peer::connect(served.addr).await.unwrap();
    peer.send("POST /m HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    assert_eq!(notes.until(1).await, ["started"]);
    drop(peer);
    assert_eq!(notes.until(3).await, ["started", "dropped", "None None"]);
    drop(served);
    assert_eq!(notes.all().len(), 3);
}

#[tokio::test]
async fn without_a_route_only_the_handlers_of_errors_run() {
    let notes = Notes::default();
    let routes = noted(sum(), &notes).routes().unwrap();
    problem(&ask(&routes, post("/nope", "")).await, 404);
    problem(&ask(&routes, request(Method::GET, "/sum", "")).await, 405);
    assert_eq!(notes.all(), ["error 1", "error 2", "error 1", "error 2"]);
}

#[tokio::test]
async fn an_error_handler_sees_the_operation_and_the_source_that_nobody_else_does() {
    let notes = Notes::default();
    let seen = notes.clone();
    let server = failing(|| Error::internal("no database").with_source("password of db1 is wrong"))
        .error_handler(move |context, error| seen.add(format!("{} {}", context.operation(), chain(error))));
    let answer = answer(server, post("/fail", "{}")).await;
    assert!(!String::from_utf8_lossy(answer.body()).contains("database"));
    assert_eq!(problem(&answer, 500)["detail"], "internal error");
    assert_eq!(notes.all(), ["test/fail INTERNAL: no database: password of db1 is wrong"]);
}

#[tokio::test]
async fn an_error_encoder_answers_in_its_own_form_or_leaves_it_to_problem_details() {
    // HTTP-S4, S11, S13.
    let server = || {
        failing(|| Error::not_found("no tea").with_reason("TEAPOT")).error_encoder(|error| {
            (error.reason() == Some("TEAPOT")).then(|| {
                let mut answer = http::Response::new(Bytes::from(format!(r#"{{"err":{:?}}}"#, error.message())));
                *answer.status_mut() = StatusCode::IM_A_TEAPOT;
                for value in ["1", "2"] {
                    answer.headers_mut().append("x-foo", HeaderValue::from_static(value));
                }
                answer
            })
        })
    };
    let routes = server().routes().unwrap();
    let answer = ask(&routes, post("/fail", "{}")).await;
    assert_eq!(answer.status(), 418);
    assert_eq!(answer.body(), r#"{"err":"no tea"}"#);
    assert_eq!(answer.headers().get_all("x-foo").iter().collect::<Vec<_>>(), ["1", "2"]);

    problem(&ask(&routes, post("/fail", "nope")).await, 400);
    let answer = ask(&routes, request(Method::GET, "/fail", "")).await;
    problem(&answer, 405);
    assert_eq!(answer.headers()["allow"], "POST");
}

#[tokio::test]
async fn an_error_encoder_that_answers_405_itself_need_not_think_of_allow() {
    let server = sum().error_encoder(|_| {
        let mut answer = http::Response::new(Bytes::from_static(b"no"));
        *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        Some(answer)
    });
    let answer = answer(server, request(Method::PUT, "/sum", "")).await;
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (405, &b"no"[..]));
    assert_eq!(answer.headers()["allow"], "POST");
}

#[tokio::test]
async fn request_info_is_in_the_context_when_asked_for() {
    // HTTP-S15.
    let info = By(async |request: Request<()>| {
        let context = request.context();
        let RequestInfo { method, uri, version, .. } = context.extensions().get::<RequestInfo>().unwrap();
        let id = context.inbound()["x-request-id"].to_str().unwrap();
        Ok::<_, Error>(Response::new(format!("{method} {} {uri} {version:?} {id}", uri.path())))
    });
    let served = up(HttpServer::new().endpoint(op("m"), info).request_info()).await;
    let request = "POST /m?q=%20x HTTP/1.1\r\nhost: a\r\nx-request-id: a1b2c3\r\ncontent-length: 0\r\n\r\n";
    let answer = raw_response(served.addr, request).await.unwrap();
    assert_eq!(answer.body(), r#""POST /m /m?q=%20x HTTP/1.1 a1b2c3""#);
}

#[tokio::test]
async fn the_peer_and_other_values_come_from_the_extensions_of_the_request() {
    let peer = By(async |request: Request<()>| {
        let port = request.context().peer().unwrap().addr.unwrap().port();
        Ok::<_, Error>(Response::new((port, *request.context().extensions().get::<u8>().unwrap())))
    });
    let mut request = post("/m", "");
    request.extensions_mut().insert(kit_base::Peer::from("10.0.0.1:77".parse::<std::net::SocketAddr>().unwrap()));
    request.extensions_mut().insert(7_u8);
    assert_eq!(answer(HttpServer::new().endpoint(op("m"), peer), request).await.body(), "[77,7]");
}

#[tokio::test]
async fn clones_of_a_service_share_their_endpoint() {
    let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let endpoint = By(move |request: Request<crate::support::Sum>| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        add(request)
    });
    let routes = HttpServer::new().endpoint(op("sum"), endpoint).routes().unwrap();
    for _ in 0..3 {
        ask(&routes.clone(), post("/sum", r#"{"a":1,"b":2}"#)).await;
    }
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 3);
}
