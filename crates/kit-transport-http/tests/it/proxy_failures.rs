//! The reverse proxy: backends that fail, deadlines, and refusals of layers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use kit_base::{Deadline, End, Endpoint, Error, Gate, Guard, Now};
use kit_testing::backend::{Backend as Origin, Reply};
use kit_testing::http::{Peer, raw, raw_response};
use kit_transport_http::{Backend, ProxyBody, ReverseProxy};
use tower::Layer;

use crate::proxy::through;
use crate::proxy_support::{data, proxied, sent, up};
use crate::support::{HANGS, Notes, Panicking, get, post, problem};

fn grpc(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    request.headers_mut().insert("content-type", "application/grpc+proto".parse().unwrap());
    request
}

fn asks(mut request: Request<Full<Bytes>>, timeout: &str) -> Request<Full<Bytes>> {
    request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
    request
}

#[tokio::test]
async fn a_backend_that_gives_no_answer_is_502() {
    for reply in [Reply::reset(), Reply::close(), Reply::raw("no HTTP at all\r\n\r\n"), Reply::raw("HTTP/1.1 2")] {
        let origin = Origin::start(reply).await.unwrap();
        let proxy = ReverseProxy::new(origin.url()).unwrap();
        let answer = through(&proxy, get("/")).await;
        assert_eq!(problem(&answer, 502)["reason"], "BAD_GATEWAY");
        let by_reqwest = ReverseProxy::with_client(origin.url(), reqwest::Client::new()).unwrap();
        assert_eq!(problem(&through(&by_reqwest, get("/")).await, 502)["reason"], "BAD_GATEWAY");
        let answer = through(&proxy, grpc(post("/", "x"))).await;
        assert_eq!((answer.status().as_u16(), &answer.headers()["grpc-status"]), (200, &"14".parse().unwrap()));
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_502() {
    let proxy = ReverseProxy::new("http://no-such-host.invalid:81").unwrap();
    assert_eq!(problem(&through(&proxy, get("/")).await, 502)["reason"], "BAD_GATEWAY");
}

#[tokio::test]
async fn protocols_switched_unasked_are_502() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    let origin = Origin::start(Reply::raw(switch)).await.unwrap();
    let answer = through(&ReverseProxy::new(origin.url()).unwrap(), get("/")).await;
    assert_eq!(problem(&answer, 502)["reason"], "BAD_GATEWAY");
}

#[tokio::test]
async fn errors_of_the_backend_pass_unchanged() {
    for status in [400, 418, 429, 500, 502, 503, 504] {
        let origin = Origin::start(Reply::status(status).header("retry-after", "7").body("mine")).await.unwrap();
        let answer = through(&ReverseProxy::new(origin.url()).unwrap(), get("/")).await;
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (status, &b"mine"[..]));
        assert_eq!(answer.headers()["retry-after"], "7");
    }
}

#[tokio::test]
async fn a_backend_that_hangs_is_504_after_the_head_timeout() {
    let origin = Origin::start(Reply::hang()).await.unwrap();
    let proxy = ReverseProxy::new(origin.url()).unwrap().head_timeout(Duration::from_millis(100));
    let started = Instant::now();
    let answer = through(&proxy, get("/")).await;
    assert!(started.elapsed() >= Duration::from_millis(100));
    assert_eq!(problem(&answer, 504)["reason"], "GATEWAY_TIMEOUT");
    let answer = through(&proxy, grpc(post("/", "x"))).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["grpc-status"]), (200, &"4".parse().unwrap()));
    tokio::time::timeout(HANGS, origin.until_abandoned(2)).await.expect("the backend's requests have ended");
}

/// Reads what it is sent, and answers.
struct Reads;

impl Endpoint<Request<ProxyBody>> for Reads {
    type Response = Response<Full<Bytes>>;
    type Error = Error;

    async fn call(&self, request: Request<ProxyBody>) -> Result<Response<Full<Bytes>>, Error> {
        let read = request.into_body().collect().await;
        Ok(Response::new(read.map_err(|error| Error::unavailable(error.to_string()))?.to_bytes().into()))
    }
}

