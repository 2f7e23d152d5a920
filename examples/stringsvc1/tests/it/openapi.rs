//! The OpenAPI document of either mode, and a fuzzer that goes by it.

use std::process::Command;
use std::time::Duration;

use kit_testing::http::curl;
use kit_testing::process::Child;
use kit_testing::temp::temp_dir;
use kit_testing::tools::skip_unless_or;
use serde_json::{Value, json};

use crate::start;

const ST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/st");

/// What Go does with malformed requests no fuzzer can like: it answers 500, and takes `null` for an object. So in its
/// manner only requests that the document allows are tried.
const GO: [&str; 2] = ["--mode", "positive"];

/// Runs schemathesis with all phases and checks.
async fn fuzz(url: &str, examples: &'static str, args: &'static [&'static str]) {
    if !skip_unless_or(ST, "run `cargo xtask servers schemathesis`") {
        return;
    }
    let url = format!("{url}/openapi.json");
    let run = move || {
        let dir = temp_dir().unwrap();
        let mut command = Command::new(ST);
        command.current_dir(dir.path()).args(["run", &url, "--checks", "all", "--seed", "1", "--continue-on-failure"]);
        command.args(["--max-examples", examples]).args(args);
        let mut child = Child::spawn(command).unwrap();
        let status = child.wait(Duration::from_secs(600)).unwrap();
        assert!(status.success(), "{}{}", child.stdout(), child.stderr());
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}

#[tokio::test]
async fn a_fuzzer_finds_nothing() {
    let (_child, url) = start(&[]).await;
    fuzz(&url, "30", &[]).await;
    let (_child, url) = start(&["--go-compat"]).await;
    fuzz(&url, "10", &GO).await;
}

#[tokio::test]
#[ignore = "takes two minutes"]
async fn a_fuzzer_finds_nothing_for_long() {
    let (_child, url) = start(&[]).await;
    fuzz(&url, "500", &[]).await;
    let (_child, url) = start(&["--go-compat"]).await;
    fuzz(&url, "200", &GO).await;
}

#[tokio::test]
async fn the_document_is_that_of_the_mode() {
    for (args, verbs, statuses) in [
        (&[][..], &["get", "post"][..], &["200", "400", "408", "413", "415", "500", "504", "default"][..]),
        (&["--go-compat"], &["delete", "get", "head", "options", "patch", "post", "put", "trace"], &["200", "500"]),
    ] {
        let (_child, url) = start(args).await;
        let document = curl([format!("{url}/openapi.json")]).await.unwrap();
        let document: Value = serde_json::from_slice(document.body()).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&document["paths"]), ["/count", "/uppercase"], "{args:?}");
        assert_eq!(keys(&document["paths"]["/uppercase"]), verbs, "{args:?}");
        for verb in verbs {
            let operation = &document["paths"]["/uppercase"][verb];
            assert_eq!(keys(&operation["responses"]), statuses, "{verb} {args:?}");
            assert_eq!(operation["requestBody"]["required"], true, "{verb} {args:?}");
        }
        let field = json!({"type": "string", "default": "", "description": "The string."});
        let request = json!({"type": "object", "description": "A string.", "properties": {"s": field}});
        assert_eq!(document["components"]["schemas"]["StringRequest"], request, "{args:?}");
    }
}
