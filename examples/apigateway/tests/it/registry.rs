//! The gateway in this process, over the registry of kit-lb.

use std::net::SocketAddr;
use std::time::Duration;

use addsvc::{Add, AddEndpoints, AddError, Adder, ConcatReply, ConcatRequest, SumReply, SumRequest};
use apigateway::gateway;
use kit_base::{Context, Instance};
use kit_lb::Registry;
use kit_serve::Server;
use kit_testing::http::curl;
use serde_json::{Value, json};
use stringsvc1::{StringServiceEndpoints, Strings};

/// A gateway over two registries that one can change.
struct Gateway {
    add: Registry,
    strings: Registry,
    addr: SocketAddr,
}

impl Gateway {
    async fn start() -> Self {
        let (add, strings) = (Registry::new(), Registry::new());
        let remote_add = AddEndpoints::connect(&apigateway::addsvc(add.clone()).balancer());
        let remote_strings = StringServiceEndpoints::connect(&apigateway::stringsvc(strings.clone()).balancer());
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let addr = server.local_addr();
        tokio::spawn(server.serve(gateway(remote_add, remote_strings).unwrap(), std::future::pending::<()>()));
        Self { add, strings, addr }
    }

    async fn post(&self, path: &str, body: &str, args: &[&str]) -> (u16, Value) {
        let url = format!("http://{}{path}", self.addr);
        let common = ["-H", "content-type: application/json", "--data-binary", body, &url];
        let answer = curl(common.iter().chain(args)).await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
    }
}

pub(crate) async fn serve_add(service: impl Add) -> Instance {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().to_string();
    let service = addsvc::AddEndpoints::new(service).bind(addsvc::grpc_server(())).build().unwrap();
    tokio::spawn(server.serve(service, std::future::pending::<()>()));
    Instance::new(address.clone(), address)
}

async fn serve_strings() -> Instance {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().to_string();
    let service = stringsvc1::http_service(Strings, false).unwrap();
    tokio::spawn(server.serve(service, std::future::pending::<()>()));
    Instance::new(address.clone(), address)
}

#[tokio::test]
async fn each_route_answers_as_its_service_business_errors_too() {
    let gateway = Gateway::start().await;
    for _ in 0..3 {
        gateway.add.insert(serve_add(Adder).await);
    }
    gateway.strings.insert(serve_strings().await);
    for (path, body, expected) in [
        ("/addsvc/sum", r#"{"a":1,"b":2}"#, (200, json!({"v": 3}))),
        ("/addsvc/concat", r#"{"a":"a","b":"b"}"#, (200, json!({"v": "ab"}))),
        ("/addsvc/sum", "{}", (400, json!({"error": "can't sum two zeroes"}))),
        ("/addsvc/concat", r#"{"a":"aaaaaa","b":"bbbbb"}"#, (400, json!({"error": "result exceeds maximum size"}))),
        ("/stringsvc/uppercase", r#"{"s":"hello, world"}"#, (200, json!({"v": "HELLO, WORLD"}))),
        ("/stringsvc/uppercase", r#"{"s":""}"#, (200, json!({"v": "", "err": "empty string"}))),
        ("/stringsvc/count", r#"{"s":"héllo"}"#, (200, json!({"v": 6}))),
    ] {
        assert_eq!(gateway.post(path, body, &[]).await, expected, "{path} {body}");
    }
    // stringsvc may be called by GET too, as Go kit's gateway itself calls it.
    let get = gateway.post("/stringsvc/count", r#"{"s":"abc"}"#, &["-X", "GET"]).await;
    assert_eq!(get, (200, json!({"v": 3})));
    let (status, problem) = gateway.post("/stringsvc/count", "nope", &[]).await;
    assert_eq!((status, &problem["kind"]), (400, &json!("INVALID_ARGUMENT")));
    let (status, _) = gateway.post("/nope", "{}", &[]).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn one_document_tells_of_all_routes() {
    let gateway = Gateway::start().await;
    let answer = curl([format!("http://{}/openapi.json", gateway.addr)]).await.unwrap();
    let document: Value = serde_json::from_slice(answer.body()).unwrap();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/addsvc/concat", "/addsvc/sum", "/stringsvc/count", "/stringsvc/uppercase"]);
}

#[tokio::test]
async fn without_an_instance_it_is_503_and_with_one_it_answers() {
    let gateway = Gateway::start().await;
    for (path, body) in [("/addsvc/sum", r#"{"a":1}"#), ("/stringsvc/count", "{}")] {
        let (status, problem) = gateway.post(path, body, &[]).await;
        assert_eq!((status, &problem["kind"]), (503, &json!("UNAVAILABLE")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with("no endpoints available"), "{problem}");
    }
    let instance = serve_add(Adder).await;
    gateway.add.insert(instance.clone());
    let sum = async || gateway.post("/addsvc/sum", r#"{"a":1}"#, &[]).await.0;
    until(async || sum().await == 200).await;
    gateway.add.remove(&instance.id);
    until(async || sum().await == 503).await;
}

/// Asks again until it is so.
async fn until(so: impl AsyncFn() -> bool) {
    let asking = async {
        while !so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asking).await.unwrap();
}

/// Tells how much time it was given, in milliseconds, and needs longer for a concat than anyone waits.
struct Timed;

impl Add for Timed {
    async fn sum(&self, cx: &Context, _: SumRequest) -> Result<SumReply, AddError> {
        let left = cx.deadline().map(|deadline| deadline.left(std::time::Instant::now()));
        Ok(SumReply { v: left.map_or(-1, |left| i64::try_from(left.as_millis()).unwrap()) })
    }

    async fn concat(&self, _: &Context, _: ConcatRequest) -> Result<ConcatReply, AddError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_deadline_goes_through_to_the_backend_and_ends_the_call() {
    let gateway = Gateway::start().await;
    gateway.add.insert(serve_add(Timed).await);
    let (_, answer) = gateway.post("/addsvc/sum", "{}", &["-H", "grpc-timeout: 20S"]).await;
    let left = answer["v"].as_i64().unwrap();
    assert!((10_000..=20_000).contains(&left), "{left} ms were left");
    let (status, problem) = gateway.post("/addsvc/concat", "{}", &["-H", "grpc-timeout: 200m"]).await;
    assert_eq!((status, &problem["kind"]), (504, &json!("DEADLINE_EXCEEDED")));
}
