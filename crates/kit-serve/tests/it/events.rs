//! What an observer is told.

use std::convert::Infallible;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use kit_base::Event;
use kit_serve::{Listener, MinRate, RequestBody, Server, TrustedProxies};
use tokio::io::AsyncReadExt;
use tower::service_fn;

use crate::support::{GET, HANGS, Raw, bind, echo, hello, start, text};

const SHORT: Duration = Duration::from_millis(100);

/// What was told, each as `what key`.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    pub(crate) fn observe(&self, server: Server) -> Server {
        let told = self.clone();
        server.observer(move |event: &Event<'_>| {
            assert_eq!((event.source, event.amount), ("serve", 1.0));
            told.0.lock().unwrap().push(format!("{} {}", event.what, event.key).trim().to_owned());
        })
    }

    /// Waits until the last of these was told; there must be no other.
    pub(crate) async fn are(&self, expected: &[&str]) {
        tokio::time::timeout(HANGS, async {
            while self.0.lock().unwrap().len() < expected.len() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{:?}", self.0.lock().unwrap()));
        assert_eq!(std::mem::take(&mut *self.0.lock().unwrap()), expected);
    }
}

async fn end(raw: &mut Raw) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = tokio::time::timeout(HANGS, raw.0.read_to_end(&mut all)).await.expect("stays open");
    all
}

#[tokio::test]
async fn connections_are_told_with_the_reason_of_their_end() {
    const CLOSE: &str = "GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
    let told = Told::default();
    let server = told.observe(bind().await.head_timeout(SHORT).idle_timeout(SHORT));
    let server = start!(server, service_fn(hello));
    for (request, why) in [(CLOSE, "ended"), ("nonsense\r\n\r\n", "ended"), (GET, "idle"), ("GET / ", "head_late")] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(request).await;
        end(&mut raw).await;
        told.are(&["connection_opened", &format!("connection_closed {why}")]).await;
    }
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    raw.response().await;
    drop(raw);
    told.are(&["connection_opened", "connection_closed ended"]).await;

    let server = start!(told.observe(bind().await), service_fn(hello));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    raw.response().await;
    assert!(server.stop().await.is_clean());
    told.are(&["connection_opened", "connection_closed stopped"]).await;

    let server = start!(told.observe(bind().await.connection_age(SHORT)), service_fn(hello));
    end(&mut Raw::connect(server.addr).await).await;
    told.are(&["connection_opened", "connection_closed aged"]).await;
}

#[tokio::test]
async fn what_is_cut_at_the_stop_is_told() {
    let told = Told::default();
    let server = start!(
        told.observe(bind().await.stop_within(SHORT)),
        service_fn(
            |_: Request<RequestBody>| std::future::pending::<Result<Response<crate::support::Body>, Infallible>>()
        )
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    told.are(&["connection_opened"]).await;
    crate::support::until(|| server.stats.requests_open() == 1).await;
    server.stop().await;
    told.are(&["connection_closed cut"]).await;
}

#[tokio::test]
async fn requests_that_the_server_answers_itself_are_told() {
    let told = Told::default();
    let server = bind().await.body_limit(10).request_timeout(SHORT);
    let server = told.observe(server.body_rate(MinRate::new(NonZeroU32::MAX, SHORT)));
    let server = start!(
        server,
        service_fn(|request: Request<RequestBody>| async {
            match request.uri().path() {
                "/late" => std::future::pending().await,
                "/panic" => panic!("as asked"),
                "/error" => Err("as asked"),
                "/body" => Ok(Response::new(http_body_util::StreamBody::new(Broken).boxed())),
                _ => Ok(echo(request).await.unwrap().map(|body| body.map_err(|never| match never {}).boxed())),
            }
        })
    );
    for (path, headers, body, event) in [
        ("/late", "", "", "request_late"),
        ("/panic", "", "", "panicked"),
        ("/error", "", "", "service_failed head"),
        ("/body", "", "", "service_failed body"),
        ("/", "content-length: 11\r\n", "", "refused 413"),
        ("/", "content-length: 10\r\n", "x", "body_slow"),
    ] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(format!("POST {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{headers}\r\n{body}")).await;
        end(&mut raw).await;
        told.are(&["connection_opened", event, "connection_closed ended"]).await;
    }
}

/// A body that fails.
struct Broken;

impl futures_core::Stream for Broken {
    type Item = Result<Frame<Bytes>, &'static str>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(Some(Err("as asked")))
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_told() {
    let told = Told::default();
    let server = told.observe(bind().await.answer_rate(MinRate::new(NonZeroU32::MAX, SHORT)));
    let server = start!(
        server,
        service_fn(|_: Request<RequestBody>| async { Ok::<_, Infallible>(text(vec![b'x'; 32 * 1024 * 1024])) })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    told.are(&["connection_opened", "connection_closed answer_slow"]).await;
}

#[tokio::test]
async fn a_full_server_is_told_once() {
    let told = Told::default();
    let server = start!(told.observe(bind().await.connections(NonZeroUsize::MIN)), service_fn(hello));
    let mut first = Raw::connect(server.addr).await;
    first.send(GET).await;
    first.response().await;
    let second = Raw::connect(server.addr).await;
    told.are(&["connections_full", "connection_opened"]).await;
    drop((first, second));
}

#[tokio::test]
async fn a_failed_proxy_header_is_told() {
    let told = Told::default();
    let proxies = TrustedProxies::new(["127.0.0.1"]).unwrap();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap().proxy_protocol(proxies);
    let server = start!(told.observe(Server::new(listener).head_timeout(SHORT)), service_fn(hello));
    for (begun, key) in [(GET, "missing"), ("", "late"), ("PROXY TCP4 x\r\n", "malformed")] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(begun).await;
        end(&mut raw).await;
        let failed = format!("proxy_header_failed {key}");
        told.are(&["connection_opened", &failed, "connection_closed proxy_header_failed"]).await;
    }
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_failed_handshake_is_told() {
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring::default_provider;
    use tokio_rustls::rustls::server::ResolvesServerCertUsingSni;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    let told = Told::default();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap().tls(config);
    let server = start!(told.observe(Server::new(listener).head_timeout(SHORT)), service_fn(hello));
    for (begun, key) in [(GET, "plain_http"), ("", "late"), ("\0\0\0\0\0\0\0\0", "handshake")] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(begun).await;
        end(&mut raw).await;
        told.are(&["connection_opened", &format!("tls_failed {key}"), "connection_closed tls_failed"]).await;
    }
}
