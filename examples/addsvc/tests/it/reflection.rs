//! What addsvc says of itself over gRPC: a `.proto` text, and reflection, for tools that know nothing of it.

use std::process::Command;
use std::time::Duration;

use addsvc::{AddEndpoints, Adder, grpc_server};
use kit_testing::process::Child;
use kit_testing::tools::skip_unless_or;
use serde_json::{Value, json};

use crate::{start, start_on};

/// As Go kit's `addsvc.proto`, whose package, names and numbers these are.
const PROTO: &str = r#"syntax = "proto3";

package pb;

service Add {
  rpc Sum(SumRequest) returns (SumReply) {
    option idempotency_level = IDEMPOTENT;
  }
  rpc Concat(ConcatRequest) returns (ConcatReply) {
    option idempotency_level = IDEMPOTENT;
  }
}

message SumRequest {
  int64 a = 1;
  int64 b = 2;
}

message SumReply {
  int64 v = 1;
  string err = 2;
}

message ConcatRequest {
  string a = 1;
  string b = 2;
}

message ConcatReply {
  string v = 1;
  string err = 2;
}
"#;

#[test]
fn it_has_the_proto_text_of_go_kit_s() {
    let files = AddEndpoints::new(Adder).bind(grpc_server(())).proto_files().unwrap();
    let text = &files.iter().find(|file| file.name == "pb.proto").unwrap().text;
    // Comments are ours.
    let said = text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n"));
    assert_eq!(said.collect::<String>(), PROTO, "{text}");
}

const BUF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/npm/buf/bin/buf");

#[tokio::test]
async fn the_line_for_buf_works_as_it_is_printed() {
    if !skip_unless_or(BUF, "run `cargo xtask servers buf`") {
        return;
    }
    let two_ports = start().await;
    let one_port = start_on(["--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"]).await;
    for addsvc in [two_ports, one_port] {
        tokio::task::spawn_blocking(move || {
            let printed = addsvc.child.stdout();
            let line = printed.lines().find_map(|line| line.trim().strip_prefix("buf ")).unwrap();
            let mut command = Command::new("sh");
            command.args(["-c", &format!("{BUF} {line}")]);
            let mut buf = Child::spawn(command).unwrap();
            assert!(buf.wait(Duration::from_secs(30)).unwrap().success(), "{}", buf.stderr());
            assert_eq!(serde_json::from_str::<Value>(&buf.stdout()).unwrap(), json!({"v": "3"}));
        })
        .await
        .unwrap();
    }
}
