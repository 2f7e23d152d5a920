//! The service on hyper, and under kit's and tower's layers.

use http_body_util::BodyExt;
use kit_base::{IntoService, Operation, Request, Response};
use kit_testing::http::curl;
use kit_testing::tools::skip_unless;
use kit_transport_http::HttpServer;
use tower::ServiceExt;

use crate::support::{By, op, post, serve, sum, up};

#[tokio::test]
async fn hyper_serves_it_over_both_versions_of_http() {
    if !skip_unless("curl") {
        return;
    }
    let served = up(sum()).await;
    let url = format!("{}/sum", served.url());
    for version in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
        let answer = curl([version, "-H", "content-type: application/json", "-d", r#"{"a":1,"b":2}"#, &url]).await;
        assert_eq!(answer.unwrap().body(), r#"{"v":3}"#, "{version}");
    }
}

#[tokio::test]
async fn it_is_a_tower_service_for_any_body() {
    let service = sum().build().unwrap();
    let answer = service.clone().oneshot(post("/sum", r#"{"a":1,"b":2}"#)).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), r#"{"v":3}"#);
    let answer = service.oneshot(post("/sum", "").map(|_| r#"{"a":1,"b":3}"#.to_owned())).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), r#"{"v":4}"#);
}

#[tokio::test]
async fn it_needs_no_runtime_where_nothing_waits() {
    // The test has one; the thread has none.
    let routes = sum().routes().unwrap();
    let answer = std::thread::spawn(move || {
        let mut call = Box::pin(async move { crate::support::ask(&routes, post("/sum", r#"{"a":1,"b":2}"#)).await });
        match call.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(answer) => answer,
            std::task::Poll::Pending => panic!("nothing was to be waited for"),
        }
    });
    assert_eq!(answer.join().unwrap().body(), r#"{"v":3}"#);
}

#[tokio::test]
async fn the_operation_is_known_to_the_endpoint_and_unmatched_before() {
    let name = By(async |request: Request<()>| {
        Ok::<_, kit_base::Error>(Response::new(request.context().operation().to_string()))
    });
    let routes = HttpServer::new().endpoint(op("name"), name).routes().unwrap();
    let served = serve(IntoService::new(routes)).await;
    let client = served.client().endpoint::<(), String>(op("name"));
    let answer = kit_base::Endpoint::call(&client, Request::new(())).await.unwrap();
    assert_eq!(answer.into_message(), "test/name");
    assert_eq!(Operation::UNMATCHED.to_string(), "unmatched");
}
