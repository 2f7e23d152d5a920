//! An independent validator of OpenAPI documents looks at several servers.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use kit_base::{Error, Request, Response};
use kit_testing::process::Child;
use kit_testing::temp::temp_dir;
use kit_testing::tools::skip_unless_or;
use kit_transport_http::{HttpServer, Json, OpenApi, Raw};
use serde_json::Value;

use super::{Change, Reply, described, document, nothing, rest, sound, takes};
use crate::support::{By, op, sum};

const VALIDATOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/openapi-spec-validator");

/// Whether the validator takes these documents, and what it says.
fn judged(documents: &[Value]) -> Option<(bool, String)> {
    if !skip_unless_or(VALIDATOR, "run `cargo xtask servers openapi-spec-validator`") {
        return None;
    }
    let dir = temp_dir().unwrap();
    let mut command = Command::new(VALIDATOR);
    for (number, document) in documents.iter().enumerate() {
        let file = dir.path().join(format!("{number}.json"));
        std::fs::write(&file, document.to_string()).unwrap();
        command.arg(file);
    }
    let mut child = Child::spawn(command).unwrap();
    let status = child.wait(Duration::from_secs(60)).unwrap();
    Some((status.success(), child.stdout() + &child.stderr()))
}

#[test]
fn a_validator_takes_the_documents_of_servers_of_all_kinds() {
    let raw = By(async |request: Request<Bytes>| Ok::<_, Error>(Response::new(request.into_message())));
    let lenient = HttpServer::with_codec(Json::lenient().body_only().described());
    let mut documents = vec![
        document(&sum()),
        document(&takes::<Change, Reply>(described(), "do", "PUT /users/{id}?tags")),
        document(&takes::<Change, Reply>(lenient, "do", "ANY /change")),
        document(&HttpServer::with_codec(Raw).route("echo", "ANY /files/{*rest}").endpoint(op("echo"), raw)),
        document(&rest::users()),
        sum().openapi_document(&OpenApi::new("t", "1").error::<String>(StatusCode::CONFLICT, "text/plain")).unwrap(),
        document(&HttpServer::new()),
    ];
    #[cfg(feature = "protobuf")]
    documents.push(document(&HttpServer::with_codec(kit_transport_http::Protobuf).endpoint(op("same"), By(nothing))));
    documents.iter().for_each(sound);
    let Some((valid, says)) = judged(&documents) else { return };
    assert!(valid, "{says}");
}

#[test]
fn the_validator_refuses_what_is_wrong() {
    let mut wrong = document(&sum());
    wrong["paths"]["/sum"]["post"]["responses"] = "none".into();
    let Some((valid, says)) = judged(&[wrong]) else { return };
    assert!(!valid, "{says}");
}
