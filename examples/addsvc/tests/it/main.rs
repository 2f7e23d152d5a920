//! The built addsvc, called from outside by curl and over raw sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod grpc;
mod grpc_peers;
mod grpc_stop;
mod grpc_tls;
mod one_port;
mod openapi;
mod panics;
mod program;
mod proxied;
mod rate;
mod reflection;
mod service;
mod size;
mod wild;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use kit_testing::http::curl;
use kit_testing::process::Child;
use serde_json::Value;

/// A running addsvc.
struct Addsvc {
    child: Child,
    http: SocketAddr,
    grpc: SocketAddr,
    debug: SocketAddr,
}

/// Starts addsvc on free ports, which it tells itself.
async fn start() -> Addsvc {
    // Another name for the same address: the same one would be one port for both.
    start_on(["--http-addr", "127.0.0.1:0", "--grpc-addr", "localhost:0"]).await
}

async fn start_on<const N: usize>(flags: [&'static str; N]) -> Addsvc {
    tokio::task::spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_addsvc"));
        command.args(flags).args(["--debug-addr", "127.0.0.1:0"]);
        let child = Child::spawn(command).unwrap();
        let addrs = |line: &str| {
            let told = line.strip_prefix("addsvc: http on ")?.strip_suffix("; try")?;
            let (http, told) = told.split_once(", grpc on ")?;
            let (grpc, debug) = told.split_once(", debug on ")?;
            Some((http.parse().unwrap(), grpc.parse().unwrap(), debug.parse().unwrap()))
        };
        let (http, grpc, debug) = child.wait_for(Duration::from_secs(10), "the addresses", addrs).unwrap();
        // The last line of the start-up.
        child.wait_for_line("/readyz", Duration::from_secs(10)).unwrap();
        Addsvc { child, http, grpc, debug }
    })
    .await
    .unwrap()
}

impl Addsvc {
    /// Posts a body as JSON, and gives status, content type and body of the answer.
    async fn post(&self, path: &str, body: &str) -> (u16, String, Value) {
        let url = format!("http://{}{path}", self.http);
        let answer = curl(["-H", "content-type: application/json", "--data-binary", body, &url]).await.unwrap();
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), content_type, serde_json::from_slice(answer.body()).unwrap())
    }
}
