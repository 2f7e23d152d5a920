//! The reverse proxy: requests go to a backend, and its answers come back.

mod backend;
mod body;
mod download;
mod failure;
mod forward;
mod forwarded;
mod headers;
mod hooks;
mod target;
mod upload;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, request, response};
use http_body::Body as HttpBody;
use kit_base::{Context, Endpoint, IntoService};

pub use backend::Backend;
#[cfg(feature = "client")]
pub use backend::ReqwestBackend;
pub use body::ProxyBody;
pub use failure::BackendError;
pub use hooks::FinishedProxy;

use crate::BuildError;
use failure::BoxError;
use forwarded::Forwarding;
use hooks::Hooks;
use target::Base;

/// Passes requests on to a backend, and its answers back: heads checked, bodies streamed. Go kit: `httprp.NewServer`.
///
/// It is an endpoint on `http` types over another one, the client of the backend. So kit layers go between: a breaker, a
/// retry over [`Replay`](crate::Replay), a balancer. [`build`](Self::build) makes it a service for kit-serve, axum, hyper.
///
/// - **Target.** The base's path and the request's are joined, `/base` and `/dir`, and so are queries, the base's first. Bytes
///   pass as they came: nothing is decoded, and `..` stays, as in Go. So the base's path is no fence: a backend
///   that resolves `/base/../admin` serves it. CONNECT and `*` are 501.
/// - **Headers** of a single connection are removed, both ways: `Connection` and all that it names, `Keep-Alive`,
///   `Proxy-Connection`, `Proxy-Authenticate`, `Proxy-Authorization`, `TE` but for `trailers`, `Transfer-Encoding`,
///   `Upgrade`. So there are no WebSockets through it. Source: RFC 9110, section 7.6.1.
/// - **The client** is told by `X-Forwarded-For`, to which the address of [`kit_base::Peer`] is appended, and by
///   `X-Forwarded-Host` and `X-Forwarded-Proto`, unless they came. `Host` is the client's; see
///   [`backend_host`](Self::backend_host).
/// - **Bodies** are streamed both ways, with their trailers and their backpressure; nothing is gathered. A length stays one.
///   An answer that breaks off at the backend breaks off at the client.
/// - **Deadline.** The earlier of `grpc-timeout` and a [`Deadline`](kit_base::Deadline) in the extensions is sent on as what
///   is left, and kept: 504 before the head; after it the body ends in an error, for gRPC with a status.
///
/// ```
/// use http_body_util::BodyExt;
/// use kit_base::{Endpoint, Error, Operation, Request, Response};
/// use kit_transport_http::{HttpServer, Raw, ReverseProxy};
///
/// struct Echo;
///
/// impl Endpoint<Request<bytes::Bytes>> for Echo {
///     type Response = Response<bytes::Bytes>;
///     type Error = Error;
///
///     async fn call(&self, request: Request<bytes::Bytes>) -> Result<Response<bytes::Bytes>, Error> {
///         let client = request.context().inbound().get("x-client").cloned();
///         assert_eq!(client, Some("example".parse().unwrap()));
///         Ok(Response::new(request.into_message()))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// // A backend: any HTTP service.
/// let backend = HttpServer::new().handle(Operation::new("demo", "echo"), Echo, Raw, Raw).build()?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let url = format!("http://{}", listener.local_addr()?);
/// tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback_service(backend)).await });
///
/// let proxy = ReverseProxy::new(url)?
///     .before(|_, head| {
///         head.headers.insert("x-client", http::HeaderValue::from_static("example"));
///     })
///     .finalizer(|finished| assert_eq!((finished.bytes, finished.left), (5, false)));
///
/// // In process, as in a test; `proxy.build()` is the service for a port.
/// let Ok(answer) = proxy.call(http::Request::post("/echo").body("hello".to_owned())?).await;
/// assert_eq!(answer.status(), 200);
/// assert_eq!(answer.into_body().collect().await?.to_bytes(), "hello");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// It never fails; these are its own answers, as problem details, or as a `grpc-status` to `application/grpc`:
///
/// | what happened | status | reason |
/// |---|---|---|
/// | no connection; the connection broke before the head; what came is no HTTP | 502 | `BAD_GATEWAY` |
/// | no head within [`head_timeout`](Self::head_timeout), or no connection in time | 504 | `GATEWAY_TIMEOUT` |
/// | the deadline passed | 504 | |
/// | the client's body did not come | 408 | `REQUEST_TIMEOUT` |
/// | the client's body broke off, or was longer than the server takes | 400, 413 | `MALFORMED_REQUEST`, `BODY_TOO_LARGE` |
/// | a target that cannot be passed on, or is too long | 501, 414 | `URI_TOO_LONG` |
/// | a layer refused | that of the kind | that of the layer |
/// | a hook or the endpoint panicked | 500 | `PANIC` |
///
/// *Cancellation:* a client that leaves ends the backend's request at once. Clones share everything.
pub struct ReverseProxy<E = Backend> {
    base: Base,
    endpoint: E,
    settings: Settings,
    hooks: Arc<Hooks>,
}

