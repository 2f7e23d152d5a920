//! The reverse proxy: bodies as they flow, trailers, and HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use kit_base::Endpoint;
use kit_testing::http::{Peer, raw};
use kit_transport_http::{ProxyBody, ReverseProxy};

use crate::proxy_support::{Sent, data, proxied, sent, trailers, up};
use crate::support::{HANGS, Notes};

type Http<B> = Client<hyper_util::client::legacy::connect::HttpConnector, B>;

fn client<B>(http2: bool) -> Http<B>
where
    B: http_body::Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new()).http2_only(http2).build_http()
}

/// Answers with what it is sent, frame by frame, trailers too.
async fn echo(request: Request<Incoming>) -> Response<Incoming> {
    let (head, body) = request.into_parts();
    let mut answer = Response::new(body);
    for name in ["content-type", "trailer"] {
        if let Some(value) = head.headers.get(name) {
            answer.headers_mut().insert(http::HeaderName::from_static(name), value.clone());
        }
    }
    answer
}

/// Sends frame by frame to an echo and waits for each before the next: nothing on the way may gather.
async fn talk(url: &str, client: &Http<Sent>, content_type: &str) {
    let (sender, body) = sent();
    let request = Request::post(url).header("content-type", content_type).header("te", "trailers");
    let request = request.header("trailer", "x-sum").body(body).unwrap();
    let answer = client.request(request);
    sender.send(data("first")).await.unwrap();
    let answer = tokio::time::timeout(HANGS, answer).await.expect("the head comes before the end").unwrap();
    let mut body = answer.into_body();
    for text in ["first", "second", "third"] {
        if text != "first" {
            sender.send(data(text)).await.unwrap();
        }
        let frame = tokio::time::timeout(HANGS, body.frame()).await.expect("each frame comes at once");
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), text);
    }
    sender.send(trailers("x-sum", "3")).await.unwrap();
    drop(sender);
    let last = tokio::time::timeout(HANGS, body.frame()).await.expect("the trailers come");
    assert_eq!(last.unwrap().unwrap().into_trailers().unwrap()["x-sum"], "3");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn frames_and_trailers_flow_both_ways_over_both_versions() {
    let origin = up(echo).await;
    let by_1 = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    let by_2 = proxied(ReverseProxy::http2(origin.url()).unwrap()).await;
    for front in [&by_1, &by_2] {
        for http2 in [false, true] {
            talk(&front.url(), &client(http2), "text/plain").await;
        }
    }
}

#[tokio::test]
async fn frames_and_trailers_flow_through_reqwest_too() {
    let origin = up(echo).await;
    let by_1 = reqwest::Client::builder().build().unwrap();
    let by_2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let by_1 = proxied(ReverseProxy::with_client(origin.url(), by_1).unwrap()).await;
    let by_2 = proxied(ReverseProxy::with_client(origin.url(), by_2).unwrap().backend_host()).await;
    for front in [&by_1, &by_2] {
        talk(&front.url(), &client(true), "text/plain").await;
    }
}

#[tokio::test]
async fn grpc_goes_through_with_its_status_in_the_trailers_or_in_the_head() {
    let origin = up(|request: Request<Incoming>| async move {
        assert_eq!(request.version(), http::Version::HTTP_2);
        assert_eq!(request.headers()["te"], "trailers");
        assert!(!request.headers().contains_key("host"), "its authority says it");
        let answer = Response::builder().header("content-type", "application/grpc");
        if request.uri().path() == "/pb.Add/Fail" {
            let answer = answer.header("grpc-status", "11");
            return answer.body(ProxyBody::default()).unwrap();
        }
        let asked = request.into_body().collect().await.unwrap().to_bytes();
        let (sender, body) = sent();
        tokio::spawn(async move {
            sender.send(data(asked)).await.unwrap();
            sender.send(trailers("grpc-status", "0")).await.unwrap();
        });
        answer.body(ProxyBody::new(body)).unwrap()
    })
    .await;
    let front = proxied(ReverseProxy::http2(origin.url()).unwrap()).await;
    let client = client::<Full<Bytes>>(true);
    let call = |path: &str| {
        let request = Request::post(format!("{}{path}", front.url())).header("content-type", "application/grpc");
        let message = Full::new(Bytes::from_static(b"\0\0\0\0\x02\x08\x01"));
        client.request(request.header("te", "trailers").body(message).unwrap())
    };
    let answer = call("/pb.Add/Sum").await.unwrap();
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), &b"\0\0\0\0\x02\x08\x01"[..]);
    let answer = call("/pb.Add/Fail").await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "11");
    assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    assert_eq!(origin.connections(), 1);
    // One that is down is told as gRPC has it.
    drop(origin);
    let answer = call("/pb.Add/Sum").await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["grpc-status"]), (200, &"14".parse().unwrap()));
}

