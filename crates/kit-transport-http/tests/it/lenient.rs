//! JSON read as Go reads it.

use kit_base::{Error, Request, Response};
use kit_transport_http::{HttpServer, Json, Routes};
use serde::{Deserialize, Serialize};

use crate::support::{By, ask, get, malformed, op, post};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Profile {
    id: String,
    full_name: Option<String>,
    age: i64,
    addresses: Vec<Address>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Address {
    zip_code: String,
}

fn echo(route: &str) -> Routes {
    let echo = By(async |request: Request<Profile>| Ok::<_, Error>(Response::new(request.into_message())));
    HttpServer::with_codec(Json::lenient()).endpoint(op("m"), echo).route("m", route).routes().unwrap()
}

async fn read(body: &str) -> String {
    let answer = ask(&echo("ANY /m"), post("/m", body.to_owned())).await;
    String::from_utf8(answer.body().to_vec()).unwrap()
}

#[tokio::test]
async fn keys_of_structs_count_in_any_case_at_any_depth() {
    let want = r#"{"id":"1","fullName":"Ada","age":36,"addresses":[{"zip_code":"W1"},{"zip_code":""}]}"#;
    let body = r#"{"ID":"1","FULLNAME":"Ada","Age":36,"Addresses":[{"Zip_Code":"W1","other":1},{}]}"#;
    assert_eq!(read(body).await, want);
    assert_eq!(read(want).await, want);
    // Where both are there, the key as it is written counts.
    assert_eq!(read(r#"{"age":2,"AGE":3}"#).await, read(r#"{"AGE":3,"age":2}"#).await);
    assert!(read(r#"{"AGE":3,"age":2,"Age":1}"#).await.contains(r#""age":2"#));
}

#[tokio::test]
async fn null_leaves_everything_alone() {
    let empty = r#"{"id":"","fullName":null,"age":0,"addresses":[]}"#;
    assert_eq!(read("null").await, empty);
    assert_eq!(read(r#"{"id":null,"age":null,"addresses":null}"#).await, empty);
}

#[tokio::test]
async fn only_the_first_value_counts() {
    assert!(read(r#"{"id":"x"} trailing"#).await.contains(r#""id":"x""#));
    assert!(read(r#"{"id":"x"}{"id":"y"}"#).await.contains(r#""id":"x""#));
}

#[tokio::test]
async fn any_content_type_will_do() {
    let mut request = post("/m", r#"{"id":"x"}"#);
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    assert_eq!(ask(&echo("ANY /m"), request).await.status(), 200);
}

#[tokio::test]
async fn what_go_refuses_is_refused() {
    let routes = echo("ANY /m");
    for (body, says) in [
        ("", "the body is empty"),
        ("  ", "EOF while parsing"),
        ("nope", "expected ident"),
        (r#"{"id":1}"#, "invalid type: integer `1`, expected a string"),
        (r#"["x"]"#, "invalid type: sequence, expected struct Profile"),
        (r#"{"addresses":[["x"]]}"#, "invalid type: sequence, expected struct Address"),
        (r#""text""#, r#"invalid type: string "text", expected struct Profile"#),
    ] {
        malformed(&ask(&routes, post("/m", body)).await, says);
    }
    // Go's decoder asks for a body whatever the verb.
    malformed(&ask(&routes, get("/m")).await, "the body is empty");
    malformed(&ask(&routes, post("/m", "[".repeat(100_000))).await, "recursion limit exceeded");
}

#[tokio::test]
async fn parameters_and_a_body_go_together() {
    let routes = echo("PUT /profiles/{id}");
    let put = |body: &'static str| crate::support::request(http::Method::PUT, "/profiles/7", body);
    let want = r#"{"id":"7","fullName":null,"age":5,"addresses":[{"zip_code":"W1"}]}"#;
    let body = r#"{"ID":"8","AGE":5,"FullName":null,"ADDRESSES":[{"ZIP_CODE":"W1"}]} trailing"#;
    assert_eq!(ask(&routes, put(body)).await.body(), want);
    let empty = r#"{"id":"7","fullName":null,"age":0,"addresses":[]}"#;
    for body in ["", "null", "{}"] {
        assert_eq!(ask(&routes, put(body)).await.body(), empty, "{body}");
    }
    malformed(&ask(&routes, put(r#"{"age":"x"}"#)).await, r#"field "age": invalid type"#);
}
