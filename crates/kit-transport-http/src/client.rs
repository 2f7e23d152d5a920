//! The client: typed endpoints over reqwest.

mod call;
mod connections;
mod hooks;
mod reply;
mod stream;
mod unsent;
mod upload;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use kit_base::{Connect, Context, Endpoint, Error, Operation, PassOn, Request, Response, Unary};
use reqwest::Url;

pub use hooks::FinishedCall;

use crate::{BuildError, DecodeResponse, EncodeRequest, InvalidRoute, Json, Reply, Route};
use connections::{Clients, Limit};
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
/// An error says whether the call surely did not begin ([`Origin::NotSent`](kit_base::Origin::NotSent)). Where that is for the
/// want of a connection, it [gives the request back](crate#requests-that-come-back).
///
/// Clones share connections.
pub struct HttpClient<C = Json> {
    base: Url,
    clients: Clients,
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
    limit: Option<Arc<Limit>>,
    hooks: Hooks,
}

impl HttpClient {
    /// A client of the service at this URL, which may have a path to stand before all routes. It speaks JSON.
    ///
    /// Its [pool](Self::pool) keeps up to 100 connections at rest, for 30 s each.
    ///
    /// # Errors
    /// The URL is no `http` or `https` one, or has a user or a query; or reqwest cannot set up a client.
    pub fn new(base: impl AsRef<str>) -> Result<Self, BuildError> {
        Self::over(base, Clients::own(100, Duration::from_secs(30))?)
    }

    /// The same over a client of your own: its TLS, proxy, pool and connect time-out are used.
    ///
    /// Turn its redirects off (`redirect::Policy::none()`), and let it repeat no answered request (`retry`): where the service has
    /// answered, and there is no connection for what follows, nobody can tell that from a request that did not begin, and it
    /// would [come back](crate#requests-that-come-back).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_client(base: impl AsRef<str>, client: reqwest::Client) -> Result<Self, BuildError> {
        Self::over(base, Clients::Given(client))
    }

    /// The same over clients that are made anew, so that no connection that is used is older than `max_age`: one that lives
    /// long pins its calls to the instances that were there when it began, over HTTP/2 all of them to one.
    ///
    /// The first call after `max_age`, less up to a tenth of it at random, has the closure make the next client, while others
    /// go on with the present one. The old one's connections end with the calls on them, those at rest at once. There
    /// is no task: without calls, connections at rest end by the idle time-out of their client. If the closure fails, the
    /// present client stays, and after a second at most, or a tenth of the age, the next call tries again.
    ///
    /// The closure gives TLS, proxy, pool and connect time-out; it should turn redirects off, as [there](Self::with_client). It
    /// runs within a call and should not take long: read certificates before.
    ///
    /// ```
    /// use std::time::Duration;
    /// use kit_transport_http::HttpClient;
    ///
    /// let make = || reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    /// let client = HttpClient::aged("http://addsvc:8081", make, Duration::from_secs(300))?;
    /// # let _ = client;
    /// # Ok::<(), kit_transport_http::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new); or the closure fails, or the age is zero.
    pub fn aged(
        base: impl AsRef<str>,
        make: impl Fn() -> reqwest::Result<reqwest::Client> + Send + Sync + 'static,
        max_age: Duration,
    ) -> Result<Self, BuildError> {
        Self::over(base, Clients::aged(Box::new(make), max_age)?)
    }

    fn over(base: impl AsRef<str>, clients: Clients) -> Result<Self, BuildError> {
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
            limit: None,
            hooks: Hooks::default(),
        };
        Ok(Self { base, clients, codec: Arc::new(Json::new()), settings })
    }
}

impl<C> HttpClient<C> {
    /// Speaks by another codec.
    #[must_use]
    pub fn codec<D>(self, codec: D) -> HttpClient<D> {
        let Self { base, clients, settings, .. } = self;
        HttpClient { base, clients, codec: Arc::new(codec), settings }
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

    /// The time within which the head of an answer must come, connecting included; 30 s by default. Of a request that
    /// streams it begins anew with each item that is sent.
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

    /// Keeps at most so many connections to a host at rest, each for so long; 100 and 30 s by default, of the client that
    /// [`new`](Self::new) makes.
    ///
    /// The time is less than the 60 to 75 s after which common load balancers and servers close, since the side that sends
    /// should give up first. Where a server closes earlier, that is seen at once; only a call that meets the closing fails.
    ///
    /// # Errors
    /// The client was given: it has its own pool. Or reqwest cannot set up a client.
    pub fn pool(mut self, max_idle_per_host: usize, idle_timeout: Duration) -> Result<Self, BuildError> {
        if !matches!(self.clients, Clients::Own(_)) {
            return Err(BuildError::new("a client that was given has its own pool: set it there"));
        }
        self.clients = Clients::own(max_idle_per_host, idle_timeout)?;
        Ok(self)
    }

    /// Makes at most so many calls at once, of all endpoints together; over HTTP/1.1 that is as many connections. Up to
    /// `queue` more wait in their order, until their deadline or the [`head_timeout`](Self::head_timeout), and fail as
    /// `DeadlineExceeded` then; those beyond are refused as `ResourceExhausted`. No limit by default.
    ///
    /// A call has its place until its answer is read, or dropped. Clients and endpoints that were made before are not counted.
    #[must_use]
    pub fn connections(mut self, calls: NonZeroUsize, queue: usize) -> Self {
        self.settings.limit = Some(Arc::new(Limit::new(calls, queue)));
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
            clients: self.clients.clone(),
            route: Route::chosen(&self.settings.renamed, &operation),
            settings: self.settings.clone(),
            operation,
        };
        Connected { remote: Arc::new(remote), codec, _messages: PhantomData }
    }
}

impl<C> Clone for HttpClient<C> {
    fn clone(&self) -> Self {
        let Self { base, clients, codec, settings } = self;
        let (base, clients, settings) = (base.clone(), clients.clone(), settings.clone());
        Self { base, clients, codec: Arc::clone(codec), settings }
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
    clients: Clients,
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
    Req: Send + 'static,
    Res: Send,
{
    type Response = Response<Res>;
    type Error = Error;

    // As it is: an async block around it would hold the request twice.
    fn call(&self, request: Request<Req>) -> impl Future<Output = Result<Response<Res>, Error>> + Send {
        self.remote.call(&*self.codec, request)
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
