//! The peers agree with each other, so that a difference from them is ours.

use kit_testing::ports::free_port;
use kit_testing::process::Signal;
use serde_json::{Value, json};

use super::{
    Certificates, Client, PROTO, Peer, buf, buf_curl, buf_is_here, call, client, h2load, h2load_is_here, python_is_here,
};

const NONE: &[&str] = &[];

#[tokio::test]
async fn a_unary_call_carries_message_metadata_and_deadline() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let options =
        ["--metadata", "x-a=1", "--metadata", "x-a=2", "--metadata", "x-b-bin=00ff", "--deadline-ms", "20000"];
    let request = r#"{"text": "é", "payload": "AAH/"}"#;
    let echo = call(peer.addr(), &[&options[..], &["echo", request]].concat()).await;
    assert_eq!(echo["code"], "OK", "{echo}");
    assert_eq!((&echo["head"], &echo["tail"]), (&json!(true), &json!(true)), "{echo}");
    let reply = &echo["reply"];
    assert_eq!((&reply["text"], &reply["payload"]), (&json!("é"), &json!("0001ff")));
    assert_eq!((&reply["metadata"]["x-a"], &reply["metadata"]["x-b-bin"]), (&json!("1, 2"), &json!("00ff")));
    let left = reply["timeout_ms"].as_i64().unwrap();
    assert!((10_000..=20_000).contains(&left), "{left}");
    assert_eq!(peer.calls("Echo").await, 1);
    assert!(peer.stop().await.success());
}

#[tokio::test]
async fn an_error_has_its_message_and_details_with_a_head_and_without() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let mut fail = json!({
        "code": 3, "message": "100 % wrong:\nü", "reason": "WRONG", "retry_after_ms": 1500,
        "field_violations": {"a.b": "is bad"},
    });
    for in_trailers in [false, true] {
        fail["in_trailers"] = in_trailers.into();
        let error = call(peer.addr(), &["echo", &json!({ "fail": fail }).to_string()]).await;
        assert_eq!((&error["code"], &error["message"]), (&json!("INVALID_ARGUMENT"), &fail["message"]), "{error}");
        let kind = |name: &str| format!("type.googleapis.com/google.rpc.{name}");
        let details = json!([
            {"@type": kind("ErrorInfo"), "reason": "WRONG", "domain": "probe.kit"},
            {"@type": kind("RetryInfo"), "retry_delay": "1.500s"},
            {"@type": kind("BadRequest"), "field_violations": [{"field": "a.b", "description": "is bad"}]},
        ]);
        assert_eq!(error["details"], details);
        assert_eq!(error["trailing"]["grpc-retry-pushback-ms"], "1500");
        assert_eq!((&error["head"], &error["tail"]), (&json!(in_trailers), &json!(true)), "{error}");
    }
}

