//! The built programs, as somebody would start them by hand.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kit_testing::http::curl;
use kit_testing::process::{Child, Signal};
use kit_testing::tools::skip_unless_or;
use serde_json::Value;
use tokio::time::Instant;

/// A started program and what it told of itself.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) addr: SocketAddr,
    /// Of addsvc alone.
    debug: Option<SocketAddr>,
}

/// Where a program is that belongs to another package: beside this one, since cargo puts all of a workspace there.
pub(crate) fn built(name: &str) -> String {
    let here = Path::new(env!("CARGO_BIN_EXE_apigateway"));
    here.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX)).to_str().unwrap().to_owned()
}

/// Whether the services are built, as they are where the whole workspace is tested; says why not.
pub(crate) fn are_built() -> bool {
    ["addsvc", "stringsvc1"]
        .into_iter()
        .all(|name| skip_unless_or(&built(name), "run `cargo build -p addsvc -p stringsvc1` before"))
}

/// Starts a program at this agent, by these flags.
pub(crate) fn start(name: &str, consul: &str, flags: &[&str]) -> Program {
    let mut command = Command::new(built(name));
    for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("CONSUL_")) {
        command.env_remove(variable);
    }
    let child = Child::spawn(command.args(flags).args(["--consul-addr", consul])).unwrap();
    let head = format!("{name}: http on ");
    let found = |line: &str| Some(line.strip_prefix(&head)?.strip_suffix("; try")?.to_owned());
    let told = child.wait_for(Duration::from_secs(10), "the addresses", found).unwrap();
    let after = |what: &str| Some(told.split_once(what)?.1.split(',').next()?.parse().unwrap());
    let first = told.split(',').next().unwrap().parse().unwrap();
    Program { child, addr: after("grpc on ").unwrap_or(first), debug: after("debug on ") }
}

pub(crate) fn addsvc(consul: &str) -> Program {
    let flags = ["--http-addr", "127.0.0.1:0", "--grpc-addr", "localhost:0", "--debug-addr", "127.0.0.1:0"];
    start("addsvc", consul, &flags)
}

pub(crate) fn stringsvc(consul: &str) -> Program {
    start("stringsvc1", consul, &["--http-addr", "127.0.0.1:0"])
}

pub(crate) fn gateway(consul: &str) -> Program {
    let gateway = start("apigateway", consul, &["--http-addr", "127.0.0.1:0"]);
    gateway.child.wait_for_line("/openapi.json", Duration::from_secs(10)).unwrap();
    gateway
}

impl Program {
    /// Its id at Consul.
    pub(crate) fn id(&self, service: &str) -> String {
        format!("{service}-127.0.0.1-{}", self.addr.port())
    }

    /// How many requests it has had, as its debug pages tell.
    pub(crate) async fn requests(&self) -> u64 {
        let stats = curl([format!("http://{}/stats", self.debug.unwrap())]).await.unwrap();
        let stats = std::str::from_utf8(stats.body()).unwrap();
        stats.lines().find_map(|line| line.strip_prefix("requests ")).unwrap().parse().unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &str, args: &[&str]) -> (u16, Value) {
        let url = format!("http://{}{path}", self.addr);
        let common = ["-H", "content-type: application/json", "--data-binary", body, &url];
        let answer = curl(common.iter().chain(args)).await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
    }

    /// SIGTERM, and its exit code.
    pub(crate) async fn stop(&mut self) -> Option<i32> {
        self.child.signal(Signal::Terminate).unwrap();
        self.ended().await
    }

    /// Its exit code, when it has ended.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            match self.child.wait(Duration::ZERO) {
                Ok(status) => return status.code(),
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
