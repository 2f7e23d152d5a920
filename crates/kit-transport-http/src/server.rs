//! The server: endpoints bound to routes, as one plain service on `http` types.

mod answer;
#[cfg(feature = "axum")]
mod axum;
mod body;
mod handler;
mod hooks;
#[cfg(feature = "openapi")]
mod openapi;
mod request_id;
mod routes;
mod stream;
mod streamed;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use kit_base::{Bind, Context, Endpoint, Error, IntoService, Observer, Operation, Request, Response, Shape, Unary};

pub use body::Body;
pub use hooks::FinishedRequest;
pub use request_id::RequestId;
pub use routes::Routes;

use crate::route::names;
use crate::{BuildError, DecodeRequest, EncodeOutcome, Json, RequestInfo, Route};
use handler::{Takes, Unit};
use hooks::Hooks;
use routes::Entry;

/// A plain service on `http` types: for kit-serve, for hyper, as a fallback or a nested service of axum.
pub type HttpService = IntoService<Routes>;

/// Binds endpoints to routes. Whole services come by `bind` of a service, single endpoints by
/// [`endpoint`](Self::endpoint), or by [`handle`](Self::handle) with a decoder and an encoder of their own.
///
/// For each request: the before hooks run; the body is read; the request is decoded; the endpoint is called, with the
/// caller's deadline; the outcome is encoded; the after hooks run; the finalizers run. An error on the way goes to the
/// error handlers and then to the error encoder. Hooks of one kind run in the order in which they were added.
///
/// Errors are answered with the status of their kind and problem details (RFC 9457). The server's own answers: 400 for a
/// malformed request or deadline, 404, 405 with `Allow`, 408 for a body that does not come, 413, 415, 500 for a panic, 504
/// for a deadline that passes.
///
/// ```
/// use kit_base::{Endpoint, Error, Operation, Request, Response};
/// use kit_transport_http::{HttpServer, Raw};
///
/// struct Echo;
///
/// impl Endpoint<Request<bytes::Bytes>> for Echo {
///     type Response = Response<bytes::Bytes>;
///     type Error = Error;
///
///     async fn call(&self, request: Request<bytes::Bytes>) -> Result<Response<bytes::Bytes>, Error> {
///         Ok(Response::new(request.into_message()))
///     }
/// }
///
/// let service = HttpServer::new()
///     .prefix("/v1")
///     .route("echo", "ANY /echo")
///     .handle(Operation::new("demo", "echo"), Echo, Raw, Raw)
///     .before(|context, info| {
///         context.extensions_mut().insert(info.uri.clone());
///     })
///     .finalizer(|finished| assert!(finished.status.is_none_or(|status| status.is_success())))
///     .build()?;
/// # let _ = service;
/// # Ok::<(), kit_transport_http::BuildError>(())
/// ```
pub struct HttpServer<C = Json> {
    codec: Arc<C>,
    entries: Vec<Entry>,
    prefix: String,
    renamed: Vec<(String, String)>,
    #[cfg(feature = "openapi")]
    openapi: Option<crate::OpenApi>,
    settings: Settings,
}

/// What holds for all routes.
pub(crate) struct Settings {
    pub(crate) body_limit: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) item_limit: Option<usize>,
    pub(crate) stream_limit: Option<usize>,
    pub(crate) keep_alive: Duration,
    pub(crate) request_id: bool,
    pub(crate) hooks: Hooks,
    pub(crate) observer: Arc<dyn Observer>,
}

impl HttpServer {
    /// A server without routes that speaks JSON.
    #[must_use]
    pub fn new() -> Self {
        Self::with_codec(Json::new())
    }
}

impl Default for HttpServer {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> HttpServer<C> {
    /// A server without routes that speaks by this codec.
    #[must_use]
    pub fn with_codec(codec: C) -> Self {
        let settings = Settings {
            body_limit: 2 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            item_limit: None,
            stream_limit: None,
            keep_alive: Duration::from_secs(15),
            request_id: false,
            hooks: Hooks::default(),
            observer: Arc::new(()),
        };
        Self {
            codec: Arc::new(codec),
            entries: Vec::new(),
            prefix: String::new(),
            renamed: Vec::new(),
            #[cfg(feature = "openapi")]
            openapi: None,
            settings,
        }
    }