#[tokio::test]
async fn each_kind_of_stream_has_its_messages_and_its_end() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let count = call(peer.addr(), &["count", r#"{"n": 3}"#]).await;
    assert_eq!((&count["code"], &count["replies"]), (&json!("OK"), &json!([1, 2, 3])));
    let count = call(peer.addr(), &["count", r#"{"n": 2, "fail": {"code": 14, "message": "gone"}}"#]).await;
    assert_eq!(
        (&count["code"], &count["replies"], &count["tail"]),
        (&json!("UNAVAILABLE"), &json!([1, 2]), &json!(true))
    );
    let sum = call(peer.addr(), &["sum", "1", "2", "-5"]).await;
    assert_eq!((&sum["code"], &sum["reply"]), (&json!("OK"), &json!({"total": -2, "count": 3})));
    let sum = call(peer.addr(), &["sum"]).await;
    assert_eq!((&sum["code"], &sum["reply"]), (&json!("OK"), &json!({"total": 0, "count": 0})));
    for order in [&[][..], &["--at-once"]] {
        let chat = call(peer.addr(), &[&["chat", r#"{"text": "a"}"#, r#"{"text": "b"}"#], order].concat()).await;
        let texts: Vec<_> = chat["replies"].as_array().unwrap().iter().map(|reply| &reply["text"]).collect();
        assert_eq!((&chat["code"], texts), (&json!("OK"), vec![&json!("a"), &json!("b")]));
    }
    let chat = call(peer.addr(), &["chat", "{}", r#"{"fail": {"code": 10}}"#, "{}"]).await;
    assert_eq!((&chat["code"], chat["replies"].as_array().unwrap().len()), (&json!("ABORTED"), 1));
}

#[tokio::test]
async fn a_client_that_leaves_is_missed() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let cancelled = call(peer.addr(), &["cancel"]).await;
    assert_eq!((&cancelled["code"], &cancelled["cancelled"]), (&json!("CANCELLED"), &json!(true)));
    peer.saw("cancelled /kit.probe.v1.Probe/Echo").await;
    let count = call(peer.addr(), &["count", r#"{"n": 100000, "pause_ms": 1}"#, "--take", "2"]).await;
    assert_eq!((&count["code"], &count["replies"]), (&json!("CANCELLED"), &json!([1, 2])));
    peer.saw("cancelled /kit.probe.v1.Probe/Count").await;
    let late = call(peer.addr(), &["--deadline-ms", "100", "echo", r#"{"delay_ms": 60000}"#]).await;
    assert_eq!(late["code"], "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn what_is_no_call_of_the_service_is_refused() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let wrong: [(&[&str], &str); 4] = [
        (&["raw", "Nope", ""], "UNIMPLEMENTED"),
        (&["raw", "/no.such.v1.Service/Echo", ""], "UNIMPLEMENTED"),
        (&["raw", "Echo"], "UNIMPLEMENTED"),
        (&["raw", "Echo", "ffff"], "INTERNAL"),
    ];
    for (args, code) in wrong {
        let error = call(peer.addr(), args).await;
        assert_eq!((&error["code"], &error["replies"]), (&json!(code), &json!([])), "{args:?}");
    }
}

#[tokio::test]
async fn a_hundred_calls_at_once_share_a_connection() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let hundred = call(peer.addr(), &["hundred"]).await;
    assert_eq!((&hundred["codes"], &hundred["right"]), (&json!({"OK": 100}), &json!(100)));
    assert_eq!(hundred["connections"], 1);
    assert_eq!(peer.calls("Echo").await, 100);
}

#[tokio::test]
async fn health_is_checked_and_watched() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let watch = Client::start(peer.addr(), &["health-watch", "kit.probe.v1.Probe", "--take", "2"]);
    watch.saw(r#"{"watched": "SERVING"}"#).await;
    call(peer.addr(), &["--metadata", "x-probe-health=NOT_SERVING", "echo"]).await;
    let watched = watch.finish().await.pop().unwrap();
    assert_eq!(watched["replies"], json!(["SERVING", "NOT_SERVING"]));
    assert_eq!(call(peer.addr(), &["health-check"]).await["reply"], json!({"status": "NOT_SERVING"}));
    assert_eq!(call(peer.addr(), &["health-check", "nobody"]).await["code"], "NOT_FOUND");
}

#[tokio::test]
async fn reflection_tells_what_the_compiler_makes_of_the_proto_file() {
    if !python_is_here() || !buf_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let built = buf(&["build", PROTO, "-o", "-#format=json", "--exclude-source-info"]).await;
    let built: Value = serde_json::from_str(&built.stdout).expect(&built.stderr);
    for version in ["v1", "v1alpha"] {
        let questions = ["list", "symbol=kit.probe.v1.Probe", "file=no.proto"];
        let answers = call(peer.addr(), &[&["reflect", "--version", version][..], &questions].concat()).await;
        let answers = &answers["replies"];
        assert!(answers[0]["services"].as_array().unwrap().contains(&json!("kit.probe.v1.Probe")), "{answers}");
        let (told, built) = (shape(&answers[1]["files"][0]), shape(&built["file"][0]));
        assert!(told.len() > 30, "{told:?}");
        assert_eq!(told, built);
        assert_eq!(answers[2]["error_response"]["error_code"], 5);
    }
}

/// A line for each field and method of a file's descriptor, whatever way its JSON is written.
fn shape(file: &Value) -> Vec<String> {
    fn get<'a>(value: &'a Value, snake: &str, camel: &str) -> &'a Value {
        value.get(snake).unwrap_or(&value[camel])
    }
    fn message(value: &Value, path: &str, lines: &mut Vec<String>) {
        let path = format!("{path}.{}", value["name"]);
        lines.push(format!("{path} {}", get(&value["options"], "map_entry", "mapEntry")));
        for field in value["field"].as_array().unwrap() {
            let (kind, json) = (get(field, "type_name", "typeName"), get(field, "json_name", "jsonName"));
            let parts = [&field["name"], &field["number"], &field["label"], &field["type"], kind, json];
            lines.push(format!("{path}: {parts:?}"));
        }
        for nested in get(value, "nested_type", "nestedType").as_array().into_iter().flatten() {
            message(nested, &path, lines);
        }
    }
    let mut lines = vec![format!("{} {} {}", file["package"], file["syntax"], file["name"].as_str().unwrap().len())];
    for value in get(file, "message_type", "messageType").as_array().unwrap() {
        message(value, "", &mut lines);
    }
    for method in file["service"][0]["method"].as_array().unwrap() {
        let streams =
            [get(method, "client_streaming", "clientStreaming"), get(method, "server_streaming", "serverStreaming")];
        let types = [get(method, "input_type", "inputType"), get(method, "output_type", "outputType")];
        lines.push(format!("{} {types:?} {streams:?}", method["name"]));
    }
    lines
}

#[tokio::test]
async fn the_clients_own_retries_heed_the_pushback() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let fail = |retry_after_ms: u32| {
        json!({"fail": {"code": 14, "message": "again", "retry_after_ms": retry_after_ms}}).to_string()
    };
    let first = ["--retry", "4", "--metadata", "x-probe-fail-first=2", "echo"];
    let echo = call(peer.addr(), &[&first[..], &[&fail(200)]].concat()).await;
    assert_eq!((&echo["code"], &echo["reply"]["metadata"]["grpc-previous-rpc-attempts"]), (&json!("OK"), &json!("2")));
    assert!(echo["ms"].as_u64().unwrap() >= 400, "{echo}");
    assert_eq!(peer.calls("Echo").await, 3);
    let echo = call(peer.addr(), &["--retry", "4", "echo", &fail(u32::MAX)]).await;
    assert_eq!((&echo["code"], &echo["trailing"]["grpc-retry-pushback-ms"]), (&json!("UNAVAILABLE"), &json!("-1")));
    assert_eq!(peer.calls("Echo").await, 4);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_by_either_side() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(&["--max-receive", "1000"]).await;
    let large = json!({"text": "x".repeat(2000)}).to_string();
    assert_eq!(call(peer.addr(), &["echo", &large]).await["code"], "RESOURCE_EXHAUSTED");
    assert_eq!(call(peer.addr(), &["--max-send", "1000", "echo", &large]).await["code"], "RESOURCE_EXHAUSTED");
    let five = r#"{"answer_bytes": 5000000}"#;
    assert_eq!(call(peer.addr(), &["echo", five]).await["code"], "RESOURCE_EXHAUSTED");
    let echo = call(peer.addr(), &["--max-receive", "6000000", "echo", five]).await;
    assert_eq!(echo["reply"]["payload_len"], 5_000_000);
}

#[tokio::test]
async fn messages_are_compressed_where_asked() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(&["--gzip"]).await;
    let request = json!({"text": "x".repeat(200), "answer_bytes": 3_000_000}).to_string();
    let echo = call(peer.addr(), &["--gzip", "echo", &request]).await;
    assert_eq!((&echo["code"], &echo["reply"]["payload_len"]), (&json!("OK"), &json!(3_000_000)));
    if !buf_is_here() {
        return;
    }
    let verbose = buf_curl(peer.addr(), &["-v"], "Echo", &request).await;
    assert!(verbose.success && verbose.stderr.contains("Grpc-Encoding: gzip"), "{verbose:?}");
}

#[tokio::test]
async fn tls_is_spoken_with_and_without_a_certificate_of_the_client() {
    if !python_is_here() {
        return;
    }
    let files = Certificates::new();
    let (ca, cert, key) = (files.file("ca.pem"), files.file("server.pem"), files.file("server.key"));
    let known = ["--ca", &ca, "--cert", &files.file("client.pem"), "--key", &files.file("client.key"), "echo"];
    let unknown = ["--ca", &ca, "--deadline-ms", "20000", "echo"];
    let peer = Peer::serve(&["--tls", &cert, &key]).await;
    assert_eq!(call(peer.addr(), &unknown).await["code"], "OK");
    let stranger = Certificates::new();
    assert_eq!(call(peer.addr(), &["--ca", &stranger.file("ca.pem"), "echo"]).await["code"], "UNAVAILABLE");
    let mutual = Peer::serve(&["--tls", &cert, &key, "--client-ca", &ca]).await;
    assert_eq!(call(mutual.addr(), &known).await["code"], "OK");
    assert_eq!(call(mutual.addr(), &unknown).await["code"], "UNAVAILABLE");
}

#[tokio::test]
async fn a_connection_ends_by_its_age_and_the_next_call_takes_another() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(&["--max-connection-age-ms", "300"]).await;
    let delayed = r#"{"delay_ms": 200}"#;
    let calls = client(peer.addr(), &["--times", "8", "echo", delayed]).await;
    assert!(calls.iter().all(|call| call["code"] == "OK"), "{calls:?}");
    let mut peers: Vec<_> = calls.iter().map(|call| call["initial"]["x-probe-peer"].as_str().unwrap()).collect();
    peers.dedup();
    assert!(peers.len() >= 3, "{peers:?}");
}

#[tokio::test]
async fn a_client_may_wait_for_a_server_that_is_not_there_yet() {
    if !python_is_here() {
        return;
    }
    let port = free_port().unwrap();
    assert_eq!(call(port.addr(), &["echo"]).await["code"], "UNAVAILABLE");
    let options = ["--option", "grpc.initial_reconnect_backoff_ms=100", "--wait-for-ready", "--deadline-ms"];
    let late = call(port.addr(), &[&options[..], &["300", "echo"]].concat()).await;
    assert_eq!(late["code"], "DEADLINE_EXCEEDED");
    let waiting = Client::start(port.addr(), &[&options[..], &["20000", "echo"]].concat());
    let _peer = Peer::serve(&["--port", &port.number().to_string()]).await;
    assert_eq!(waiting.finish().await[0]["code"], "OK");
}

#[tokio::test]
async fn a_stopping_server_finishes_open_calls() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let open = Client::start(peer.addr(), &["echo", r#"{"text": "open", "delay_ms": 500}"#]);
    peer.saw("call /kit.probe.v1.Probe/Echo").await;
    peer.signal(Signal::Terminate);
    assert_eq!(open.finish().await[0]["reply"]["text"], "open");
    peer.saw("stopped").await;
    assert!(peer.stop().await.success());
}

#[tokio::test]
#[ignore = "takes 4 s: the core's client pings once a second at most"]
async fn a_server_that_forbids_pings_sends_those_away_who_do() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(&["--forbid-pings"]).await;
    let pings = ["grpc.keepalive_time_ms=100", "grpc.http2.max_pings_without_data=0"];
    let options: Vec<_> = pings.iter().flat_map(|option| ["--option", option]).collect();
    let args = [&options[..], &["count", r#"{"n": 1, "pause_ms": 10000}"#]].concat();
    let count = call(peer.addr(), &args).await;
    assert_eq!(count["code"], "UNAVAILABLE", "{count}");
    assert!(count["message"].as_str().unwrap().contains("Too many pings"), "{count}");
}

#[tokio::test]
async fn buf_calls_by_reflection_and_by_schema() {
    if !python_is_here() || !buf_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    for options in [&[][..], &["--schema", PROTO]] {
        let count = buf_curl(peer.addr(), options, "Count", r#"{"n": 2}"#).await;
        assert!(count.success, "{}", count.stderr);
        assert_eq!(count.stdout.split_whitespace().collect::<String>(), r#"{"i":1}{"i":2}"#);
        let fail = r#"{"fail": {"code": 5, "message": "nö", "reason": "GONE"}}"#;
        let error = buf_curl(peer.addr(), options, "Echo", fail).await;
        assert!(!error.success);
        let told: Value = serde_json::from_str(&error.stderr).expect(&error.stderr);
        assert_eq!((&told["code"], &told["message"]), (&json!("not_found"), &json!("nö")));
        assert_eq!(told["details"][0]["type"], "google.rpc.ErrorInfo");
    }
    let methods = buf(&[
        "curl",
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        "--list-methods",
        &format!("http://{}", peer.addr()),
    ])
    .await;
    assert!(methods.stdout.contains("kit.probe.v1.Probe/Chat"), "{methods:?}");
}

#[tokio::test]
async fn h2load_drives_a_unary_method() {
    if !python_is_here() || !h2load_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    // A text of one letter.
    let message = [0x0a, 0x01, b'x'];
    let load = h2load(peer.addr(), "/kit.probe.v1.Probe/Echo", &message, &["-n", "50", "-c", "2", "-m", "5"]).await;
    assert!(load.stdout.contains("50 succeeded, 0 failed, 0 errored, 0 timeout"), "{load:?}");
    assert_eq!(peer.calls("Echo").await, 50);
}
