//! The service of peers/probe.proto on our server: what peers/server.py does, as far as it can be done here.
//!
//! Errors of ours have no metadata of the user's own, so nothing of the tail comes with them, and they have a head only where
//! an answer that streams has begun.

mod messages;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use kit_base::{
    Bidi, ClientStream, Context, Error, Kind, Operation, Peer, Request, Response, RetryHint, ServerStream, Streaming,
};
use kit_transport_grpc::{GrpcServer, GrpcService, binary_value, binary_values};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt;
use tonic_types::ErrorDetails;

pub(crate) use self::messages::{CountReply, CountRequest, EchoReply, EchoRequest, Fail, SumReply, SumRequest};
use crate::support::{HANGS, shaped};

/// What every server of Probe sends, before the messages and after them.
pub(crate) const HEAD: [u8; 3] = [0, 1, 0xff];
pub(crate) const TAIL: [u8; 3] = [0xff, 1, 0];

pub(crate) fn method(name: &'static str) -> Operation {
    Operation::new("kit.probe.v1.Probe", name)
}

/// The service on a free port. Dropped, it is gone, and so are its connections.
pub(crate) struct Probe {
    pub(crate) addr: SocketAddr,
    seen: UnboundedReceiver<String>,
    accepting: JoinHandle<()>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Probe {
    /// Serves it, with these changes to the server.
    pub(crate) async fn serve(change: impl FnOnce(GrpcServer) -> GrpcServer) -> Self {
        Self::serve_on(TcpListener::bind("127.0.0.1:0").await.expect("a free port"), None, change)
    }

    pub(crate) fn serve_on(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        change: impl FnOnce(GrpcServer) -> GrpcServer,
    ) -> Self {
        let addr = listener.local_addr().expect("its address");
        let (tell, seen) = unbounded_channel();
        let service = change(server(&Tell(tell))).build().expect("a service");
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, peer)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (service, tls) = (service.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => connection(stream, peer, service).await,
                        // One who is refused sees it.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(stream, peer, service).await;
                            }
                        }
                    }
                });
            }
        });
        Self { addr, seen, accepting }
    }

    /// Waits for this line: `ended METHOD OK`, or the kind of an error, or `left`; `dropped METHOD`, once what the endpoint was
    /// doing is dropped, at its end or before.
    pub(crate) async fn saw(&mut self, line: &str) {
        let mut seen = Vec::new();
        let found = tokio::time::timeout(HANGS, async {
            while let Some(next) = self.seen.recv().await {
                if next == line {
                    return;
                }
                seen.push(next);
            }
        });
        assert!(found.await.is_ok(), "{line:?} has not come, but {seen:?}");
    }

    /// How the calls of this method have ended since the last look.
    pub(crate) fn ended(&mut self, method: &str) -> Vec<String> {
        let lines = std::iter::from_fn(|| self.seen.try_recv().ok());
        let prefix = format!("ended {method} ");
        lines.filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, peer: SocketAddr, service: GrpcService) {
    let service = TowerToHyperService::new(service);
    let service = service_fn(move |mut request| {
        http::Request::extensions_mut(&mut request).insert(Peer::from(peer));
        service.call(request)
    });
    // How it ended is seen by whoever called.
    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

#[derive(Clone)]
struct Tell(UnboundedSender<String>);

impl Tell {
    fn tell(&self, line: String) {
        // The test may be over.
        let _ = self.0.send(line);
    }

    fn on_drop(&self, method: &'static str) -> OnDrop {
        OnDrop(self.clone(), method)
    }
}

struct OnDrop(Tell, &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.tell(format!("dropped {}", self.1));
    }
}

fn server(tell: &Tell) -> GrpcServer {
    let at_end = tell.clone();
    let (echoes, counts) = (tell.clone(), tell.clone());
    GrpcServer::new()
        .endpoint(
            method("Echo"),
            shaped(move |request: Request<EchoRequest>| {
                let running = echoes.on_drop("Echo");
                async move {
                    let answer = echo(request).await;
                    drop(running);
                    answer
                }
            }),
        )
        .endpoint(
            method("Count"),
            shaped(move |request: Request<CountRequest, ServerStream>| std::future::ready(count(request, &counts))),
        )
        .endpoint(method("Sum"), shaped(sum))
        .endpoint(method("Chat"), shaped(async |request: Request<Streaming<EchoRequest>, Bidi>| chat(request)))
        .error_details(|error| {
            let Violations(fields) = std::error::Error::source(error)?.downcast_ref()?;
            let mut details = ErrorDetails::new();
            for (field, description) in fields {
                details.add_bad_request_violation(field, description);
            }
            Some(details)
        })
        .finalizer(move |finished| {
            let how = match (finished.error, finished.left) {
                (_, true) => "left",
                (Some(error), _) => error.kind().as_str(),
                (None, _) => "OK",
            };
            at_end.tell(format!("ended {} {how}", finished.context.operation().method()));
        })
}

