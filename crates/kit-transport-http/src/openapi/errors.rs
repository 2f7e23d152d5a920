//! The answers to errors: problem details, and what the user's error encoder makes.

use std::borrow::Cow;

use kit_base::Kind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::schemas::bounded;
use super::{OpenApi, Schemas};

/// What the server answers by itself, whatever is bound; `default` is for what the methods answer.
const OWN: [(&str, &str); 7] = [
    ("400", "the request is malformed, or the service refuses it"),
    ("408", "the body did not come in time"),
    ("413", "the body is too long"),
    ("415", "the media type or the coding of the body is not supported"),
    ("500", "the service failed"),
    ("504", "the deadline that came in `grpc-timeout` has passed"),
    ("default", "an error"),
];

/// The value of `components/responses`, by status.
pub(super) fn responses(openapi: &OpenApi, schemas: &mut Schemas) -> Map<String, Value> {
    let mut responses = Map::new();
    if openapi.problem_details {
        let content = json!({"application/problem+json": {"schema": schemas.written.subschema_for::<Problem>()}});
        for (status, description) in OWN {
            let mut response = json!({"description": description, "content": content});
            if status == "default" {
                let seconds = json!({"description": "seconds to wait", "schema": {"type": "integer", "minimum": 0}});
                response["headers"] = json!({"Retry-After": seconds});
            }
            responses.insert(status.to_owned(), response);
        }
    }
    for error in &openapi.errors {
        let status = error.status.as_str();
        let described = || json!({"description": error.status.canonical_reason().unwrap_or("an error"), "content": {}});
        let response = responses.entry(status).or_insert_with(described);
        let schema = bounded((error.schema)(&mut schemas.written).to_value());
        response["content"][&error.media_type] = json!({"schema": schema});
    }
    responses
}

/// Problem details, as the server writes them. Source: RFC 9457.
struct Problem;

impl JsonSchema for Problem {
    fn schema_name() -> Cow<'static, str> {
        "Problem".into()
    }

    fn schema_id() -> Cow<'static, str> {
        "kit_transport_http::Problem".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        json_schema!({
            "type": "object",
            "description": "Problem details (RFC 9457)",
            "properties": {
                "type": {"type": "string", "format": "uri-reference", "const": "about:blank"},
                "title": {"type": "string", "description": "the status in words"},
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": {"type": "string", "description": "what went wrong"},
                "kind": {"type": "string", "enum": kinds, "description": "the kind of the error, one of the gRPC codes"},
                "reason": {"type": "string", "description": "the reason, for programs"},
            },
            "required": ["type", "title", "status", "detail", "kind"],
        })
    }
}
