//! The URLs that a client calls: base, prefix, path and query.

use kit_base::{Endpoint, Error, Kind, Origin, Request};
use kit_testing::backend::{Backend, Reply};
use kit_transport_http::{HttpClient, Outgoing, Reply as Answer, Route};
use serde::Serialize;
use serde_json::{Value, json};

use crate::support::{chain, op};

/// What the target of a call is, under this base path and route.
async fn target(base: &str, route: &str, message: Value) -> Result<String, Error> {
    let backend = Backend::start(Reply::json("null")).await.unwrap();
    let client = HttpClient::new(backend.url() + base).unwrap().route("m", route).endpoint::<Value, ()>(op("m"));
    client.call(Request::new(message)).await?;
    Ok(backend.requests()[0].uri().to_string())
}

async fn refused(route: &str, message: Value) -> String {
    let backend = Backend::start(Reply::json("null")).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().route("m", route).endpoint::<Value, ()>(op("m"));
    let error = client.call(Request::new(message)).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::InvalidArgument, Origin::NotSent));
    assert_eq!(backend.connections(), 0);
    error.message().to_owned()
}

#[tokio::test]
async fn fields_of_the_path_are_encoded_once() {
    for (id, want) in [
        ("7", "/u/7"),
        ("a/b", "/u/a%2Fb"),
        ("%2F", "/u/%252F"),
        ("a b+c", "/u/a%20b%2Bc"),
        ("ö?#&=;:@", "/u/%C3%B6%3F%23%26%3D%3B%3A%40"),
        ("-._~", "/u/-._~"),
        ("...", "/u/..."),
        ("a\\b\0", "/u/a%5Cb%00"),
    ] {
        assert_eq!(target("", "GET /u/{id}", json!({ "id": id })).await.unwrap(), want);
    }
    assert_eq!(target("", "GET /u/{id}/x", json!({ "id": 7 })).await.unwrap(), "/u/7/x");
    assert_eq!(target("", "GET /u/{id}", json!({ "id": true })).await.unwrap(), "/u/true");
    assert_eq!(target("", "GET /f/{*id}", json!({ "id": "a/b c/d" })).await.unwrap(), "/f/a/b%20c/d");
}

#[tokio::test]
async fn fields_of_the_query_are_encoded_once() {
    let message = json!({ "q": "a b&c=d+ö%", "n": 1, "none": null, "list": ["x", 2, "y"], "empty": "", "no": [] });
    let got = target("", "GET /s", message).await.unwrap();
    assert_eq!(got, "/s?empty=&list=x&list=2&list=y&n=1&q=a+b%26c%3Dd%2B%C3%B6%25");
    assert_eq!(target("", "GET /s", json!({})).await.unwrap(), "/s");
    assert_eq!(target("", "GET /s", Value::Null).await.unwrap(), "/s");
}

