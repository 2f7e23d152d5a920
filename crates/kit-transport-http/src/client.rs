//! The client: typed endpoints over reqwest.

mod call;
mod hooks;
mod reply;
mod stream;
mod upload;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use kit_base::{Connect, Context, Endpoint, Error, Operation, PassOn, Request, Response, Unary};
use reqwest::Url;

pub use hooks::FinishedCall;

use crate::{BuildError, DecodeResponse, EncodeRequest, InvalidRoute, Json, Reply, Route};
use hooks::Hooks;

/// Calls a service over HTTP: makes typed endpoints, one by one or for a whole service by its `connect`.
///
/// Each call derives the child of its context: deadline, trace, baggage, request id and the names to
/// [pass on](Self::pass_on) go with it; Authorization, Cookie and all else that arrived do not. The deadline is sent as `grpc-timeout` and kept: a call
/// ends as [`Kind::DeadlineExceeded`](kit_base::Kind::DeadlineExceeded) when it passes.
///
/// An answer that is no 2xx becomes the error that a kit service sent, or one made from its status. Redirects are not
/// followed. An https URL needs a TLS feature of reqwest, or a [client](Self::with_client) that brings its TLS.
///
/// Clones share connections.
pub struct HttpClient<C = Json> {
    base: Url,
    client: reqwest::Client,
    codec: Arc<C>,
    settings: Settings,
}

/// What holds for all endpoints of a client.
#[derive(Clone)]
struct Settings {
    pass_on: PassOn,
    prefix: String,
    renamed: Vec<(String, String)>,
    response_limit: usize,
    head_timeout: Duration,
    body_timeout: Duration,
    hooks: Hooks,
}

impl HttpClient {
    /// A client of the service at this URL, which may have a path to stand before all routes. It speaks JSON.
    ///
    /// # Errors
    /// The URL is no `http` or `https` one, or has a user or a query; or reqwest cannot set up a client.
    pub fn new(base: impl AsRef<str>) -> Result<Self, BuildError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| BuildError::new("the HTTP client cannot be set up").because(error))?;
        Self::with_client(base, client)
    }

    /// The same over a client of your own: its TLS, proxy, pool and connect time-out are used. Turn its redirects off.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_client(base: impl AsRef<str>, client: reqwest::Client) -> Result<Self, BuildError> {
        let text = base.as_ref();
        let wrong =
            |why: &str| BuildError::new(format!("{:?} is not the base URL of a service: {why}", without_user(text)));
        let base = Url::parse(text)
            .map_err(|error| wrong("it cannot be parsed, want http://host:port or https://host:port").because(error))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(wrong("want http://host:port or https://host:port"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(BuildError::new(
                "the base URL of a service must not hold a user: set Authorization in a before hook",
            ));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(wrong("it must have no query and no fragment"));
        }
        let settings = Settings {
            pass_on: PassOn::default(),
            prefix: base.path().trim_end_matches('/').to_owned(),
            renamed: Vec::new(),
            response_limit: 16 * 1024 * 1024,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            hooks: Hooks::default(),
        };
        Ok(Self { base, client, codec: Arc::new(Json::new()), settings })
    }
}

impl<C> HttpClient<C> {
    /// Speaks by another codec.
    #[must_use]
    pub fn codec<D>(self, codec: D) -> HttpClient<D> {
        let Self { base, client, settings, .. } = self;
        HttpClient { base, client, codec: Arc::new(codec), settings }
    }

    /// Gives the method of this name another route than its own: `("sum", "POST /v1/sum")`. The first verb is used. Where
    /// two services have a method of one name, say which: `"addsvc/sum"`. The last one counts.
    #[must_use]
    pub fn route(mut self, method: impl Into<String>, route: impl Into<String>) -> Self {
        self.settings.renamed.push((method.into(), route.into()));
        self
    }

    /// Passes these names of inbound metadata on, beside trace, baggage and `x-request-id`.
    #[must_use]
    pub fn pass_on(mut self, names: PassOn) -> Self {
        self.settings.pass_on = names;
        self
    }

    /// The most bytes that the body of an answer may have; 16 MiB by default. More is an error of the kind `Internal`.
    #[must_use]
    pub fn response_limit(mut self, bytes: usize) -> Self {
        self.settings.response_limit = bytes;
        self
    }