#[tokio::test]
async fn a_body_is_read_from_the_client_no_faster_than_the_backend_takes_it() {
    // The backend never reads; what the proxy takes meanwhile is what the sockets on the way hold.
    let origin = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", origin.local_addr().unwrap());
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&taken);
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let frames = std::iter::repeat_with(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok::<_, std::io::Error>(chunk.clone())
    });
    let proxy = ReverseProxy::new(url).unwrap();
    let request = Request::post("/").body(crate::support::Frames(frames.take(10_000))).unwrap();
    let call = tokio::spawn(async move { proxy.call(request).await.map(drop) });
    let (held, _) = origin.accept().await.unwrap();
    let mut before = u64::MAX;
    let settled = async {
        while std::mem::replace(&mut before, taken.load(Ordering::SeqCst)) != taken.load(Ordering::SeqCst)
            || taken.load(Ordering::SeqCst) == 0
        {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(HANGS, settled).await.expect("it stops at some time");
    assert!(taken.load(Ordering::SeqCst) < 1_000, "{} of 10000 chunks", taken.load(Ordering::SeqCst));
    call.abort();
    drop(held);
}

#[tokio::test]
async fn an_answer_is_read_from_the_backend_no_faster_than_the_client_takes_it() {
    let notes = Notes::default();
    let written = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&written);
    let origin = up(move |_| {
        let counted = Arc::clone(&counted);
        let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
        let frames = std::iter::repeat_with(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::io::Error>(chunk.clone())
        });
        async move { Response::new(crate::support::Frames(frames.take(10_000))) }
    })
    .await;
    let seen = notes.clone();
    let proxy = ReverseProxy::new(origin.url()).unwrap().finalizer(move |finished| seen.add(finished.left.to_string()));
    let front = proxied(proxy).await;
    let mut peer = Peer::connect(front.addr).await.unwrap();
    peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut before = 0;
    let settled = async {
        while written.load(Ordering::SeqCst) == 0 || before != written.load(Ordering::SeqCst) {
            before = written.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(HANGS, settled).await.expect("it stops at some time");
    assert!(written.load(Ordering::SeqCst) < 1_000, "{} of 10000 chunks", written.load(Ordering::SeqCst));
    drop(peer);
    assert_eq!(notes.until(1).await, ["true"]);
}

#[tokio::test]
async fn an_answer_without_a_length_comes_in_chunks_and_one_with_keeps_it() {
    let origin = up(|request: Request<Incoming>| async move {
        let (sender, body) = sent();
        tokio::spawn(async move {
            sender.send(data("hel")).await.unwrap();
            sender.send(data("lo")).await.unwrap();
        });
        match request.uri().path() {
            "/length" => Response::builder().header("content-length", "5").body(body).unwrap(),
            _ => Response::new(body),
        }
    })
    .await;
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    let get = async |path: &str, version: &str| {
        let text = raw(front.addr, format!("GET {path} HTTP/{version}\r\nhost: a\r\n\r\n")).await.unwrap();
        String::from_utf8(text).unwrap().to_lowercase()
    };
    let chunked = get("/", "1.1").await;
    assert!(chunked.contains("transfer-encoding: chunked") && chunked.ends_with("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"));
    let whole = get("/length", "1.1").await;
    assert!(whole.contains("content-length: 5") && whole.ends_with("\r\n\r\nhello") && !whole.contains("chunked"));
    // A client of HTTP/1.0 knows no chunks: the end of the connection is that of the body.
    let old = get("/", "1.0").await;
    assert!(old.ends_with("\r\n\r\nhello") && !old.contains("chunked"), "{old}");
}

#[tokio::test]
async fn an_answer_may_come_before_the_body_of_the_request_has_ended() {
    let origin =
        up(|_| async { Response::builder().status(413).body(Full::new(Bytes::from_static(b"enough"))).unwrap() }).await;
    let front = proxied(ReverseProxy::http2(origin.url()).unwrap()).await;
    let (sender, body) = sent();
    sender.send(data("first")).await.unwrap();
    let request = Request::post(front.url()).body(body).unwrap();
    let answer = tokio::time::timeout(HANGS, client(true).request(request)).await.expect("the answer comes").unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "enough");
}

#[tokio::test]
async fn connections_to_the_backend_are_kept_and_used_again() {
    let origin = up(|_| async { Response::new(Full::new(Bytes::from_static(b"hello"))) }).await;
    let front = proxied(ReverseProxy::new(origin.url()).unwrap()).await;
    for _ in 0..5 {
        let answer = client::<Empty<Bytes>>(false).get(front.url().parse().unwrap()).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
    assert_eq!(origin.connections(), 1);
}
