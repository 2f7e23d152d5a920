//! Panics in user code: answered 500 with a neutral text, told as an event, and over.

use std::sync::Arc;

use bytes::Bytes;
use kit_base::{Error, Event, Request, Response, ServerStream};
use kit_testing::http::raw_response;
use kit_transport_http::{HttpServer, Json, Received};

use crate::support::{By, Notes, Panicking, answer, ask, failing, items, op, post, problem, shaped, sum, up};

type Empty = Result<Response<()>, Error>;

async fn panics(_: Request<()>) -> Empty {
    panic!("the secret is 42")
}

fn ok(_: Request<()>) -> std::future::Ready<Empty> {
    std::future::ready(Ok(Response::new(())))
}

/// The server with its events and errors noted.
fn noted(server: HttpServer) -> (HttpServer, Notes) {
    let notes = Notes::default();
    let (events, errors) = (notes.clone(), notes.clone());
    let server = server
        .observer(move |event: &Event<'_>| {
            events.add(format!("{} {} {} {}", event.source, event.what, event.key, event.amount));
        })
        .error_handler(move |_, error| errors.add(error.to_string()));
    (server, notes)
}

const EVENT: &str = "http_server panicked test/m 1";

async fn is_500(server: HttpServer, want: &[&str]) {
    let (server, notes) = noted(server);
    let answer = answer(server, post("/m", "")).await;
    let details = problem(&answer, 500);
    assert_eq!(details["kind"], "INTERNAL");
    assert_eq!(details["detail"], "internal error");
    assert!(!String::from_utf8_lossy(answer.body()).contains("secret"));
    assert_eq!(notes.all(), want);
}

