//! The OpenAPI document of the built program, and a fuzzer that goes by it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kit_testing::http::curl;
use kit_testing::process::Child;
use kit_testing::temp::temp_dir;
use kit_testing::tools::skip_unless_or;
use serde_json::{Value, json};

use crate::{Addsvc, start};

const ST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/st");

/// Runs schemathesis: all phases and checks. `rules.py` knows each right answer, of which the check that it stands in for
/// knows the status.
async fn fuzz(addsvc: &Addsvc, examples: &'static str) {
    if !skip_unless_or(ST, "run `cargo xtask servers schemathesis`") {
        return;
    }
    let url = format!("http://{}/openapi.json", addsvc.http);
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/rules.py");
    let run = move || {
        let dir = temp_dir().unwrap();
        let mut command = Command::new(ST);
        command.current_dir(dir.path()).env("SCHEMATHESIS_HOOKS", rules).args(["run", &url, "--seed", "1"]);
        command.args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"]);
        command.args(["--continue-on-failure", "--max-examples", examples]);
        let mut child = Child::spawn(command).unwrap();
        let status = child.wait(Duration::from_secs(600)).unwrap();
        assert!(status.success(), "{}{}", child.stdout(), child.stderr());
        assert!(child.stdout().contains("2 selected / 2 total"), "{}", child.stdout());
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}

#[tokio::test]
async fn a_fuzzer_finds_nothing() {
    fuzz(&start().await, "40").await;
}

#[tokio::test]
#[ignore = "takes a minute"]
async fn a_fuzzer_finds_nothing_for_long() {
    fuzz(&start().await, "1500").await;
}

#[tokio::test]
async fn the_document_says_what_the_service_takes_and_answers() {
    let addsvc = start().await;
    let answer = curl([format!("http://{}/openapi.json", addsvc.http)]).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let document: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "addsvc");
    let sum = &document["paths"]["/sum"]["post"];
    assert_eq!(sum["operationId"], "addsvc.sum");
    assert_eq!(sum["requestBody"]["required"], true);
    let schemas = &document["components"]["schemas"];
    let a = json!({
        "type": "integer", "format": "int64", "description": "The first, of 32 bits.", "default": 0,
        "minimum": i32::MIN, "maximum": i32::MAX,
    });
    assert_eq!(schemas["SumRequest"]["properties"]["a"], a);
    let errors = &document["components"]["responses"]["400"]["content"];
    assert_eq!(errors["application/json"]["schema"]["$ref"], "#/components/schemas/Failure");
    assert_eq!(errors["application/problem+json"]["schema"]["$ref"], "#/components/schemas/Problem");
}
