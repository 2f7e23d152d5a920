//! Our server under a client on gRPC's C++ core.

use std::sync::Arc;

use kit_base::{Kind, Readiness};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::peers::{Certificates, Client, calls, python_is_here};
use crate::probe::Probe;

const TYPES: &str = "type.googleapis.com/google.rpc.";

/// Arguments of one run of the client.
fn run(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

fn echo(request: &Value) -> Vec<String> {
    run(&["echo", &request.to_string()])
}

#[tokio::test]
async fn message_metadata_and_deadline_arrive_and_come_back() {
    if !python_is_here() {
        return;
    }
    let mut probe = Probe::serve(|server| server).await;
    let metadata = ["--metadata", "x-a=1", "--metadata", "x-a=2", "--metadata", "x-b-bin=00ff"];
    let request = json!({"text": "é", "payload": "AAH/"}).to_string();
    let runs = [
        run(&["echo"]),
        run(&[&metadata[..], &["--deadline-ms", "20000", "echo", &request]].concat()),
        run(&["--metadata", "x-c-bin=00", "--metadata", "x-c-bin=0102", "--metadata", "x-empty=", "echo"]),
    ];
    let answers = calls(probe.addr, &runs).await;
    for answer in &answers {
        assert_eq!((&answer["code"], &answer["message"], &answer["details"]), (&json!("OK"), &json!(""), &json!([])));
        assert_eq!((&answer["head"], &answer["tail"]), (&json!(true), &json!(true)), "{answer}");
        let trailing: Vec<_> = answer["trailing"].as_object().unwrap().keys().collect();
        assert_eq!(trailing, ["x-probe-tail", "x-probe-tail-bin"], "{answer}");
    }
    let reply = |i: usize| &answers[i]["reply"];
    assert_eq!(
        (&reply(0)["text"], &reply(0)["payload"], &reply(0)["timeout_ms"]),
        (&json!(""), &json!(""), &json!(-1))
    );
    assert_eq!((&reply(1)["text"], &reply(1)["payload"]), (&json!("é"), &json!("0001ff")));
    let arrived = &reply(1)["metadata"];
    assert_eq!((&arrived["x-a"], &arrived["x-b-bin"]), (&json!("1, 2"), &json!("00ff")), "{arrived}");
    assert_eq!((&arrived["te"], &arrived["content-type"]), (&json!("trailers"), &json!("application/grpc")));
    let left = reply(1)["timeout_ms"].as_i64().unwrap();
    // gRPC's core rounds what it sends up, by a hundredth at most.
    assert!((10_000..=20_200).contains(&left), "{left}");
    let arrived = &reply(2)["metadata"];
    assert_eq!((&arrived["x-c-bin"], &arrived["x-empty"]), (&json!("00, 0102"), &json!("")), "{arrived}");
    assert_eq!(probe.ended("Echo"), ["OK"; 3]);
}

#[tokio::test]
async fn each_code_arrives_with_its_text() {
    if !python_is_here() {
        return;
    }
    let mut probe = Probe::serve(|server| server).await;
    let texts = ["100 % wrong:\n\tü ☃ %41 😀", "", "%", "\u{0}\u{7f} \"quoted\" \\", " blanks around "];
    let asked: Vec<_> = Kind::ALL.into_iter().zip(texts.into_iter().cycle()).collect();
    let fail = |&(kind, text): &(Kind, &str)| json!({"fail": {"code": kind.grpc_code(), "message": text}});
    let runs: Vec<_> = asked.iter().map(|asked| echo(&fail(asked))).collect();
    let answers = calls(probe.addr, &runs).await;
    for ((kind, text), answer) in asked.iter().zip(&answers) {
        // What went wrong inside is nothing for a peer.
        let text = match kind {
            Kind::Internal => "internal error",
            Kind::Unknown => "unknown error",
            _ => text,
        };
        assert_eq!((&answer["code"], &answer["message"]), (&json!(kind.as_str()), &json!(text)), "{answer}");
        assert_eq!((&answer["details"], &answer["reply"]), (&json!([]), &Value::Null), "{answer}");
        // Trailers-Only: a client may try such a call again by itself.
        assert_eq!(answer["initial"], json!({}), "{answer}");
    }
    assert_eq!(probe.ended("Echo"), Kind::ALL.map(Kind::as_str));
}

#[tokio::test]
async fn details_and_push_back_arrive_with_an_error() {
    if !python_is_here() {
        return;
    }
    let probe = Probe::serve(|server| server).await;
    let long = "é😀".repeat(500);
    let fails = [
        json!({"code": 3, "message": "100 % wrong:\nü", "reason": "WRONG", "retry_after_ms": 1500,
            "field_violations": {"a.b": "is bad", "ä": "is 100 % bad"}}),
        json!({"code": 9, "message": "not now", "reason": "NOT_NOW"}),
        json!({"code": 8, "retry_after_ms": 20}),
        json!({"code": 14, "message": "never", "retry_after_ms": u32::MAX}),
        json!({"code": 13, "message": "secret", "reason": "BROKEN", "field_violations": {"a": "b"}}),
        json!({"code": 3, "message": long, "field_violations": {"a": "b"}}),
    ];
    let answers = calls(probe.addr, &fails.map(|fail| echo(&json!({ "fail": fail })))).await;
    let info = |reason: &str| json!({"@type": format!("{TYPES}ErrorInfo"), "reason": reason});
    let retry = |delay: &str| json!({"@type": format!("{TYPES}RetryInfo"), "retry_delay": delay});
    let bad = |fields: &[(&str, &str)]| {
        let fields: Vec<_> = fields.iter().map(|(field, why)| json!({"field": field, "description": why})).collect();
        json!({"@type": format!("{TYPES}BadRequest"), "field_violations": fields})
    };
    let wanted = [
        ("INVALID_ARGUMENT", "100 % wrong:\nü", Some("1500")),
        ("FAILED_PRECONDITION", "not now", None),
        ("RESOURCE_EXHAUSTED", "", Some("20")),
        ("UNAVAILABLE", "never", Some("-1")),
        ("INTERNAL", "internal error", None),
    ];
    for ((code, message, push_back), answer) in wanted.into_iter().zip(&answers) {
        assert_eq!((&answer["code"], &answer["message"]), (&json!(code), &json!(message)), "{answer}");
        assert_eq!(answer["trailing"].get("grpc-retry-pushback-ms"), push_back.map(Value::from).as_ref(), "{answer}");
    }
    let details = |i: usize| answers[i]["details"].as_array().unwrap().clone();
    let first = [retry("1.500s"), info("WRONG"), bad(&[("a.b", "is bad"), ("ä", "is 100 % bad")])];
    assert_eq!(details(0), first);
    assert_eq!(details(1), [info("NOT_NOW")]);
    assert_eq!(details(2), [retry("0.020s")]);
    assert_eq!(details(3), Vec::<Value>::new());
    assert_eq!(details(4), [info("BROKEN"), bad(&[("a", "b")])]);
    // A text that is cut is cut in the details too, or the client takes neither.
    let told = answers[5]["message"].as_str().unwrap();
    assert!(told.len() >= 1000 && told.len() < 3000 && long.starts_with(told), "{}", told.len());
    assert_eq!(details(5), [bad(&[("a", "b")])]);
}

#[tokio::test]
async fn the_clients_own_retries_heed_our_push_back() {
    if !python_is_here() {
        return;
    }
    let mut probe = Probe::serve(|server| server).await;
    let fail = |retry_after_ms: u32| {
        json!({"fail": {"code": 14, "message": "again", "retry_after_ms": retry_after_ms}}).to_string()
    };
    let runs = [
        run(&["--retry", "4", "--metadata", "x-probe-fail-first=2", "echo", &fail(200)]),
        run(&["--retry", "4", "echo", &fail(u32::MAX)]),
    ];
    let answers = calls(probe.addr, &runs).await;
    assert_eq!((&answers[0]["code"], &answers[1]["code"]), (&json!("OK"), &json!("UNAVAILABLE")));
    assert_eq!(answers[0]["reply"]["metadata"]["grpc-previous-rpc-attempts"], "2");
    assert!(answers[0]["ms"].as_u64().unwrap() >= 400, "{answers:?}");
    assert_eq!(probe.ended("Echo"), ["UNAVAILABLE", "UNAVAILABLE", "OK", "UNAVAILABLE"]);
}

#[tokio::test]
async fn what_is_no_call_of_ours_is_refused() {
    if !python_is_here() {
        return;
    }
    let mut probe = Probe::serve(|server| server).await;
    let wrong: [(&[&str], &str, &str); 7] = [
        (&["raw", "Nope", ""], "UNIMPLEMENTED", "has no method \"Nope\""),
        (&["raw", "/no.such.v1.Service/Echo", ""], "UNIMPLEMENTED", "no service \"no.such.v1.Service\""),
        (&["raw", "Echo"], "UNIMPLEMENTED", "no message"),
        (&["raw", "Echo", "", ""], "UNIMPLEMENTED", "two messages"),
        (&["raw", "Count"], "UNIMPLEMENTED", "no message"),
        (&["raw", "Echo", "ffff"], "INTERNAL", ""),
        (&["raw", "Sum", "ffff"], "INTERNAL", ""),
    ];
    let answers = calls(probe.addr, &wrong.map(|(args, _, _)| run(args))).await;
    for ((args, code, message), answer) in wrong.into_iter().zip(&answers) {
        assert_eq!((&answer["code"], &answer["replies"]), (&json!(code), &json!([])), "{args:?} {answer}");
        assert!(answer["message"].as_str().unwrap().contains(message), "{args:?} {answer}");
    }
    assert_eq!(probe.ended("Echo"), ["UNIMPLEMENTED", "UNIMPLEMENTED", "INTERNAL"]);
}

#[tokio::test]
async fn a_call_that_the_client_leaves_is_dropped() {
    if !python_is_here() {
        return;
    }
    let mut probe = Probe::serve(|server| server).await;
    let client = Client::start(probe.addr, &["cancel", "--after-ms", "100"]);
    probe.saw("dropped Echo").await;
    probe.saw("ended Echo left").await;
    assert_eq!(client.finish().await[0]["code"], "CANCELLED");
    let client = Client::start(probe.addr, &["count", r#"{"n": 100000, "pause_ms": 1}"#, "--take", "2"]);
    probe.saw("dropped Count").await;
    probe.saw("ended Count left").await;
    let count = &client.finish().await[0];
    assert_eq!((&count["code"], &count["replies"]), (&json!("CANCELLED"), &json!([1, 2])));
}

#[tokio::test]
async fn a_deadline_ends_the_call_on_both_sides() {
    if !python_is_here() {
        return;
    }
    let mut probe = Probe::serve(|server| server).await;
    let client = Client::start(probe.addr, &["--deadline-ms", "200", "echo", r#"{"delay_ms": 60000}"#]);
    probe.saw("dropped Echo").await;
    let late = &client.finish().await[0];
    assert_eq!((&late["code"], late["ms"].as_u64().unwrap() >= 200), (&json!("DEADLINE_EXCEEDED"), true), "{late}");
    // Whichever side was first.
    let ended = probe.ended("Echo");
    assert!(ended == ["left"] || ended == ["DEADLINE_EXCEEDED"], "{ended:?}");
}

#[tokio::test]
async fn a_hundred_calls_at_once_share_a_connection_of_the_client() {
    if !python_is_here() {
        return;
    }
    let mut probe = Probe::serve(|server| server).await;
    // More than a connection of hyper takes at once, too.
    let runs = [run(&["hundred"]), run(&["hundred", "--calls", "500"])];
    for (calls, hundred) in [100, 500].into_iter().zip(calls(probe.addr, &runs).await) {
        assert_eq!((&hundred["codes"], &hundred["right"]), (&json!({ "OK": calls }), &json!(calls)), "{hundred}");
        assert_eq!(hundred["connections"], 1);
    }
    assert_eq!(probe.ended("Echo"), ["OK"; 600]);
}

#[tokio::test]
async fn large_messages_pass_and_larger_ones_are_refused() {
    if !python_is_here() {
        return;
    }
    let mut probe = Probe::serve(|server| server.max_encoding_message_size(6_000_000)).await;
    let request = |args: &[&str], payload: &str, answer: u32| {
        let request = json!({ "answer_bytes": answer }).to_string();
        run(&[args, &["echo", "--payload-bytes", payload, &request]].concat())
    };
    let open = ["--max-send", "-1", "--max-receive", "-1"];
    let three = 3 * 1024 * 1024;
    let runs = [
        request(&open, "3145728", 0),
        request(&open, "3145728", three),
        request(&open, "4194304", 0),
        request(&open, "0", 5_000_000),
        request(&open, "0", 6_000_000),
        // This limit is the client's.
        request(&[], "0", 5_000_000),
        request(&open, "1", 1),
    ];
    let answers = calls(probe.addr, &runs).await;
    let told: Vec<_> = answers.iter().map(|answer| (&answer["code"], &answer["reply"]["payload_len"])).collect();
    let (ok, exhausted) = (json!("OK"), (&json!("RESOURCE_EXHAUSTED"), &Value::Null));
    let (three, five, one) = (json!(three), json!(5_000_000), json!(1));
    assert_eq!(told, [(&ok, &three), (&ok, &three), exhausted, (&ok, &five), exhausted, exhausted, (&ok, &one)]);
    let ended = probe.ended("Echo");
    assert_eq!(ended[2], "RESOURCE_EXHAUSTED");
    assert_eq!(ended[4], "RESOURCE_EXHAUSTED");
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn messages_are_compressed_both_ways() {
    if !python_is_here() {
        return;
    }
    let (tell, told) = std::sync::mpsc::channel();
    let probe = Probe::serve(|server| {
        server.gzip().finalizer(move |finished| {
            let coding = finished.context.inbound().get("grpc-encoding").cloned();
            let _ = tell.send((coding, finished.bytes));
        })
    });
    let probe = probe.await;
    let request = json!({"text": "x".repeat(200), "answer_bytes": 3_000_000}).to_string();
    let runs = [
        run(&["--gzip", "echo", "--payload-bytes", "3000000", &request]),
        run(&["--gzip", "count", r#"{"n": 3}"#]),
        run(&["--gzip", "sum", "1", "2"]),
        // Zeros are much smaller when they are packed, but the limit is for what they unpack to.
        run(&["--max-send", "-1", "--gzip", "echo", "--payload-bytes", "5000000"]),
    ];
    let answers = calls(probe.addr, &runs).await;
    assert_eq!((&answers[0]["code"], &answers[0]["reply"]["payload_len"]), (&json!("OK"), &json!(3_000_000)));
    assert_eq!(answers[1]["replies"], json!([1, 2, 3]));
    assert_eq!(answers[2]["reply"], json!({"total": 3, "count": 2}));
    assert_eq!(answers[3]["code"], "RESOURCE_EXHAUSTED");
    let (coding, bytes) = told.recv().unwrap();
    assert_eq!(coding.unwrap(), "gzip");
    assert!((1..100_000).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn each_kind_of_stream_has_its_messages_and_its_end() {
    if !python_is_here() {
        return;
    }
    let mut probe = Probe::serve(|server| server).await;
    let fail = |n: u32| json!({"n": n, "fail": {"code": 14, "message": "gö", "retry_after_ms": 10}}).to_string();
    let thousand: Vec<_> = (1..=1000).map(|i| i.to_string()).collect();
    let thousand: Vec<_> = ["sum"].into_iter().chain(thousand.iter().map(String::as_str)).collect();
    let (a, b) = (r#"{"text": "a"}"#, r#"{"text": "b"}"#);
    let runs = [
        run(&["count", r#"{"n": 3}"#]),
        run(&["count", r#"{"n": 0}"#]),
        run(&["count", &fail(2)]),
        run(&["count", &fail(0)]),
        run(&["count", r#"{"n": 3000}"#]),
        run(&["sum", "1", "2", "-5"]),
        run(&["sum"]),
        run(&thousand),
        run(&["chat", a, b]),
        run(&["chat", "--at-once", a, b]),
        run(&["chat"]),
        run(&["chat", "{}", r#"{"fail": {"code": 10}}"#, "{}"]),
        run(&["chat", "--take", "1", a, b]),
    ];
    let answers = calls(probe.addr, &runs).await;
    let codes: Vec<_> = answers.iter().map(|answer| answer["code"].as_str().unwrap()).collect();
    let (ok, gone) = ("OK", "UNAVAILABLE");
    assert_eq!(codes, [ok, ok, gone, gone, ok, ok, ok, ok, ok, ok, ok, "ABORTED", "CANCELLED"], "{answers:?}");
    for (i, answer) in answers.iter().enumerate() {
        assert_eq!(answer["tail"], answer["code"] == "OK", "{i} {answer}");
    }
    let replies = |i: usize| &answers[i]["replies"];
    assert_eq!((replies(0), replies(1), replies(2)), (&json!([1, 2, 3]), &json!([]), &json!([1, 2])));
    assert_eq!((&answers[2]["head"], &answers[3]["head"]), (&json!(true), &json!(false)));
    for error in &answers[2..4] {
        assert_eq!((&error["message"], &error["trailing"]["grpc-retry-pushback-ms"]), (&json!("gö"), &json!("10")));
        assert_eq!(error["details"][0]["retry_delay"], "0.010s");
    }
    assert_eq!(replies(4).as_array().unwrap().len(), 3000);
    assert_eq!(answers[5]["reply"], json!({"total": -2, "count": 3}));
    assert_eq!(answers[6]["reply"], json!({"total": 0, "count": 0}));
    assert_eq!(answers[7]["reply"], json!({"total": 500_500, "count": 1000}));
    for i in [8, 9] {
        let texts: Vec<_> = replies(i).as_array().unwrap().iter().map(|reply| &reply["text"]).collect();
        assert_eq!(texts, ["a", "b"]);
    }
    assert_eq!((replies(10), replies(11).as_array().unwrap().len()), (&json!([]), 1));
    assert_eq!(replies(12).as_array().unwrap().len(), 1);
    assert_eq!(probe.ended("Count"), ["OK", "OK", gone, gone, "OK"]);
}

#[tokio::test]
async fn health_is_checked_listed_and_watched() {
    if !python_is_here() {
        return;
    }
    let readiness = Readiness::new();
    readiness.set(true);
    let probe = Probe::serve(|server| server.health(readiness.clone())).await;
    let watch = Client::start(probe.addr, &["health-watch", "kit.probe.v1.Probe", "--take", "2"]);
    watch.saw(r#"{"watched": "SERVING"}"#).await;
    readiness.set(false);
    let states = watch.finish().await.pop().unwrap();
    assert_eq!((&states["code"], &states["replies"]), (&json!("CANCELLED"), &json!(["SERVING", "NOT_SERVING"])));
    let runs = [
        run(&["health-check"]),
        run(&["health-check", "kit.probe.v1.Probe"]),
        run(&["health-check", "nobody"]),
        run(&["health-list"]),
    ];
    let answers = calls(probe.addr, &runs).await;
    let down = json!({"status": "NOT_SERVING"});
    assert_eq!((&answers[0]["reply"], &answers[1]["reply"], &answers[2]["code"]), (&down, &down, &json!("NOT_FOUND")));
    assert_eq!(answers[3]["reply"], json!({"statuses": {"": down, "kit.probe.v1.Probe": down}}));
    // A service that is not there may come: whoever watches waits for it.
    let unknown = Client::start(probe.addr, &["health-watch", "nobody", "--take", "1"]);
    unknown.saw(r#"{"watched": "SERVICE_UNKNOWN"}"#).await;
    assert_eq!(unknown.finish().await.pop().unwrap()["code"], "CANCELLED");
}

#[tokio::test]
async fn a_client_may_wait_for_our_server() {
    if !python_is_here() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = ["--option", "grpc.initial_reconnect_backoff_ms=100", "--wait-for-ready", "--deadline-ms", "20000"];
    let waiting = Client::start(listener.local_addr().unwrap(), &[&options[..], &["echo"]].concat());
    // Somebody who hangs up at once.
    drop(listener.accept().await.unwrap());
    let _probe = Probe::serve_on(listener, None, |server| server);
    assert_eq!(waiting.finish().await[0]["code"], "OK");
}

#[tokio::test]
async fn tls_is_spoken_with_and_without_a_certificate_of_the_client() {
    if !python_is_here() {
        return;
    }
    let (files, stranger) = (Certificates::new(), Certificates::new());
    let listener = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let open = Probe::serve_on(listener().await, Some(acceptor(&files, false)), |server| server);
    let mutual = Probe::serve_on(listener().await, Some(acceptor(&files, true)), |server| server);
    let ca = files.file("ca.pem");
    let known = run(&["--ca", &ca, "--cert", &files.file("client.pem"), "--key", &files.file("client.key"), "echo"]);
    let unknown = run(&["--ca", &ca, "echo"]);
    let strange = run(&["--ca", &stranger.file("ca.pem"), "echo"]);
    let answers = calls(open.addr, &[unknown.clone(), strange]).await;
    assert_eq!((&answers[0]["code"], &answers[1]["code"]), (&json!("OK"), &json!("UNAVAILABLE")));
    let answers = calls(mutual.addr, &[known, unknown]).await;
    assert_eq!((&answers[0]["code"], &answers[1]["code"]), (&json!("OK"), &json!("UNAVAILABLE")));
}

fn acceptor(files: &Certificates, mutual: bool) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(files.file("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(files.file("server.key")).unwrap();
    let builder = ServerConfig::builder();
    let builder = if mutual {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(files.file("ca.pem")).unwrap()).unwrap();
        builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