#[derive(Clone)]
struct Settings {
    head_timeout: Duration,
    keep_host: bool,
    forwarding: Forwarding,
}

impl ReverseProxy {
    /// A proxy of the backend at this URL, over HTTP/1.1: `http://backend:8081/base`.
    ///
    /// # Errors
    /// The URL is no `http` one, or has a user or a fragment. For `https` bring a [client](Self::with_client) with TLS.
    pub fn new(base: impl AsRef<str>) -> Result<Self, BuildError> {
        Self::plain(base.as_ref(), Backend::new())
    }

    /// The same over HTTP/2 without TLS, as gRPC servers speak it. `Host` is the backend's: a client of HTTP/2 cannot send
    /// another one.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[cfg(feature = "http2")]
    pub fn http2(base: impl AsRef<str>) -> Result<Self, BuildError> {
        Ok(Self::plain(base.as_ref(), Backend::http2())?.backend_host())
    }

    fn plain(base: &str, backend: Backend) -> Result<Self, BuildError> {
        let proxy = Self::with_endpoint(base, backend)?;
        match proxy.base.is_https() {
            true => Err(BuildError::new(format!("{base:?} needs TLS: bring a client of your own, by `with_client`"))),
            false => Ok(proxy),
        }
    }
}

#[cfg(feature = "client")]
impl ReverseProxy<ReqwestBackend> {
    /// A proxy over a client of your own: its TLS, proxies, pool and connect time-out are used.
    ///
    /// Turn its redirects off, and decompression if its features are on. It adds `accept: */*` where a request has none,
    /// writes `"<>{}` and some more in per cent, and its URLs cannot hold segments of dots and backslashes: such targets are
    /// 400. If it speaks HTTP/2, set [`backend_host`](Self::backend_host).
    ///
    /// # Errors
    /// The URL is no `http` or `https` one, or has a user or a fragment.
    pub fn with_client(base: impl AsRef<str>, client: reqwest::Client) -> Result<Self, BuildError> {
        Self::with_endpoint(base, ReqwestBackend::new(client))
    }
}

impl<E> ReverseProxy<E> {
    /// A proxy over any endpoint on `http` types: layers over a [`Backend`], a balancer, another client by
    /// [`FromService`](kit_base::FromService). What it is called with has an absolute URI, and in its extensions the
    /// `Operation`, `Peer` and `Deadline`, as far as there are any.
    ///
    /// # Errors
    /// As [`with_client`](ReverseProxy::with_client).
    pub fn with_endpoint(base: impl AsRef<str>, endpoint: E) -> Result<Self, BuildError> {
        let settings =
            Settings { head_timeout: Duration::from_secs(30), keep_host: true, forwarding: Forwarding::default() };
        Ok(Self { base: Base::parse(base.as_ref())?, endpoint, settings, hooks: Arc::default() })
    }