    /// Puts this before the paths of all routes that are bound from here on: `/addsvc`. A slash at its end does not count.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Gives the method of this name another route than its own: `("sum", "GET,POST /v1/sum")`. Where two services have
    /// a method of one name, say which: `"addsvc/sum"`. The last one counts.
    #[must_use]
    pub fn route(mut self, method: impl Into<String>, route: impl Into<String>) -> Self {
        self.renamed.push((method.into(), route.into()));
        self
    }

    /// The most bytes that a body may have; 2 MiB by default. More is answered with 413, and never read into memory.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.settings.body_limit = bytes;
        self
    }

    /// The time within which a body must have come; 30 s by default. Later is answered with 408.
    ///
    /// Of a body that streams each item has this time, counted from when the endpoint asks for it.
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.settings.body_timeout = timeout;
        self
    }

    /// The most bytes that one item of a streaming request may have; the [body limit](Self::body_limit) by default. More
    /// is answered with 413.
    #[must_use]
    pub fn item_limit(mut self, bytes: usize) -> Self {
        self.settings.item_limit = Some(bytes);
        self
    }

    /// The most bytes that all of a streaming request's body may have; none by default, as no more than an item of it is
    /// in memory. More is answered with 413.
    #[must_use]
    pub fn stream_limit(mut self, bytes: usize) -> Self {
        self.settings.stream_limit = Some(bytes);
        self
    }

    /// The time after which an answer that streams shows a sign of life where it has no item; 15 s by default. The head,
    /// which waits for the first item, waits no longer than this; server-sent events then have a comment each time.
    #[must_use]
    pub fn keep_alive(mut self, every: Duration) -> Self {
        self.settings.keep_alive = every;
        self
    }

    /// Runs before a request is decoded: it may put things into the context. Go kit: `ServerBefore`.
    #[doc(alias = "ServerBefore")]
    #[must_use]
    pub fn before(mut self, hook: impl Fn(&mut Context, &RequestInfo) + Send + Sync + 'static) -> Self {
        self.settings.hooks.before.push(Box::new(hook));
        self
    }

    /// Runs after a success has been encoded: it may set headers. Go kit: `ServerAfter`.
    #[doc(alias = "ServerAfter")]
    #[must_use]
    pub fn after(mut self, hook: impl Fn(&Context, &mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.settings.hooks.after.push(Box::new(hook));
        self
    }

    /// Runs exactly once at the end of each request that had a route, also when the caller left. Go kit:
    /// `ServerFinalizer`.
    #[doc(alias = "ServerFinalizer")]
    #[must_use]
    pub fn finalizer(mut self, hook: impl Fn(&FinishedRequest<'_>) + Send + Sync + 'static) -> Self {
        self.settings.hooks.finalizers.push(Box::new(hook));
        self
    }

    /// Sees each error before it is answered, source and all. Go kit: `ServerErrorHandler`.
    #[doc(alias = "ServerErrorHandler")]
    #[must_use]
    pub fn error_handler(mut self, hook: impl Fn(&Context, &Error) + Send + Sync + 'static) -> Self {
        self.settings.hooks.error_handlers.push(Box::new(hook));
        self
    }

    /// Answers errors in another form. Errors for which it gives nothing are answered as problem details. Go kit:
    /// `ServerErrorEncoder`.
    #[doc(alias = "ServerErrorEncoder")]
    #[must_use]
    pub fn error_encoder(
        mut self,
        encode: impl Fn(&Error) -> Option<http::Response<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        self.settings.hooks.error_encoder = Some(Box::new(encode));
        self
    }

    /// Puts a [`RequestInfo`] into the extensions of each context. Go kit: `PopulateRequestContext`.
    #[doc(alias = "PopulateRequestContext")]
    #[must_use]
    pub fn request_info(self) -> Self {
        self.before(|context, info| {
            context.extensions_mut().insert(info.clone());
        })
    }

    /// Gives each request an id: the caller's own `x-request-id` if it is 1 to 128 bytes of visible ASCII, else a new one, a
    /// UUID of version 7. It is a [`RequestId`] in the extensions of the context and `x-request-id` in its inbound metadata,
    /// so that clients pass it on, and comes back in the head of every answer. Off by default, for servers behind a host
    /// that gives ids.
    #[must_use]
    pub fn request_id(mut self) -> Self {
        self.settings.request_id = true;
        self
    }

    /// Tells events to this observer: `http_server` `panicked`, with the operation as key.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.settings.observer = Arc::new(observer);
        self
    }

    /// Serves a single endpoint as this operation, by the server's codec. Its shape is that of the requests it takes.
    #[must_use]
    pub fn endpoint<S, Req, Res, E>(mut self, operation: Operation, endpoint: E) -> Self
    where
        S: Shape,
        Self: Bind<S, Req, Res>,
        E: Endpoint<Request<Req, S>, Response = Response<Res>, Error: Into<Error>> + 'static,
    {
        self.bind(operation, endpoint);
        self
    }

    /// Serves a single endpoint as this operation, by a decoder and an encoder of its own. Go kit: `NewServer`.
    ///
    /// They are what the shape of the endpoint needs: a [`DecodeRequest`] or, for a request that streams, a
    /// [`DecodeRequestStream`](crate::DecodeRequestStream); an [`EncodeOutcome`] or, for an answer that streams, an [`EncodeResponseStream`](crate::EncodeResponseStream).
    #[doc(alias = "NewServer")]
    #[must_use]
    pub fn handle<S, Req, Res, E, D, N>(mut self, operation: Operation, endpoint: E, decode: D, encode: N) -> Self
    where
        S: Shape,
        HttpServer<(D, N)>: Bind<S, Req, Res>,
        E: Endpoint<Request<Req, S>, Response = Response<Res>, Error: Into<Error>> + 'static,
    {
        let mut by_pair = HttpServer::with_codec((decode, encode));
        by_pair.prefix.clone_from(&self.prefix);
        by_pair.bind(operation, endpoint);
        self.entries.append(&mut by_pair.entries);
        self
    }

    fn push(&mut self, operation: Operation, handler: Takes) {
        self.entries.push(Entry { operation, prefix: self.prefix.clone(), handler });
    }

    /// The service.
    ///
    /// # Errors
    /// A route is malformed, or two routes are one and the same.
    pub fn build(self) -> Result<HttpService, BuildError> {
        self.routes().map(IntoService::new)
    }

    /// The service as an endpoint, for kit layers over all of it. They see requests before they have a route, so under no
    /// operation; layers that need one belong on the endpoints.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn routes(self) -> Result<Routes, BuildError> {
        let chosen = self.chosen_routes()?;
        #[cfg(feature = "openapi")]
        let document = self.served_document(&chosen)?;
        let routed = chosen.into_iter().zip(self.entries);
        #[cfg(feature = "openapi")]
        let routed = routed.chain(document);
        Routes::new(routed, self.settings)
    }

    /// The route of each operation that is bound.
    fn chosen_routes(&self) -> Result<Vec<Route>, BuildError> {
        for (method, route) in &self.renamed {
            if !self.entries.iter().any(|entry| names(method, &entry.operation)) {
                let what = format!("route {route:?} is given for the method {method:?}, which is not bound");
                return Err(BuildError::new(what));
            }
        }
        let route_of = |entry: &Entry| {
            let route = Route::chosen(&self.renamed, &entry.operation).and_then(|route| route.prefixed(&entry.prefix));
            let wrong = |error| BuildError::new(format!("{} has no valid route", entry.operation)).because(error);
            route.map_err(wrong)
        };
        self.entries.iter().map(route_of).collect()
    }
}

impl<C, Req, Res> Bind<Unary, Req, Res> for HttpServer<C>
where
    C: DecodeRequest<Req> + EncodeOutcome<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    fn bind<E>(&mut self, operation: Operation, endpoint: E)
    where
        E: Endpoint<Request<Req>, Response = Response<Res>, Error: Into<Error>> + 'static,
    {
        let codec = Arc::clone(&self.codec);
        self.push(operation, Takes::Whole(Arc::new(Unit::new(endpoint, Arc::clone(&codec), codec))));
    }
}

impl<C> fmt::Debug for HttpServer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations: Vec<_> = self.entries.iter().map(|entry| &entry.operation).collect();
        f.debug_struct("HttpServer").field("operations", &operations).finish_non_exhaustive()
    }
}
