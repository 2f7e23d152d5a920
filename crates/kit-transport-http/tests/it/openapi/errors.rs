//! The errors in a document, beside those that the server really answers.

use http::StatusCode;
use kit_base::Error;
use kit_transport_http::OpenApi;
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::sound;
use crate::support::{answer, failing, post, request, sum};

#[derive(JsonSchema)]
#[expect(dead_code, reason = "its schema is what counts")]
struct Failure {
    error: String,
}

fn responses(openapi: &OpenApi) -> Value {
    let document = sum().openapi_document(openapi).unwrap();
    sound(&document);
    let operation = &document["paths"]["/sum"]["post"]["responses"];
    for status in document["components"]["responses"].as_object().unwrap().keys() {
        assert_eq!(operation[status]["$ref"], format!("#/components/responses/{status}"));
    }
    document["components"]["responses"].clone()
}

#[test]
fn errors_are_problem_details_under_the_server_s_statuses_and_any_other() {
    let responses = responses(&OpenApi::new("test", "1"));
    let statuses: Vec<_> = responses.as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["400", "408", "413", "415", "500", "504", "default"]);
    for (status, response) in responses.as_object().unwrap() {
        let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
        assert_eq!(response["content"], content, "{status}");
    }
}

#[test]
fn an_error_of_the_user_s_form_stands_beside_or_alone() {
    let with = |openapi: OpenApi| {
        openapi
            .error::<Failure>(StatusCode::BAD_REQUEST, "application/json")
            .error::<String>(StatusCode::NOT_FOUND, "text/plain")
    };
    let beside = responses(&with(OpenApi::new("test", "1")));
    let types: Vec<_> = beside["400"]["content"].as_object().unwrap().keys().collect();
    assert_eq!(types, ["application/json", "application/problem+json"]);
    assert_eq!(beside["404"]["content"], json!({"text/plain": {"schema": {"type": "string"}}}));
    let alone = responses(&with(OpenApi::new("test", "1").without_problem_details()));
    assert_eq!(alone.as_object().unwrap().keys().collect::<Vec<_>>(), ["400", "404"]);
    assert_eq!(alone["400"]["content"].as_object().unwrap().len(), 1);
}

/// Whether the value has what the schema wants, as far as the schema of problem details goes.
fn fits(value: &Value, schema: &Value) -> bool {
    let fields = value.as_object().unwrap();
    let has = |name: &Value| fields.contains_key(name.as_str().unwrap());
    schema["required"].as_array().unwrap().iter().all(has)
        && fields.iter().all(|(name, value)| match &schema["properties"][name] {
            Value::Null => false,
            field if field["type"] == "integer" => {
                (field["minimum"].as_u64()..=field["maximum"].as_u64()).contains(&value.as_u64())
            }
            field => {
                value.is_string()
                    && field["enum"].as_array().is_none_or(|known| known.contains(value))
                    && field.get("const").is_none_or(|known| known == value)
            }
        })
}

#[tokio::test]
async fn what_is_answered_fits_the_schema_of_problem_details() {
    let document = sum().openapi_document(&OpenApi::new("test", "1")).unwrap();
    let schema = &document["components"]["schemas"]["Problem"];
    let mut coded = post("/sum", "{}");
    coded.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    for (request, status) in [
        (post("/sum", "nope"), 400),
        (post("/nope", "{}"), 404),
        (request(http::Method::GET, "/sum", ""), 405),
        (coded, 415),
    ] {
        let answer = answer(sum(), request).await;
        assert_eq!(answer.status(), status);
        let problem: Value = serde_json::from_slice(answer.body()).unwrap();
        assert!(fits(&problem, schema), "{problem}");
    }
    for kind in kit_base::Kind::ALL {
        let server = failing(move || Error::new(kind, "no").with_reason("WHY"));
        let answer = answer(server, post("/fail", "{}")).await;
        let problem: Value = serde_json::from_slice(answer.body()).unwrap();
        assert!(fits(&problem, schema), "{problem}");
    }
}
