//! Messages from path and query, as servers read them.

use http::Method;
use kit_base::{Error, Request, Response};
use kit_transport_http::{HttpServer, Routes};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::{By, ask, get, malformed, op, post, problem, request};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Search {
    id: Option<String>,
    page_size: Option<u32>,
    exact: bool,
    ratio: Option<f64>,
    big: Option<i128>,
    letter: Option<char>,
    order: Option<Order>,
    tag: Vec<String>,
    ids: Vec<u64>,
    wrapped: Option<Wrapped>,
    nested: Option<Nested>,
    nothing: Option<()>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Up,
    Down,
}

#[derive(Debug, Serialize, Deserialize)]
struct Wrapped(i16);

#[derive(Debug, Serialize, Deserialize)]
struct Nested {
    x: i32,
}

/// Answers with the message, under this route.
fn echo(route: &str) -> Routes {
    let echo = By(async |request: Request<Search>| Ok::<_, Error>(Response::new(request.into_message())));
    HttpServer::new().endpoint(op("search"), echo).route("search", route).routes().unwrap()
}

/// What of the answer is not the default.
async fn asked(routes: &Routes, request: http::Request<http_body_util::Full<bytes::Bytes>>) -> serde_json::Value {
    let answer = ask(routes, request).await;
    let text = String::from_utf8_lossy(answer.body());
    assert_eq!(answer.status(), 200, "{text}");
    let defaults = serde_json::to_value(Search::default()).unwrap();
    let mut fields: serde_json::Map<_, _> = serde_json::from_str(&text).unwrap();
    fields.retain(|name, value| defaults[name] != *value);
    fields.into()
}