    /// The time within which the head of an answer must come, connecting included; 30 s by default.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.settings.head_timeout = timeout;
        self
    }

    /// The time within which the body of an answer must come after its head; 30 s by default.
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.settings.body_timeout = timeout;
        self
    }

    /// Runs before a request is sent: it may set headers, `host` too, but not `content-length` and `transfer-encoding`,
    /// which are the connection's. Go kit: `ClientBefore`.
    #[doc(alias = "ClientBefore")]
    #[must_use]
    pub fn before(mut self, hook: impl Fn(&Context, &mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.settings.hooks.before.push(Arc::new(hook));
        self
    }

    /// Sees the head of each answer. Go kit: `ClientAfter`.
    #[doc(alias = "ClientAfter")]
    #[must_use]
    pub fn after(mut self, hook: impl Fn(&Context, StatusCode, &HeaderMap) + Send + Sync + 'static) -> Self {
        self.settings.hooks.after.push(Arc::new(hook));
        self
    }

    /// Runs exactly once at the end of each call, also when the caller left. Go kit: `ClientFinalizer`.
    #[doc(alias = "ClientFinalizer")]
    #[must_use]
    pub fn finalizer(mut self, hook: impl Fn(&FinishedCall<'_>) + Send + Sync + 'static) -> Self {
        self.settings.hooks.finalizers.push(Arc::new(hook));
        self
    }

    /// Makes an error of an answer that is no 2xx, for services with an error form of their own. Where it gives nothing,
    /// problem details and the status decide.
    #[must_use]
    pub fn error_decoder(mut self, decode: impl Fn(&Reply) -> Option<Error> + Send + Sync + 'static) -> Self {
        self.settings.hooks.error_decoder = Some(Arc::new(decode));
        self
    }

    /// A typed endpoint that calls this operation. Go kit: `NewClient(...).Endpoint()`.
    #[doc(alias = "NewClient")]
    #[must_use]
    pub fn endpoint<Req, Res>(&self, operation: Operation) -> Connected<C, Req, Res> {
        self.connected(operation, Arc::clone(&self.codec))
    }

    /// The same by an encoder and a decoder of its own. Go kit: `NewExplicitClient(...).Endpoint()`.
    #[doc(alias = "NewExplicitClient")]
    #[must_use]
    pub fn endpoint_by<N, D, Req, Res>(&self, operation: Operation, encode: N, decode: D) -> Connected<(N, D), Req, Res>
    where
        N: EncodeRequest<Req>,
        D: DecodeResponse<Res>,
    {
        self.connected(operation, Arc::new((encode, decode)))
    }

    fn connected<D, Req, Res>(&self, operation: Operation, codec: Arc<D>) -> Connected<D, Req, Res> {
        let remote = Remote {
            base: self.base.clone(),
            client: self.client.clone(),
            route: Route::chosen(&self.settings.renamed, &operation),
            settings: self.settings.clone(),
            operation,
        };
        Connected { remote: Arc::new(remote), codec, _messages: PhantomData }
    }
}

impl<C> Clone for HttpClient<C> {
    fn clone(&self) -> Self {
        let Self { base, client, codec, settings } = self;
        let (base, client, settings) = (base.clone(), client.clone(), settings.clone());
        Self { base, client, codec: Arc::clone(codec), settings }
    }
}

impl<C> fmt::Debug for HttpClient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// The URL as it may be shown: what may be a password is left out, in URLs that cannot be parsed too.
fn without_user(url: &str) -> Cow<'_, str> {
    let Some((user, host)) = url.rsplit_once('@') else { return url.into() };
    match user.split_once("://") {
        Some((scheme, _)) if !scheme.contains(':') => format!("{scheme}://…@{host}").into(),
        _ => format!("…@{host}").into(),
    }
}

/// One operation of a remote service.
struct Remote {
    base: Url,
    client: reqwest::Client,
    settings: Settings,
    /// A route that is none is told at each call: `connect` of a whole service has no way to fail.
    route: Result<Route, InvalidRoute>,
    operation: Operation,
}

/// An endpoint that calls a remote operation over HTTP; see [`HttpClient`]. Clones share all they have.
///
/// *Cancellation:* dropping the future of a call drops its connection, over HTTP/2 its stream.
pub struct Connected<C, Req, Res> {
    remote: Arc<Remote>,
    codec: Arc<C>,
    _messages: PhantomData<fn(Req) -> Res>,
}

impl<C, Req, Res> Clone for Connected<C, Req, Res> {
    fn clone(&self) -> Self {
        Self { remote: Arc::clone(&self.remote), codec: Arc::clone(&self.codec), _messages: PhantomData }
    }
}

impl<C, Req, Res> fmt::Debug for Connected<C, Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remote { base, operation, .. } = &*self.remote;
        f.debug_struct("Connected").field("base", &base.as_str()).field("operation", operation).finish_non_exhaustive()
    }
}

impl<C, Req, Res> Endpoint<Request<Req>> for Connected<C, Req, Res>
where
    C: EncodeRequest<Req> + DecodeResponse<Res>,
    Req: Send,
    Res: Send,
{
    type Response = Response<Res>;
    type Error = Error;

    async fn call(&self, request: Request<Req>) -> Result<Response<Res>, Error> {
        self.remote.call(&*self.codec, request).await
    }
}

impl<C, Req, Res> Connect<Unary, Req, Res> for HttpClient<C>
where
    C: EncodeRequest<Req> + DecodeResponse<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    type Endpoint = Connected<C, Req, Res>;

    fn connect(&self, operation: Operation) -> Connected<C, Req, Res> {
        self.endpoint(operation)
    }
}
