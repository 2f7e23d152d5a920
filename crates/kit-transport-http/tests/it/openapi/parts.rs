//! Where the parts of a message are said to be: path, query, body.

use std::collections::HashMap;

use bytes::Bytes;
use kit_base::{Error, Request, Response};
use kit_transport_http::{HttpServer, Json, Raw, Received};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Change, Reply, described, document, nothing, operation, shape, takes};
use crate::support::{By, add, op, sum};

#[test]
fn all_is_in_the_body_unless_the_route_says_otherwise() {
    let operation = operation::<Change>("POST /change");
    assert_eq!(shape(&operation), ["body* application/json: Change"]);
    assert_eq!(operation["operationId"], "test.do");
    assert_eq!(operation["tags"], json!(["test"]));
    let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(answer, "#/components/schemas/Reply");
}

#[test]
fn fields_go_to_path_and_query_and_the_rest_into_the_body() {
    let operation = operation::<Change>("PUT /users/{id}?tags");
    assert_eq!(shape(&operation), ["path id*: integer", "query tags: array", "body* application/json: name*, nick"]);
    let id = json!({"name": "id", "in": "path", "required": true, "description": "Whose.",
        "schema": {"type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX}});
    assert_eq!(operation["parameters"][0], id);
    assert_eq!(
        operation["requestBody"]["content"]["application/json"]["schema"]["description"],
        "What may be changed of a user."
    );
}

#[test]
fn a_verb_without_a_body_has_all_in_path_and_query() {
    for verb in ["GET", "DELETE", "HEAD"] {
        let operation = operation::<Change>(&format!("{verb} /users/{{id}}"));
        let parts = ["path id*: integer", "query name*: string", "query nick: string", "query tags: array"];
        assert_eq!(shape(&operation), parts, "{verb}");
        // What may be null may be left out; no text is null.
        assert_eq!(operation["parameters"][2]["schema"], json!({"type": "string"}));
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Level {
    High,
    VeryHigh,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "nobody calls it")]
struct Search {
    level: Level,
    least: Option<Level>,
    around: Option<Point>,
    #[serde(default)]
    any: bool,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "nobody calls it")]
struct Point {
    x: f64,
}

#[test]
fn enums_are_texts_and_objects_no_parameters() {
    let operation = operation::<Search>("GET /search/{level}");
    assert_eq!(shape(&operation), ["path level*: any", "query any: boolean", "query least: any"]);
    let level = json!({"$ref": "#/components/schemas/Level", "minLength": 1});
    assert_eq!(operation["parameters"][0]["schema"], level);
    assert_eq!(operation["parameters"][2]["schema"], json!({"$ref": "#/components/schemas/Level"}));
}

#[test]
fn messages_of_nothing_and_of_anything_are_said_to_be_so() {
    assert_eq!(shape(&operation::<()>("GET /nothing")), [""; 0]);
    let nothing = operation::<()>("POST /nothing");
    assert_eq!(nothing["requestBody"]["required"], false);
    let optional = operation::<Option<Change>>("POST /maybe");
    assert_eq!(optional["requestBody"]["required"], false);
    let optional = operation::<Option<Change>>("GET /maybe");
    assert_eq!(
        shape(&optional),
        ["query id: integer", "query name: string", "query nick: string", "query tags: array"]
    );
    let map = operation::<HashMap<String, u8>>("GET /map");
    assert_eq!(shape(&map), ["query fields: object"]);
    assert_eq!(map["parameters"][0]["schema"]["additionalProperties"]["maximum"], 255);
}

#[test]
fn a_body_is_needed_where_nothing_else_makes_a_message() {
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "nobody calls it")]
    struct Page {
        limit: Option<u32>,
        id: Option<u32>,
    }
    assert_eq!(shape(&operation::<Page>("POST /page?limit")), ["query limit: integer", "body* application/json: id"]);
    // The parameter in the path makes one.
    assert_eq!(shape(&operation::<Page>("POST /page/{id}?limit")), ["path id*: integer", "query limit: integer"]);
    assert_eq!(shape(&operation::<Page>("POST /page/{id}")), ["path id*: integer", "body application/json: limit"]);
}

#[test]
fn the_body_is_all_when_it_is_said_to_be_whatever_the_verb() {
    let server = HttpServer::with_codec(Json::new().body_only().described());
    let server = takes::<Change, Reply>(server, "do", "GET,POST /users/{id}");
    let document = document(&server);
    for verb in ["get", "post"] {
        let operation = &document["paths"]["/users/{id}"][verb];
        assert_eq!(shape(operation), ["path id*: string", "body* application/json: Change"]);
        assert_eq!(operation["operationId"], format!("test.do.{verb}"));
    }
}

#[test]
fn the_rest_of_a_path_and_any_verb_are_written_as_openapi_has_them() {
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "nobody calls it")]
    struct File {
        rest: String,
    }
    let document = document(&takes::<File, Reply>(described(), "do", "ANY /files/{*rest}"));
    let item = &document["paths"]["/files/{rest}"];
    let verbs: Vec<_> = item.as_object().unwrap().keys().collect();
    assert_eq!(verbs, ["delete", "get", "head", "options", "patch", "post", "put", "trace"]);
    assert_eq!(item["get"]["parameters"][0]["schema"], json!({"type": "string", "minLength": 1}));
    assert!(item["head"]["responses"]["200"].get("content").is_none());
}

async fn echo(request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
    Ok(Response::new(request.into_message()))
}

#[test]
fn codecs_without_schemas_say_what_they_know() {
    let json = document(&sum().route("sum", "GET,POST /sum"));
    assert_eq!(shape(&json["paths"]["/sum"]["post"]), ["body* application/json: "]);
    assert_eq!(shape(&json["paths"]["/sum"]["get"]), ["query fields: object"]);

    let by_id = document(&sum().route("sum", "GET /sums/{a}?b"));
    assert_eq!(shape(&by_id["paths"]["/sums/{a}"]["get"]), ["path a*: string", "query b: any"]);

    let raw = document(&HttpServer::with_codec(Raw).route("echo", "GET,POST /echo").endpoint(op("echo"), By(echo)));
    let raw = &raw["paths"]["/echo"];
    assert_eq!(shape(&raw["post"]), ["body */*: ", "body application/octet-stream: "]);
    assert_eq!(raw["post"]["responses"]["200"]["content"], json!({"application/octet-stream": {}}));
    assert_eq!(shape(&raw["get"]), [""; 0]);
}

#[test]
fn closures_say_nothing_and_a_pair_what_its_two_say() {
    let decode = |_: &Received<'_>| Ok(crate::support::Sum { a: 1, b: 2 });
    let server = HttpServer::new().handle(op("sum"), By(add), decode, (Raw, Json::new()));
    let sum = document(&server)["paths"]["/sum"]["post"].clone();
    assert_eq!(shape(&sum), ["body */*: "]);
    assert_eq!(sum["responses"]["200"]["content"], json!({"application/json": {}}));
}

#[cfg(feature = "protobuf")]
#[test]
fn protobuf_is_read_under_two_types_and_written_under_one() {
    let server = HttpServer::with_codec(kit_transport_http::Protobuf).endpoint(op("same"), By(nothing));
    let operation = document(&server)["paths"]["/same"]["post"].clone();
    assert_eq!(shape(&operation), ["body application/protobuf: ", "body application/x-protobuf: "]);
    assert_eq!(operation["responses"]["200"]["content"], json!({"application/x-protobuf": {}}));
}
