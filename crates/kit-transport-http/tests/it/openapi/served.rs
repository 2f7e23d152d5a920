//! The document as it is served.

use http::Method;
use kit_transport_http::OpenApi;
use serde_json::{Value, json};

use crate::support::{ask, chain, get, request, sum};

#[tokio::test]
async fn the_document_is_served_beside_what_it_describes() {
    let openapi = || OpenApi::new("adder", "1.0.0").description("It adds.");
    let document = sum().openapi_document(&openapi()).unwrap();
    assert_eq!(document["info"], json!({"title": "adder", "version": "1.0.0", "description": "It adds."}));
    let routes = sum().openapi(openapi()).routes().unwrap();
    let answer = ask(&routes, get("/openapi.json")).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    assert_eq!(serde_json::from_slice::<Value>(answer.body()).unwrap(), document);
    let head = ask(&routes, request(Method::HEAD, "/openapi.json", "")).await;
    assert_eq!(head.headers()["content-length"], answer.body().len().to_string());
    assert_eq!(ask(&routes, request(Method::POST, "/openapi.json", "")).await.headers()["allow"], "GET, HEAD");
    let same = ask(&routes, request(Method::POST, "/sum", r#"{"a":1,"b":2}"#)).await;
    assert_eq!(same.body(), r#"{"v":3}"#);
}

#[tokio::test]
async fn its_path_can_be_chosen_and_the_prefix_does_not_count() {
    let server = sum().prefix("/v1").openapi(OpenApi::new("test", "1").path("/docs/api.json"));
    let routes = server.routes().unwrap();
    assert_eq!(ask(&routes, get("/docs/api.json")).await.status(), 200);
    assert_eq!(ask(&routes, get("/openapi.json")).await.status(), 404);
}

#[test]
fn a_path_that_is_none_or_is_taken_is_told() {
    let error = sum().openapi(OpenApi::new("test", "1").path("docs")).build().unwrap_err();
    assert!(chain(&error).starts_with("the OpenAPI document has no valid path: invalid route"), "{}", chain(&error));
    let error = sum().route("sum", "ANY /sum").openapi(OpenApi::new("test", "1").path("/sum")).build().unwrap_err();
    assert_eq!(error.to_string(), "test/sum and openapi/document have the same route GET /sum");
}

#[test]
fn it_can_be_amended_in_the_order_that_was_said() {
    let openapi = OpenApi::new("test", "1")
        .amend(|document| document["servers"] = json!([{"url": "https://a.example.com"}]))
        .amend(|document| document["paths"]["/sum"]["post"]["summary"] = document["servers"][0]["url"].clone());
    let document = sum().openapi_document(&openapi).unwrap();
    assert_eq!(document["paths"]["/sum"]["post"]["summary"], "https://a.example.com");
}