async fn echo(request: Request<EchoRequest>) -> Result<Response<EchoReply>, Error> {
    let (context, request) = request.into_parts();
    let reply = reply(&context, request).await?;
    Ok(dressed(reply, &context))
}

/// The reply to one request, or what it asks for in its place.
async fn reply(context: &Context, request: EchoRequest) -> Result<EchoReply, Error> {
    let timeout_ms = context
        .deadline()
        .map_or(-1, |deadline| i64::try_from(deadline.left(Instant::now()).as_millis()).expect("a time of this world"));
    let EchoRequest { text, payload, delay_ms, fail, answer_bytes } = request;
    if delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(delay_ms.into())).await;
    }
    fail.and_then(|fail| error(fail, context)).map_or(Ok(()), Err)?;
    let payload = if answer_bytes > 0 { vec![0; answer_bytes as usize] } else { payload };
    Ok(EchoReply { text, payload, metadata: texts(context.inbound()), timeout_ms })
}

fn count(request: Request<CountRequest, ServerStream>, tell: &Tell) -> Result<Response<Streaming<CountReply>>, Error> {
    let (context, CountRequest { n, pause_ms, fail }) = request.into_parts();
    let running = tell.on_drop("Count");
    let numbers = tokio_stream::iter(1..=n).then(move |i| {
        let _ = &running;
        async move {
            if pause_ms > 0 {
                tokio::time::sleep(Duration::from_millis(pause_ms.into())).await;
            }
            Ok(CountReply { i })
        }
    });
    let end = fail.and_then(|fail| error(fail, &context)).map(Err);
    Ok(dressed(Streaming::new(numbers.chain(tokio_stream::iter(end))), &context))
}

async fn sum(request: Request<Streaming<SumRequest>, ClientStream>) -> Result<Response<SumReply>, Error> {
    let (context, mut values) = request.into_parts();
    let mut sum = SumReply::default();
    while let Some(SumRequest { value }) = values.message().await? {
        sum.total += value;
        sum.count += 1;
    }
    Ok(dressed(sum, &context))
}

fn chat(request: Request<Streaming<EchoRequest>, Bidi>) -> Result<Response<Streaming<EchoReply>>, Error> {
    let (context, requests) = request.into_parts();
    let answering = context.clone();
    let replies = requests.then(move |request| {
        let context = answering.clone();
        async move { reply(&context, request?).await }
    });
    Ok(dressed(Streaming::new(replies), &context))
}

/// With the metadata that every answer has.
fn dressed<T>(message: T, context: &Context) -> Response<T> {
    let name = HeaderName::from_static;
    let mut response = Response::new(message)
        .with_header(name("x-probe-head"), HeaderValue::from_static("1"))
        .with_header(name("x-probe-head-bin"), binary_value(&HEAD));
    if let Some(addr) = context.peer().and_then(|peer| peer.addr) {
        response = response.with_header(name("x-probe-peer"), addr.to_string().parse().unwrap());
    }
    let trailers = &mut response.parts_mut().trailers;
    trailers.insert("x-probe-tail", HeaderValue::from_static("the end"));
    trailers.insert("x-probe-tail-bin", binary_value(&TAIL));
    response
}

/// The error that is asked for, unless the call is a retry that is not to fail.
fn error(fail: Fail, context: &Context) -> Option<Error> {
    let number = |name| context.inbound().get(name).and_then(|value: &HeaderValue| value.to_str().ok()?.parse().ok());
    let attempts: u32 = number("grpc-previous-rpc-attempts").unwrap_or(0);
    if fail.code == 0 || attempts >= number("x-probe-fail-first").unwrap_or(attempts + 1) {
        return None;
    }
    let kind = u32::try_from(fail.code).ok().and_then(Kind::from_grpc_code).unwrap_or(Kind::Unknown);
    let mut error = Error::new(kind, fail.message);
    if !fail.reason.is_empty() {
        error = error.with_reason(fail.reason);
    }
    error = error.with_retry_hint(match fail.retry_after_ms {
        0 => RetryHint::None,
        u32::MAX => RetryHint::Never,
        ms => RetryHint::After(Duration::from_millis(ms.into())),
    });
    if !fail.field_violations.is_empty() {
        error = error.with_source(Violations(fail.field_violations));
    }
    Some(error)
}

/// What is behind an error, for its details.
#[derive(Debug)]
struct Violations(BTreeMap<String, String>);

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fields are wrong", self.0.len())
    }
}

impl std::error::Error for Violations {}

/// Metadata as texts: binary values in hex, repeated ones joined.
pub(crate) fn texts(metadata: &HeaderMap) -> BTreeMap<String, String> {
    let texts = metadata.keys().map(|name| {
        let values: Vec<_> = if name.as_str().ends_with("-bin") {
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            binary_values(metadata, name.as_str()).expect("base64").iter().map(|value| hex(value)).collect()
        } else {
            metadata.get_all(name).iter().map(|value| value.to_str().expect("a text").to_owned()).collect()
        };
        (name.to_string(), values.join(", "))
    });
    texts.collect()
}