    /// Runs before a request is sent: it may change what is sent, put things into the context, shorten the deadline.
    /// After hooks and finalizers see the same context; in Go kit it is thrown away. Go kit: `httprp.ServerBefore`.
    #[doc(alias = "ServerBefore")]
    #[must_use]
    pub fn before(mut self, hook: impl Fn(&mut Context, &mut request::Parts) + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.hooks).before.push(Arc::new(hook));
        self
    }

    /// Runs when the head of a backend's answer is there: it may change it. Not run for the proxy's own answers.
    #[must_use]
    pub fn after(mut self, hook: impl Fn(&Context, &mut response::Parts) + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.hooks).after.push(Arc::new(hook));
        self
    }

    /// Runs exactly once for each request: at the end of the answer's body, at its failure, or when the client left.
    #[must_use]
    pub fn finalizer(mut self, hook: impl Fn(&FinishedProxy<'_>) + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.hooks).finalizers.push(Arc::new(hook));
        self
    }

    /// The time without a move before the head of the answer, connecting included; 30 s by default. As long as the client's
    /// body moves, it begins anew. After the head only the deadline counts.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.settings.head_timeout = timeout;
        self
    }

    /// Sends the backend's own name as `Host`, not the client's: for virtual hosts, and for HTTP/2.
    #[must_use]
    pub fn backend_host(mut self) -> Self {
        self.settings.keep_host = false;
        self
    }

    /// Writes `Forwarded` (RFC 7239) too: an element with `for`, `host` and `proto`, after those that came. Those with a quote
    /// that never ends are dropped, since they would swallow it.
    #[must_use]
    pub fn forwarded(mut self) -> Self {
        self.settings.forwarding.standard = true;
        self
    }

    /// Drops what arrives as `X-Forwarded-*`, `Forwarded` and `X-Real-IP`: for a proxy at the edge, before which nobody is
    /// trusted. By default it is passed on, as Go kit does.
    #[must_use]
    pub fn replace_forwarded(mut self) -> Self {
        self.settings.forwarding.replace = true;
        self
    }

    /// Says `X-Forwarded-Proto: https`: clients speak TLS to this process, or to what stands before it. By default that is
    /// said where the extensions hold `Scheme::HTTPS`, or the peer showed a certificate.
    #[must_use]
    pub fn https(mut self) -> Self {
        self.settings.forwarding.https = true;
        self
    }

    /// Appends `Via` with this name for the proxy. Source: RFC 9110, section 7.6.3.
    ///
    /// # Errors
    /// The name is no host and no token.
    pub fn via(mut self, name: impl Into<String>) -> Result<Self, BuildError> {
        let name = name.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:[]".contains(&byte);
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(BuildError::new(format!("{name:?} is no name for Via: want a host or a token")));
        }
        self.settings.forwarding.via = Some(name);
        Ok(self)
    }

    /// The service: for kit-serve, for hyper, as a fallback or a nested service of axum.
    #[must_use]
    pub fn build(self) -> IntoService<Self> {
        IntoService::new(self)
    }
}

impl<E: Clone> Clone for ReverseProxy<E> {
    fn clone(&self) -> Self {
        let Self { base, endpoint, settings, hooks } = self;
        let (base, endpoint, settings) = (base.clone(), endpoint.clone(), settings.clone());
        Self { base, endpoint, settings, hooks: Arc::clone(hooks) }
    }
}

impl<E> fmt::Debug for ReverseProxy<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReverseProxy").field("base", &self.base).finish_non_exhaustive()
    }
}

impl<E, B, B2> Endpoint<Request<B>> for ReverseProxy<E>
where
    B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
    E: Endpoint<Request<ProxyBody>, Response = Response<B2>, Error: BackendError>,
    B2: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ProxyBody>;
    type Error = Infallible;

    async fn call(&self, request: Request<B>) -> Result<Response<ProxyBody>, Infallible> {
        Ok(self.forward(request).await)
    }
}
