//! The client: the ways of a success.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use kit_base::{Context, Endpoint, Error, PassOn, Request, Response};
use kit_testing::backend::{Backend, Reply};
use kit_transport_http::{HttpClient, HttpServer};
use serde_json::json;

use crate::support::{By, Sum, Value, op, sum, up};

#[tokio::test]
async fn an_endpoint_calls_and_gets_its_answer() {
    let served = up(sum()).await;
    let client = served.client().endpoint::<Sum, Value>(op("sum"));
    let answer = client.call(Request::new(Sum { a: 1, b: 2 })).await.unwrap();
    assert_eq!(answer.message(), &Value { v: 3 });
    let parts = answer.parts().unwrap();
    assert_eq!(parts.headers["content-type"], "application/json");
    assert_eq!(parts.extensions.get::<StatusCode>(), Some(&StatusCode::OK));
    let clone = client.clone();
    assert_eq!(clone.call(Request::new(Sum { a: 2, b: 2 })).await.unwrap().into_message(), Value { v: 4 });
    let debug = format!("{clone:?}");
    assert!(debug.starts_with("Connected { base: \"http://127.0.0.1:"), "{debug}");
}

#[tokio::test]
async fn a_request_has_type_length_and_what_it_wants_and_nothing_of_the_clients_own() {
    // HTTP-C6.
    let backend = Backend::start(Reply::json(r#"{"v":3}"#)).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().endpoint::<Sum, Value>(op("sum"));
    client.call(Request::new(Sum { a: 1, b: 2 })).await.unwrap();
    let sent = &backend.requests()[0];
    assert_eq!((sent.method().as_str(), sent.uri().path()), ("POST", "/sum"));
    assert_eq!(sent.body(), r#"{"a":1,"b":2}"#);
    let mut names: Vec<_> = sent.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "content-length", "content-type", "host"]);
    // Of reqwest, with its feature gzip.
    assert_eq!(sent.headers()["accept-encoding"], "gzip");
    assert_eq!(sent.headers()["content-length"], "13");
    assert_eq!(sent.headers()["content-type"], "application/json");
    assert_eq!(sent.headers()["accept"], "application/json");
}

#[tokio::test]
async fn a_post_without_a_body_says_so() {
    let backend = Backend::start(Reply::ok()).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().codec(kit_transport_http::Raw);
    client.endpoint::<Bytes, Bytes>(op("m")).call(Request::new(Bytes::new())).await.unwrap();
    assert_eq!(backend.requests()[0].headers()["content-length"], "0");
}

#[tokio::test]
async fn any_2xx_is_a_success_and_no_body_is_a_message_of_nothing() {
    for status in [200, 201, 204, 206, 299] {
        let backend = Backend::start(Reply::status(status)).await.unwrap();
        let client = HttpClient::new(backend.url()).unwrap();
        let answer = client.endpoint::<(), ()>(op("m")).call(Request::new(())).await.unwrap();
        assert_eq!(answer.parts().unwrap().extensions.get::<StatusCode>().unwrap().as_u16(), status);
        assert_eq!(
            client.endpoint::<(), Option<Value>>(op("m")).call(Request::new(())).await.unwrap().message(),
            &None
        );
    }
}

#[tokio::test]
async fn headers_of_an_answer_come_with_it() {
    // HTTP-C1.
    let reply = Reply::json("1").header("x-one", "1").header("x-two", "a").header("x-two", "b");
    let backend = Backend::start(reply).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().endpoint::<(), i64>(op("m"));
    let (_, parts) = client.call(Request::new(())).await.unwrap().into_parts();
    assert_eq!(parts.headers["x-one"], "1");
    assert_eq!(parts.headers.get_all("x-two").iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn outbound_metadata_is_sent_with_all_its_values() {
    let backend = Backend::start(Reply::json("1")).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().endpoint::<(), i64>(op("m"));
    let mut context = Context::new();
    for value in ["1", "2"] {
        context.outbound_mut().append("x-tenant", HeaderValue::from_static(value));
    }
    client.call(Request::from_parts(context, ())).await.unwrap();
    let requests = backend.requests();
    assert_eq!(requests[0].headers().get_all("x-tenant").iter().collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn the_users_own_client_is_used() {
    // HTTP-C5.
    let backend = Backend::start(Reply::json("1")).await.unwrap();
    let own = reqwest::Client::builder().user_agent("mine/1").timeout(Duration::from_secs(3)).build().unwrap();
    let client = HttpClient::with_client(backend.url(), own).unwrap().endpoint::<(), i64>(op("m"));
    client.call(Request::new(())).await.unwrap();
    assert_eq!(backend.requests()[0].headers()["user-agent"], "mine/1");
}

#[tokio::test]
async fn connections_are_kept_and_shared_by_all_endpoints_of_a_client() {
    let backend = Backend::start(Reply::json("1")).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap();
    for name in ["a", "b", "c"] {
        client.clone().endpoint::<(), i64>(op(name)).call(Request::new(())).await.unwrap();
    }
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn routes_of_a_client_and_of_a_server_fit_together() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Find {
        id: String,
        #[serde(default)]
        tag: Vec<String>,
        limit: Option<u32>,
        #[serde(default)]
        note: String,
    }
    let find =
        || Find { id: "a/b ö?#%2F".into(), tag: vec!["x&y=z".into(), "+ ".into()], limit: None, note: "".into() };
    for route in ["GET /u/{id}", "PUT /u/{id}?tag", "DELETE /u/{*id}", "POST /u", "GET /u", "POST /u/{id}?tag&limit"] {
        let echo = By(async |request: Request<Find>| Ok::<_, Error>(Response::new(request.into_message())));
        let server = HttpServer::new().endpoint(op("find"), echo).route("find", route);
        let served = up(server).await;
        let client = served.client().route("find", route).endpoint::<Find, Find>(op("find"));
        let answer = client.call(Request::new(find())).await.unwrap().into_message();
        assert_eq!(answer, find(), "{route}");
    }
}

#[tokio::test]
async fn a_chained_answer_can_be_passed_on_whole() {
    let behind = up(sum()).await;
    let client = behind.client().endpoint::<Sum, Value>(op("sum"));
    // Another form of the same answer, so of another length than that which the headers of the first tell.
    let front = By(move |request: Request<Sum>| {
        let client = client.clone();
        async move { client.call(request).await.map(|answer| answer.map(|Value { v }| json!({ "the sum is": v }))) }
    });
    let front = up(HttpServer::new().endpoint(op("sum"), front)).await;
    let client = front.client().pass_on(PassOn::default()).endpoint::<Sum, serde_json::Value>(op("sum"));
    let answer = client.call(Request::new(Sum { a: 1, b: 2 })).await.unwrap();
    assert_eq!(answer.into_message(), json!({ "the sum is": 3 }));
}
