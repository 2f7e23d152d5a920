//! addsvc among what one meets outside: a client over HTTP/2, browsers, and nginx in front of it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use kit_testing::http::curl;
use kit_testing::ports::free_port;
use kit_testing::process::Child;
use kit_testing::temp::temp_dir;
use kit_testing::tools::{find, skip_unless_or};
use serde_json::{Value, json};

use crate::start;

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/python");
const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn a_python_client_over_http_2_gets_right_answers_to_a_hundred_calls_at_once() {
    let how = "run `cargo xtask servers httpx`";
    if !skip_unless_or(PYTHON, how) {
        return;
    }
    let addsvc = start().await;
    let url = format!("http://{}", addsvc.http);
    let run = move || {
        let mut command = Command::new(PYTHON);
        command.args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/h2_client.py"), &url]);
        let mut child = Child::spawn(command).unwrap();
        let status = child.wait(Duration::from_secs(60)).unwrap();
        assert!(status.success(), "{} ({how})", child.stderr());
        assert_eq!(child.stdout(), "all answers are right\n");
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}

/// What a browser sends along, with cookies of almost 8 KiB.
fn as_browser() -> Vec<String> {
    let cookies = (0..10).map(|n| format!("c{n}={}", "x".repeat(790))).collect::<Vec<_>>().join("; ");
    let headers = [
        "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "accept: application/json, text/plain;q=0.9, */*;q=0.8",
        "accept-language: de,en-US;q=0.7,en;q=0.3",
        "accept-encoding: gzip, deflate, br, zstd",
        "content-type: application/json;charset=UTF-8",
        "origin: http://app.example.com",
        "referer: http://app.example.com/",
        "dnt: 1",
        "sec-gpc: 1",
        "sec-fetch-dest: empty",
        "sec-fetch-mode: cors",
        "sec-fetch-site: cross-site",
        "priority: u=0",
        "pragma: no-cache",
        "cache-control: no-cache",
        &format!("cookie: {cookies}"),
    ];
    headers.into_iter().flat_map(|header| ["-H".to_owned(), header.to_owned()]).collect()
}

async fn call<const N: usize>(browser: &[String], args: [&str; N]) -> Response<Bytes> {
    curl(browser.iter().cloned().chain(args.map(str::to_owned))).await.unwrap()
}

/// What a page in a browser asks for.
async fn answers_a_browser(url: &str, versions: &[&str]) {
    let (browser, sum) = (as_browser(), format!("{url}/sum"));
    for version in versions {
        let answer = call(&browser, [version, "-d", r#"{"a":1,"b":2}"#, &sum]).await;
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &br#"{"v":3}"#[..]), "{version}");
        // Whoever accepts codings must not get one that nobody named.
        assert!(!answer.headers().contains_key("content-encoding"));
        assert!(!answer.headers().contains_key("access-control-allow-origin"), "CORS is for the program to allow");
    }
    let preflight =
        ["-X", "OPTIONS", "-H", "access-control-request-method: POST", "-H", "access-control-request-headers: x", &sum];
    let answer = call(&browser, preflight).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"POST".parse().unwrap()));
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_browser_is_answered_and_its_preflight_refused_cleanly() {
    let addsvc = start().await;
    answers_a_browser(&format!("http://{}", addsvc.http), &["--http1.1", "--http2-prior-knowledge"]).await;
}

/// nginx before the service.
struct Nginx {
    child: Child,
    addr: SocketAddr,
    _dir: kit_testing::temp::TempDir,
}

/// Starts nginx on a free port, or tells how to get it. It keeps connections to the service, and leaves limits to it.
async fn nginx(addsvc: SocketAddr, buffering: &'static str) -> Option<Nginx> {
    // Debian has it where only root looks.
    let program = find("nginx").unwrap_or_else(|| "/usr/sbin/nginx".into());
    if !skip_unless_or(program.to_str().unwrap(), "run `cargo xtask servers nginx`") {
        return None;
    }
    let run = move || {
        let (dir, port) = (temp_dir().unwrap(), free_port().unwrap());
        let addr = port.addr();
        let folder = dir.path().display();
        let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temps = temps.map(|what| format!("{what}_temp_path {folder}/{what};")).join(" ");
        let config = format!(
            r"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr notice;
            events {{ worker_connections 64; }}
            http {{
                access_log off; {temps}
                upstream addsvc {{ server {addsvc}; keepalive 4; }}
                server {{
                    listen {addr}; client_max_body_size 0;
                    location / {{
                        proxy_pass http://addsvc; proxy_http_version 1.1; proxy_request_buffering {buffering};
                        proxy_set_header Connection ''; proxy_set_header Host $host;
                        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                    }}
                }}
            }}"
        );
        let file = dir.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program);
        command.arg("-e").arg("stderr").arg("-p").arg(dir.path()).arg("-c").arg(file);
        let child = Child::spawn(command).unwrap();
        child.wait_for_line("start worker process ", Duration::from_secs(10)).unwrap();
        drop(port);
        Nginx { child, addr, _dir: dir }
    };
    Some(tokio::task::spawn_blocking(run).await.unwrap())
}

/// How many TCP connections to this port there are, or were until a moment ago.
fn connections_to(addr: SocketAddr) -> usize {
    let port = format!(":{:04X}", addr.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).filter(|line| line.split_whitespace().nth(2).is_some_and(|to| to.ends_with(&port))).count()
}

#[tokio::test]
async fn nginx_in_front_passes_answers_on_and_keeps_its_connection() {
    let addsvc = start().await;
    let Some(mut nginx) = nginx(addsvc.http, "on").await else { return };
    let url = format!("http://{}", nginx.addr);
    let sum = format!("{url}/sum");
    for n in 0..20 {
        let body = json!({"a": n, "b": 1}).to_string();
        let answer = curl(["-H", JSON, "-H", "host: add.example.com", "-d", &body, &sum]).await.unwrap();
        let reply: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!((answer.status().as_u16(), reply), (200, json!({"v": n + 1})));
    }
    assert_eq!(connections_to(addsvc.http), 1, "each request had a connection of its own");

    for (path, body, status, content_type) in [
        ("/sum", "{}", 400, "application/json"),
        ("/sum", "nope", 400, "application/problem+json"),
        ("/nope", "{}", 404, "application/problem+json"),
    ] {
        let answer = curl(["-H", JSON, "-d", body, &format!("{url}{path}")]).await.unwrap();
        assert_eq!(answer.status(), status, "{path} {body}");
        assert_eq!(answer.headers()["content-type"], content_type, "{path} {body}");
    }
    answers_a_browser(&url, &["--http1.1"]).await;
    tokio::task::spawn_blocking(move || assert!(nginx.child.stop().unwrap().success())).await.unwrap();
}

#[tokio::test]
async fn bodies_of_any_size_go_through_nginx_or_are_413() {
    let addsvc = start().await;
    for buffering in ["on", "off"] {
        let Some(nginx) = nginx(addsvc.http, buffering).await else { return };
        let url = format!("http://{}/concat", nginx.addr);
        let dir = temp_dir().unwrap();
        // White space counts: the limit is 2 MiB.
        for (size, status) in [(10, 200), (20_000, 200), (2 << 20, 200), ((2 << 20) + 1, 413), (20 << 20, 413)] {
            let file = dir.path().join("body");
            let body = format!(r#"{{"a":"x"{}}}"#, " ".repeat(size - 9));
            std::fs::write(&file, body).unwrap();
            let data = format!("@{}", file.display());
            for transfer in ["x-nothing: 1", "transfer-encoding: chunked"] {
                let answer = curl(["-H", JSON, "-H", transfer, "--data-binary", &data, &url]).await.unwrap();
                assert_eq!(answer.status(), status, "{size} bytes, {transfer}, buffering {buffering}");
            }
        }
    }
}