#[tokio::test]
async fn what_is_not_in_path_or_query_is_in_the_body() {
    let backend = Backend::start(Reply::json("null")).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().route("m", "PATCH /u/{id}?dry");
    let client = client.endpoint::<Value, ()>(op("m"));
    client.call(Request::new(json!({ "id": 1, "dry": true, "name": "x", "tags": [1] }))).await.unwrap();
    let sent = &backend.requests()[0];
    assert_eq!(sent.uri(), "/u/1?dry=true");
    assert_eq!(sent.body(), r#"{"name":"x","tags":[1]}"#);
    client.call(Request::new(json!({ "id": 1 }))).await.unwrap();
    assert_eq!(backend.requests()[1].body(), "{}");

    let client = HttpClient::new(backend.url()).unwrap().route("m", "POST /items?dry").endpoint::<Value, ()>(op("m"));
    client.call(Request::new(json!({ "dry": true, "name": "x" }))).await.unwrap();
    let sent = &backend.requests()[2];
    assert_eq!((sent.uri().to_string(), &sent.body()[..]), ("/items?dry=true".to_owned(), &br#"{"name":"x"}"#[..]));
}

#[tokio::test]
async fn a_field_that_is_missing_or_has_no_place_is_named_and_nothing_is_sent() {
    let text = "must be a text or number and not empty";
    for message in [json!({}), json!({ "id": null }), json!({ "id": "" }), json!({ "id": [1] })] {
        assert_eq!(
            refused("GET /u/{id}", message).await,
            format!(r#"field "id" is in the path of GET /u/{{id}}, and {text}"#)
        );
    }
    assert_eq!(
        refused("GET /s", json!({ "filter": { "x": 1 } })).await,
        r#"field "filter" is in the query of GET /s, and must be a text, number or bool, or a list of such"#
    );
    assert_eq!(
        refused("DELETE /u/{id}?soft", json!({ "id": 1, "why": "x" })).await,
        r#"field "why" has no place in DELETE /u/{id}?soft: name it in its path or query"#
    );
}

#[tokio::test]
async fn a_segment_of_dots_is_refused_since_it_would_lead_elsewhere() {
    for id in [".", ".."] {
        let want = format!(r#"the path "/users/{id}/delete" has the segment {id:?}, which cannot be sent"#);
        assert_eq!(refused("POST /users/{id}/delete", json!({ "id": id })).await, want);
    }
    assert!(refused("GET /f/{*id}", json!({ "id": "a/../../b" })).await.contains(r#"the segment "..""#));
    let backend = Backend::start(Reply::json("null")).await.unwrap();
    for (sent, segment) in [("/a/%2E%2e/b", "%2E%2e"), ("/a/.%2e", ".%2e"), ("/a\\..\\b", "..")] {
        let client = HttpClient::new(backend.url()).unwrap().endpoint_by(
            op("m"),
            move |_: &Route, _: &http::Method, (): &()| Ok(Outgoing::to(sent)),
            |_: &Answer| Ok(()),
        );
        let error = client.call(Request::new(())).await.unwrap_err();
        assert!(error.message().contains(&format!("segment {segment:?}")), "{error}");
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_target_of_an_encoder_stays_below_the_base() {
    let backend = Backend::start(Reply::json("null")).await.unwrap();
    let call = async |sent: &'static str| {
        let client = HttpClient::new(backend.url() + "/base").unwrap().endpoint_by(
            op("m"),
            move |_: &Route, _: &http::Method, (): &()| Ok(Outgoing::to(sent)),
            |_: &Answer| Ok(()),
        );
        client.call(Request::new(())).await?;
        Ok::<_, Error>(backend.requests().last().unwrap().uri().to_string())
    };
    assert_eq!(call("/x").await.unwrap(), "/base/x");
    assert_eq!(call("//evil.example/x").await.unwrap(), "/base//evil.example/x");
    assert_eq!(call("/a b#c?d e").await.unwrap(), "/base/a%20b%23c?d%20e");
    let error = call("@evil.example/").await.unwrap_err();
    assert_eq!(error.message(), r#"the target "@evil.example/" of a request must begin with a slash"#);
    assert_eq!(error.origin(), Origin::NotSent);
}

#[tokio::test]
async fn a_base_url_may_have_a_path() {
    for base in ["/api/v1", "/api/v1/", "/api/./v1"] {
        assert_eq!(target(base, "POST /sum", json!({})).await.unwrap(), "/api/v1/sum");
    }
    assert_eq!(target("/", "POST /sum", json!({})).await.unwrap(), "/sum");
}

#[test]
fn bad_base_urls_are_shown_with_what_is_wrong() {
    let no_url = |url: &str, why: &str| {
        let error = chain(&HttpClient::new(url).unwrap_err());
        assert_eq!(error, format!("{url:?} is not the base URL of a service: {why}"));
    };
    no_url("", "it cannot be parsed, want http://host:port or https://host:port: relative URL without a base");
    no_url("localhost", "it cannot be parsed, want http://host:port or https://host:port: relative URL without a base");
    no_url(
        "127.0.0.1:8080",
        "it cannot be parsed, want http://host:port or https://host:port: relative URL without a base",
    );
    no_url("http://", "it cannot be parsed, want http://host:port or https://host:port: empty host");
    no_url("http://a:99999", "it cannot be parsed, want http://host:port or https://host:port: invalid port number");
    no_url("localhost:8080", "want http://host:port or https://host:port");
    no_url("ftp://a", "want http://host:port or https://host:port");
    no_url("unix:/run/x", "want http://host:port or https://host:port");
    no_url("http://a/?x=1", "it must have no query and no fragment");
    no_url("http://a/#x", "it must have no query and no fragment");

    let error = chain(&HttpClient::new("http://ada:s3cret@a/").unwrap_err());
    assert_eq!(error, "the base URL of a service must not hold a user: set Authorization in a before hook");
    for (url, shown) in [
        ("ftp://u:secret@h/", "ftp://…@h/"),
        ("http://u:secret@h:99999/", "http://…@h:99999/"),
        ("http://u:se@secret@h:99999/", "http://…@h:99999/"),
        ("http://u:sec/ret@h:99999/", "http://…@h:99999/"),
        ("http:u:secret@h:99999/", "…@h:99999/"),
        ("u:secret://x@h", "…@h"),
        ("u:secret@h", "…@h"),
    ] {
        let error = HttpClient::new(url).unwrap_err();
        let text = format!("{} {error:?}", chain(&error));
        assert!(text.starts_with(&format!("{shown:?} is not the base URL of a service: ")), "{text}");
        assert!(!text.contains("secret") && !text.contains("u:"), "{text}");
    }
}

#[tokio::test]
async fn a_route_that_is_none_is_told_at_the_call() {
    let backend = Backend::start(Reply::json("null")).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().route("m", "/m").endpoint::<(), ()>(op("m"));
    let error = client.call(Request::new(())).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Internal, Origin::NotSent));
    let want = r#"INTERNAL: test/m cannot be called: invalid route "/m": want a verb and a path, as in `POST /sum`"#;
    assert_eq!(chain(&error), want);
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_message_that_cannot_be_encoded_is_not_sent() {
    #[derive(Clone, Debug)]
    struct Stubborn;
    impl Serialize for Stubborn {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    let backend = Backend::start(Reply::json("null")).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().endpoint::<Stubborn, ()>(op("m"));
    let error = client.call(Request::new(Stubborn)).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Internal, Origin::NotSent));
    assert_eq!(chain(&error), "INTERNAL: the request cannot be encoded: no");
}