#[tokio::test(start_paused = true)]
async fn the_head_timeout_begins_anew_while_the_body_of_the_request_moves() {
    let proxy = ReverseProxy::with_endpoint("http://a", Reads).unwrap().head_timeout(Duration::from_secs(4));
    let (sender, body) = sent();
    let slow = tokio::spawn(async move {
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            sender.send(data("x")).await.unwrap();
        }
        sender
    });
    let started = tokio::time::Instant::now();
    let call = proxy.call(Request::post("/").body(body).unwrap());
    let ended = async { drop(slow.await.unwrap()) };
    let (Ok(answer), ()) = tokio::join!(call, ended);
    assert_eq!(answer.status(), 200);
    assert_eq!(started.elapsed(), Duration::from_secs(8));
    // A client that stops is to blame itself.
    let (_sender, body) = sent();
    let Ok(answer) = proxy.call(Request::post("/").body(body).unwrap()).await;
    assert_eq!(answer.status(), 408);
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("REQUEST_TIMEOUT"));
}

#[tokio::test]
async fn the_deadline_is_sent_on_as_what_is_left() {
    let origin = Origin::start(Reply::ok()).await.unwrap();
    let proxy = ReverseProxy::new(origin.url()).unwrap();
    through(&proxy, asks(get("/"), "20S")).await;
    let mut request = asks(get("/"), "20S");
    request.extensions_mut().insert(Deadline::after(Instant::now(), Duration::from_secs(5)));
    through(&proxy, request).await;
    through(&proxy, get("/")).await;
    // What is no deadline is not ours to judge.
    through(&proxy, asks(get("/"), "soon")).await;
    let sent: Vec<_> = origin.requests().iter().map(|request| request.headers().get("grpc-timeout").cloned()).collect();
    let left = |index: usize| {
        let text: kit_base::Timeout = sent[index].as_ref().unwrap().to_str().unwrap().parse().unwrap();
        text.0
    };
    assert!(left(0) < Duration::from_secs(20) && left(0) > Duration::from_secs(5), "{:?}", left(0));
    assert!(left(1) < Duration::from_secs(5), "{:?}", left(1));
    assert_eq!((sent[2].as_ref(), sent[3].as_ref().unwrap().to_str().unwrap()), (None, "soon"));
}

#[tokio::test]
async fn a_deadline_that_passes_before_the_head_is_504() {
    let origin = Origin::start(Reply::hang()).await.unwrap();
    let proxy = ReverseProxy::new(origin.url()).unwrap();
    let answer = through(&proxy, asks(get("/"), "80m")).await;
    assert_eq!(problem(&answer, 504)["kind"], "DEADLINE_EXCEEDED");
    let answer = through(&proxy, grpc(asks(post("/", "x"), "80m"))).await;
    assert_eq!(answer.headers()["grpc-status"], "4");
    tokio::time::timeout(HANGS, origin.until_abandoned(2)).await.expect("the backend's requests have ended");
    // One that has passed already is not begun.
    let notes = Notes::default();
    let guard = Guard::new(Door(None, notes.clone()));
    let proxy = ReverseProxy::with_endpoint(origin.url(), guard.layer(Backend::new())).unwrap();
    let answer = through(&proxy, asks(get("/"), "0n")).await;
    assert_eq!(answer.status(), 504);
    assert!(notes.all().is_empty());
}

#[tokio::test]
async fn a_deadline_that_passes_within_the_body_ends_it() {
    let origin = Origin::start(Reply::ok().body("0123456789").stall(4)).await.unwrap();
    let notes = Notes::default();
    let seen = notes.clone();
    let proxy = ReverseProxy::new(origin.url()).unwrap().finalizer(move |finished| {
        seen.add(format!("{} {:?}", finished.bytes, finished.error.map(Error::kind)));
    });
    let Ok(answer) = proxy.call(asks(get("/"), "200m")).await;
    assert_eq!(answer.status(), 200);
    let body = tokio::time::timeout(HANGS, answer.into_body().collect()).await.expect("the deadline ends it");
    let error = body.unwrap_err();
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), kit_base::Kind::DeadlineExceeded);
    // A caller of gRPC is told by trailers.
    let Ok(answer) = proxy.call(grpc(asks(post("/", "x"), "200m"))).await;
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "4");
    assert_eq!(notes.all(), ["4 Some(DeadlineExceeded)"; 2]);
    tokio::time::timeout(HANGS, origin.until_abandoned(2)).await.expect("the backend's requests have ended");
}