#[tokio::test]
async fn a_panic_of_the_handler_is_500_and_the_next_request_works() {
    let (server, notes) = noted(sum().endpoint(op("m"), By(panics)));
    let served = up(server).await;
    let request = |path: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    for _ in 0..2 {
        let answer = raw_response(served.addr, request("/m", "")).await.unwrap();
        assert_eq!(problem(&answer, 500)["detail"], "internal error");
        let answer = raw_response(served.addr, request("/sum", r#"{"a":1,"b":2}"#)).await.unwrap();
        assert_eq!(answer.body(), r#"{"v":3}"#);
    }
    let once = [EVENT, "INTERNAL: panicked: the secret is 42"];
    assert_eq!(notes.all(), [once, once].concat());
}

#[tokio::test]
async fn a_panic_of_a_handler_that_has_waited_is_500() {
    let panics = By(async |_: Request<()>| {
        tokio::task::yield_now().await;
        panics(Request::new(())).await
    });
    is_500(HttpServer::new().endpoint(op("m"), panics), &[EVENT, "INTERNAL: panicked: the secret is 42"]).await;
}

#[tokio::test]
async fn a_panic_before_there_is_a_future_is_500() {
    fn at_once(_: Request<()>) -> std::future::Ready<Empty> {
        panic!("the secret is 42")
    }
    is_500(HttpServer::new().endpoint(op("m"), By(at_once)), &[EVENT, "INTERNAL: panicked: the secret is 42"]).await;
}

#[tokio::test]
async fn a_panic_of_a_decoder_or_an_encoder_is_500() {
    let decode = |_: &Received<'_>| -> Result<(), Error> { panic!("the secret is 1") };
    let server = HttpServer::new().handle(op("m"), By(ok), decode, Json::new());
    is_500(server, &[EVENT, "INTERNAL: panicked: the secret is 1"]).await;

    let encode = |_: &Received<'_>, _: Empty| -> Result<http::Response<Bytes>, Error> { panic!("the secret is 2") };
    let server = HttpServer::new().handle(op("m"), By(ok), Json::new(), encode);
    is_500(server, &[EVENT, "INTERNAL: panicked: the secret is 2"]).await;
}

#[tokio::test]
async fn a_panic_of_a_hook_is_500() {
    let server = || HttpServer::new().endpoint(op("m"), By(ok));
    let told = [EVENT, "INTERNAL: panicked: the secret"];
    is_500(server().before(|_, _| panic!("the secret")), &told).await;
    is_500(server().after(|_, _| panic!("the secret")), &told).await;
}

#[tokio::test]
async fn a_panic_of_the_error_encoder_or_handler_is_500() {
    let failing = || failing(|| Error::not_found("no such thing")).route("fail", "POST /m");
    // The one that panics is asked about its own panic, and may do better then.
    let twice = ["NOT_FOUND: no such thing", "http_server panicked test/fail 1", "INTERNAL: panicked: the secret"];
    let (server, notes) = noted(failing().error_encoder(|_| panic!("the secret")));
    assert_eq!(problem(&answer(server, post("/m", "{}")).await, 500)["detail"], "internal error");
    assert_eq!(notes.all(), twice);

    let (server, notes) = noted(failing());
    let server = server.error_handler(|_, _| panic!("the secret"));
    assert_eq!(problem(&answer(server, post("/m", "{}")).await, 500)["detail"], "internal error");
    assert_eq!(notes.all(), twice);

    // No route is no reason to let a panic through.
    let (server, _) = noted(failing());
    let server = server.error_handler(|_, _| panic!("the secret"));
    problem(&answer(server, post("/nowhere", "")).await, 500);
}

#[tokio::test]
async fn a_panic_of_a_finalizer_changes_no_answer_and_keeps_no_other_from_running() {
    let (server, notes) = noted(HttpServer::new().endpoint(op("m"), By(ok)));
    let ran = notes.clone();
    let server = server.finalizer(|_| panic!("the secret")).finalizer(move |_| ran.add("second"));
    assert_eq!(answer(server, post("/m", "")).await.status(), 200);
    assert_eq!(notes.all(), [EVENT, "second"]);
}

#[tokio::test]
async fn a_panic_of_a_service_behind_this_one_is_not_counted_as_ours() {
    let (behind, _) = noted(HttpServer::new().endpoint(op("m"), By(panics)));
    let behind = up(behind).await;
    let client = Arc::new(behind.client().endpoint::<(), ()>(op("m")));
    let front = By(move |request: Request<()>| {
        let client = Arc::clone(&client);
        async move { kit_base::Endpoint::call(&*client, request).await }
    });
    is_500(HttpServer::new().endpoint(op("m"), front), &["INTERNAL: internal error"]).await;
}

#[tokio::test]
async fn a_panic_of_the_body_is_500_and_finalizers_do_not_take_it_for_a_caller_that_left() {
    let (server, notes) = noted(HttpServer::new().endpoint(op("m"), By(ok)));
    let ended = notes.clone();
    let server = server.finalizer(move |finished| ended.add(format!("{:?} {}", finished.status, finished.left)));
    let request = http::Request::post("/m").body(Panicking).unwrap();
    problem(&ask(&server.routes().unwrap(), request).await, 500);
    assert_eq!(notes.all(), [EVENT, "INTERNAL: panicked: the secret", "Some(500) false"]);
}

#[tokio::test]
async fn a_panic_of_the_observer_harms_nobody() {
    let ran = Notes::default();
    let seen = ran.clone();
    let server = || HttpServer::new().observer(|_: &Event<'_>| panic!("the observer"));
    let finalizers = server().endpoint(op("m"), By(ok)).finalizer(|_| panic!("the secret"));
    let finalizers = finalizers.finalizer(move |_| seen.add("second"));
    assert_eq!(answer(finalizers, post("/m", "")).await.status(), 200);
    assert_eq!(ran.all(), ["second"]);
    // Once its handler has failed, the answer tells that, and not what the observer did of it.
    let seen = ran.clone();
    let fails = server().endpoint(op("m"), By(panics)).error_handler(move |_, error| seen.add(error.to_string()));
    problem(&answer(fails, post("/m", "")).await, 500);
    assert_eq!(ran.all(), ["second", "INTERNAL: panicked: the secret is 42"]);
    // In a stream.
    let seen = ran.clone();
    let streams = shaped::<ServerStream, _>(async |_: Request<(), ServerStream>| {
        let panics = (0..2).map(|item| if item == 0 { Ok(item) } else { panic!("the secret") });
        Ok::<_, Error>(Response::new(items(panics)))
    });
    let streams = server().endpoint(op("m"), streams);
    let streams = streams.finalizer(move |finished| seen.add(format!("{:?}", finished.error.and_then(Error::reason))));
    let answer = answer(streams, post("/m", "")).await;
    assert!(String::from_utf8_lossy(answer.body()).contains("PANIC"));
    assert_eq!(ran.all()[2..], ["Some(\"PANIC\")"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_handler_that_is_dropped_at_the_deadline_changes_no_answer() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("the secret");
            }
        }
    }
    let hangs = By(async |_: Request<()>| {
        let _held = PanicsOnDrop;
        std::future::pending::<Empty>().await
    });
    let notes = Notes::default();
    let ended = notes.clone();
    let server = HttpServer::new().endpoint(op("m"), hangs);
    let server = server.finalizer(move |finished| ended.add(format!("{:?} {}", finished.status, finished.left)));
    let mut request = post("/m", "");
    request.headers_mut().insert("grpc-timeout", "1S".parse().unwrap());
    problem(&answer(server, request).await, 504);
    assert_eq!(notes.all(), ["Some(504) false"]);
}