#[tokio::test]
async fn a_path_parameter_is_decoded_once() {
    let routes = echo("GET /users/{id}");
    for (path, id) in [
        ("/users/7", "7"),
        ("/users/a%2Fb", "a/b"),
        ("/users/%252F", "%2F"),
        ("/users/gr%C3%B6%C3%9Fe", "größe"),
        ("/users/a+b", "a+b"),
        ("/users/%20", " "),
        ("/users/..", ".."),
        ("/users/%", "%"),
    ] {
        assert_eq!(asked(&routes, get(path)).await, json!({ "id": id }), "{path}");
    }
    malformed(&ask(&routes, get("/users/%FF")).await, r#"parameter "id" is "%FF", which is not UTF-8"#);
    malformed(&ask(&routes, get("/users/7?tag=%FF")).await, r#"query "tag=%FF" is not UTF-8"#);
    problem(&ask(&routes, get("/users/")).await, 404);
    problem(&ask(&routes, get("/users/a/b")).await, 404);
}

#[tokio::test]
async fn the_rest_of_a_path_is_a_parameter() {
    let routes = echo("GET /files/{*id}");
    assert_eq!(asked(&routes, get("/files/a/b%20c/d")).await, json!({ "id": "a/b c/d" }));
    problem(&ask(&routes, get("/files/")).await, 404);
}

#[tokio::test]
async fn query_parameters_are_parsed_as_the_fields_want_them() {
    let routes = echo("GET /search");
    let query = "pageSize=20&exact=true&ratio=1.5&big=-170141183460469231731687303715884105728&letter=%C3%B6\
                 &order=down&tag=a&tag=b+c&tag=&ids=1&ids=2&wrapped=-3&unknown=x&unknown=y";
    let want = json!({
        "pageSize": 20, "exact": true, "ratio": 1.5, "letter": "ö", "order": "down",
        "tag": ["a", "b c", ""], "ids": [1, 2], "wrapped": -3,
    });
    let mut got = asked(&routes, get(&format!("/search?{query}"))).await;
    assert!(got.as_object_mut().unwrap().remove("big").is_some());
    assert_eq!(got, want);
    assert_eq!(asked(&routes, get("/search")).await, json!({}));
    assert_eq!(asked(&routes, get("/search?")).await, json!({}));
    assert_eq!(asked(&routes, get("/search?tag=one")).await, json!({ "tag": ["one"] }));
    assert_eq!(asked(&routes, get("/search?id=")).await, json!({ "id": "" }));
    // One is wanted and several are given: the first one counts.
    assert_eq!(asked(&routes, get("/search?id=a&id=b")).await, json!({ "id": "a" }));
}

#[tokio::test]
async fn a_parameter_that_does_not_fit_is_400_and_named() {
    let routes = echo("GET /search");
    for (query, says) in [
        ("pageSize=ten", r#"parameter "pageSize" is "ten", want a whole number"#),
        ("pageSize=-1", r#"parameter "pageSize" is "-1", want a whole number"#),
        ("pageSize=", r#"parameter "pageSize" is "", want a whole number"#),
        ("ids=1&ids=x", r#"parameter "ids" is "x", want a whole number"#),
        ("exact=yes", r#"parameter "exact" is "yes", want true or false"#),
        ("exact", r#"parameter "exact" is "", want true or false"#),
        ("ratio=x", r#"parameter "ratio" is "x", want a number"#),
        // Rust parses these, and no JSON could bring them back.
        ("ratio=NaN", r#"parameter "ratio" is "NaN", want a number"#),
        ("ratio=-inf", r#"parameter "ratio" is "-inf", want a number"#),
        ("ratio=1e999", r#"parameter "ratio" is "1e999", want a number"#),
        ("order=left", r#"parameter "order": unknown variant `left`, expected `up` or `down`"#),
        ("letter=ab", r#"parameter "letter": invalid value: string "ab", expected a character"#),
        ("nested=1", r#"parameter "nested": invalid type: string "1", expected struct Nested"#),
        ("wrapped=99999", r#"parameter "wrapped" is "99999", want a whole number"#),
    ] {
        malformed(&ask(&routes, get(&format!("/search?{query}"))).await, says);
    }
}

#[tokio::test]
async fn a_missing_field_is_400_and_named() {
    let sum = crate::support::sum().route("sum", "GET /sum").routes().unwrap();
    assert_eq!(ask(&sum, get("/sum?a=1&b=2")).await.body(), r#"{"v":3}"#);
    malformed(&ask(&sum, get("/sum?a=1")).await, "missing field `b`");
    malformed(&ask(&sum, get("/sum")).await, "missing field `a`");
}

#[tokio::test]
async fn path_comes_before_query_before_body() {
    let routes = echo("PUT /users/{id}?pageSize&tag");
    let put = |target: &str, body: &str| request(Method::PUT, target, body.to_owned());
    let body = r#"{"id":"body","pageSize":1,"exact":true,"tag":["body"],"nested":{"x":1}}"#;
    let want = json!({ "id": "path", "pageSize": 2, "exact": true, "tag": ["body"], "nested": { "x": 1 } });
    assert_eq!(asked(&routes, put("/users/path?id=query&pageSize=2&exact=false", body)).await, want);
    assert_eq!(asked(&routes, put("/users/path?pageSize=2", "")).await, json!({ "id": "path", "pageSize": 2 }));

    malformed(&ask(&routes, put("/users/7", r#"{"exact":1}"#)).await, r#"field "exact": invalid type: integer `1`"#);
    malformed(&ask(&routes, put("/users/7", "[1]")).await, "invalid type: sequence, expected a map");
    malformed(&ask(&routes, put("/users/7", "{")).await, "EOF while parsing");
}

#[tokio::test]
async fn a_post_takes_nothing_from_a_query_that_its_route_does_not_name() {
    let routes = echo("POST /search");
    assert_eq!(asked(&routes, post("/search?exact=true", r#"{"id":"1"}"#)).await, json!({ "id": "1" }));
    let routes = echo("POST /search?exact");
    assert_eq!(
        asked(&routes, post("/search?exact=true&tag=x", r#"{"id":"1"}"#)).await,
        json!({ "id": "1", "exact": true })
    );
    let routes = echo("GET /search?exact");
    assert_eq!(asked(&routes, get("/search?exact=true&tag=x")).await, json!({ "exact": true }));
}

#[tokio::test]
async fn a_get_with_a_body_is_read_as_go_kits_clients_send_it() {
    let routes = echo("GET,POST /search");
    let body = r#"{"id":"body","exact":true}"#;
    assert_eq!(asked(&routes, request(Method::GET, "/search", body)).await, json!({ "id": "body", "exact": true }));
    assert_eq!(
        asked(&routes, request(Method::GET, "/search?id=query", body)).await,
        json!({ "id": "query", "exact": true })
    );
    malformed(&ask(&routes, request(Method::GET, "/search", "nope")).await, "expected ident");
}

#[tokio::test]
async fn messages_that_are_no_structs_can_come_from_nothing() {
    async fn given<T: serde::de::DeserializeOwned + Send + std::fmt::Debug + 'static>(target: &str) -> String {
        let show = By(async |request: Request<T>| Ok::<_, Error>(Response::new(format!("{:?}", request.message()))));
        let server = HttpServer::new().endpoint(op("m"), show).route("m", "GET /m");
        let answer = ask(&server.routes().unwrap(), get(target)).await;
        serde_json::from_slice(answer.body()).unwrap()
    }

    #[derive(Debug, Deserialize)]
    struct Unit;

    #[derive(Debug, Deserialize)]
    struct Newtype(std::collections::BTreeMap<String, String>);

    assert_eq!(given::<()>("/m").await, "()");
    assert_eq!(given::<Unit>("/m?x=1").await, "Unit");
    assert_eq!(given::<Option<crate::support::Sum>>("/m").await, "None");
    assert_eq!(given::<Option<crate::support::Sum>>("/m?a=1&b=2").await, "Some(Sum { a: 1, b: 2 })");
    assert_eq!(given::<Newtype>("/m?x=1").await, r#"Newtype({"x": "1"})"#);
    assert_eq!(given::<serde_json::Value>("/m?x=1").await, r#"Object {"x": String("1")}"#);
    let _ = (Newtype(Default::default()).0, Wrapped(1).0, Nested { x: 1 }.x);
}

#[tokio::test]
async fn where_the_body_is_the_whole_message_parameters_are_none() {
    use kit_transport_http::Json;

    let length = By(async |request: Request<Search>| {
        Ok::<_, Error>(Response::new(request.into_message().id.unwrap_or_default()))
    });
    let server = HttpServer::with_codec(Json::new().body_only()).route("find", "GET,POST /find");
    let routes = server.endpoint(op("find"), length).routes().unwrap();
    let with_body = request(Method::GET, "/find?id=query", r#"{"id":"body"}"#);
    assert_eq!(ask(&routes, with_body).await.body(), r#""body""#);
    malformed(&ask(&routes, get("/find?id=query")).await, "the body is empty");
}