#[tokio::test]
async fn the_deadline_ends_the_backends_request_though_the_client_has_stopped_reading() {
    let origin = Origin::start(Reply::ok().body("0123456789").stall(4)).await.unwrap();
    let proxy = ReverseProxy::new(origin.url()).unwrap();
    let Ok(answer) = proxy.call(asks(get("/"), "200m")).await;
    assert_eq!(answer.status(), 200);
    tokio::time::timeout(HANGS, origin.until_abandoned(1)).await.expect("the backend's request has ended");
    let error = answer.into_body().collect().await.unwrap_err();
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), kit_base::Kind::DeadlineExceeded);
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_at_the_client() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for reply in [Reply::ok().body("0123456789").truncate(4), Reply::raw(chunked)] {
        let origin = Origin::start(reply).await.unwrap();
        let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
        let text = raw(front.addr, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(!text.ends_with("0\r\n\r\n"), "{text}");
        assert!(raw_response(front.addr, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.is_err());
        let by_2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        let answer = by_2.get(front.url()).send().await.unwrap();
        answer.bytes().await.unwrap_err();
    }
}

/// Refuses as it is told, and counts failures of the backend.
struct Door(Option<fn() -> Error>, Notes);

impl<Req, Res, Err> Gate<Req, Res, Err> for Door {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        self.0.map_or(Ok(()), |refuse| Err(refuse()))
    }

    fn finish(&self, (): (), end: &End<'_>) {
        self.1.add(format!("{} {}", end.judgement.verdict.as_str(), end.judgement.is_failure()));
    }
}

#[tokio::test]
async fn what_a_layer_refuses_is_answered_under_its_own_status() {
    let origin = Origin::start(Reply::ok()).await.unwrap();
    let refuse = || Error::resource_exhausted("too many").with_retry_after(Duration::from_secs(3));
    let guard = Guard::new(Door(Some(refuse), Notes::default()));
    let proxy = ReverseProxy::with_endpoint(origin.url(), guard.layer(Backend::new())).unwrap();
    let answer = through(&proxy, get("/")).await;
    assert_eq!(problem(&answer, 429)["detail"], "too many");
    assert_eq!(answer.headers()["retry-after"], "3");
    let answer = through(&proxy, grpc(post("/", "x"))).await;
    assert_eq!(answer.headers()["grpc-status"], "8");
    // Over clients of others, whose errors are their own, too.
    let client = kit_base::FromHttpService::<_, reqwest::Request, reqwest::Body>::new(reqwest::Client::new());
    let proxy = ReverseProxy::with_endpoint(origin.url(), guard.layer(client)).unwrap();
    assert_eq!(problem(&through(&proxy, get("/")).await, 429)["detail"], "too many");
    assert!(origin.requests().is_empty());
}

#[tokio::test]
async fn a_layer_sees_the_backends_failures_and_none_of_the_clients() {
    let origin = Origin::start([Reply::status(503), Reply::ok(), Reply::close()]).await.unwrap();
    let notes = Notes::default();
    let guard = Guard::new(Door(None, notes.clone()));
    let proxy = ReverseProxy::with_endpoint(origin.url(), guard.layer(Backend::new())).unwrap();
    assert_eq!(through(&proxy, get("/")).await.status(), 503);
    assert_eq!(through(&proxy, get("/")).await.status(), 200);
    assert_eq!(through(&proxy, get("/")).await.status(), 502);
    assert_eq!(notes.all(), ["transient true", "success false", "transient true"]);
    // A body that breaks off at the client.
    let (sender, body) = sent();
    let broken = async move {
        sender.send(data("half")).await.unwrap();
        sender.send(Err(std::io::ErrorKind::ConnectionReset.into())).await.unwrap();
    };
    let call = proxy.call(Request::post("/").body(body).unwrap());
    let (Ok(answer), ()) = tokio::join!(call, broken);
    assert_eq!(answer.status(), 400);
    assert_eq!(notes.all().pop().unwrap(), "caller false");
    // And one that is longer than the server takes.
    let limited = http_body_util::Limited::new(Full::new(Bytes::from_static(b"too long")), 3);
    let Ok(answer) = proxy.call(Request::post("/").body(limited).unwrap()).await;
    assert_eq!(answer.status(), 413);
    assert_eq!(notes.all().pop().unwrap(), "caller false");
}

#[tokio::test]
async fn a_body_that_breaks_off_at_the_client_is_told_whatever_the_backends_client_is() {
    let reads = up(|request: Request<hyper::body::Incoming>| async move {
        let _ = request.into_body().collect().await;
        Response::new(String::new())
    })
    .await;
    for http2 in [false, true] {
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .http2_only(http2)
            .build_http::<ProxyBody>();
        let foreign = kit_base::FromService::new(client);
        let proxy = ReverseProxy::with_endpoint(reads.url(), foreign).unwrap().backend_host();
        let (sender, body) = sent();
        let broken = async move {
            sender.send(data("half")).await.unwrap();
            sender.send(Err(std::io::Error::other("cut"))).await.unwrap();
        };
        let (Ok(answer), ()) = tokio::join!(proxy.call(Request::post("/").body(body).unwrap()), broken);
        assert_eq!(answer.status(), 400, "http2: {http2}");
    }
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_for_whoever_serves_is_408_and_no_failure_of_the_backend() {
    let origin = Origin::start(Reply::ok()).await.unwrap();
    let notes = Notes::default();
    let guard = Guard::new(Door(None, notes.clone()));
    let proxy = ReverseProxy::with_endpoint(origin.url(), guard.layer(Backend::new())).unwrap();
    let Ok(answer) = proxy.call(Request::post("/").body(crate::bad_input::too_slow("half")).unwrap()).await;
    let (head, body) = answer.into_parts();
    let answer = Response::from_parts(head, body.collect().await.unwrap().to_bytes());
    let problem = problem(&answer, 408);
    assert_eq!((&problem["reason"], &problem["kind"]), (&"REQUEST_TIMEOUT".into(), &"DEADLINE_EXCEEDED".into()));
    assert_eq!(notes.all(), ["caller false"]);
}

#[tokio::test]
async fn a_body_or_an_answer_that_panics_is_told_as_such() {
    struct Answers;
    impl Endpoint<Request<ProxyBody>> for Answers {
        type Response = Response<Panicking>;
        type Error = Error;
        async fn call(&self, _: Request<ProxyBody>) -> Result<Response<Panicking>, Error> {
            Ok(Response::new(Panicking))
        }
    }
    let noting = |notes: &Notes| {
        let notes = notes.clone();
        move |finished: &kit_transport_http::FinishedProxy<'_>| {
            notes.add(format!("{:?} {}", finished.error.and_then(Error::reason), finished.left));
        }
    };
    // What is sent on.
    let origin = Origin::start(Reply::ok()).await.unwrap();
    let notes = Notes::default();
    let proxy = ReverseProxy::new(origin.url()).unwrap().finalizer(noting(&notes));
    let Ok(answer) = proxy.call(Request::post("/").body(Panicking).unwrap()).await;
    assert_eq!(answer.status(), 500);
    assert_eq!(notes.all(), ["Some(\"PANIC\") false"]);
    // What comes back.
    let notes = Notes::default();
    let proxy = ReverseProxy::with_endpoint("http://a", Answers).unwrap().finalizer(noting(&notes));
    let Ok(answer) = proxy.call(get("/")).await;
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.unwrap_err();
    assert_eq!(notes.all(), ["Some(\"PANIC\") false"]);
}

#[tokio::test]
async fn a_connection_that_was_refused_was_not_sent() {
    let origin = Origin::start(Reply::ok()).await.unwrap();
    let url = origin.url();
    origin.stop().await;
    let request = || Request::get(&url).body(ProxyBody::default()).unwrap();
    let error = Backend::new().call(request()).await.unwrap_err();
    assert_eq!((error.origin(), error.reason()), (kit_base::Origin::NotSent, Some("BAD_GATEWAY")));
    let error = kit_transport_http::ReqwestBackend::new(reqwest::Client::new()).call(request()).await.unwrap_err();
    assert_eq!((error.origin(), error.reason()), (kit_base::Origin::NotSent, Some("BAD_GATEWAY")));
}

#[tokio::test]
async fn an_endpoint_of_ones_own_that_panics_is_500() {
    struct Panics;
    impl Endpoint<Request<ProxyBody>> for Panics {
        type Response = Response<Full<Bytes>>;
        type Error = Error;
        async fn call(&self, _: Request<ProxyBody>) -> Result<Response<Full<Bytes>>, Error> {
            panic!("the secret")
        }
    }
    let proxy = ReverseProxy::with_endpoint("http://a", Panics).unwrap();
    assert_eq!(problem(&through(&proxy, get("/")).await, 500)["reason"], "PANIC");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_backends_request_at_once() {
    let origin = Origin::start([Reply::hang(), Reply::ok().body("0123456789").stall(4)]).await.unwrap();
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    // Before the head, and within the body.
    let mut peer = Peer::connect(front.addr).await.unwrap();
    peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    origin.received(1).await;
    drop(peer);
    tokio::time::timeout(HANGS, origin.until_abandoned(1)).await.expect("the first request has ended");
    let mut peer = Peer::connect(front.addr).await.unwrap();
    peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    origin.received(2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(peer);
    tokio::time::timeout(HANGS, origin.until_abandoned(2)).await.expect("the second request has ended");
}
