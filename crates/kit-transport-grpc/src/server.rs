//! The server: endpoints bound to methods, as one plain service on `http` types.

mod answer;
mod body;
#[cfg(feature = "describe")]
mod describe;
mod elsewhere;
mod foreign;
mod handler;
mod health;
mod hooks;
mod incoming;
mod into_tonic;
mod kept;
mod message;
mod outgoing;
#[cfg(feature = "reflection")]
mod reflection;
mod routes;
mod stream;
mod streamed;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as HttpBody;
use kit_base::{
    Bind, Context, Endpoint, Error, FromService, IntoService, Observer, Operation, Readiness, Request, Response, Shape,
    Unary,
};
use tonic::body::Body as TonicBody;
use tonic::server::NamedService;
use tonic_types::ErrorDetails;
use tower_service::Service;

pub use body::Body;
pub use foreign::RequestBody;
pub use hooks::FinishedRequest;
pub use into_tonic::{IntoTonic, TonicStream};
pub use routes::Routes;

use crate::{BuildError, DecodeRequest, EncodeOutcome, Prost};
use elsewhere::{Added, Beside};
use handler::{Takes, Unit};
use hooks::Hooks;
use message::BoxError;
use routes::Entry;

/// A plain service on `http` types: for kit-serve, for hyper, as a fallback of axum.
pub type GrpcService = IntoService<Routes>;

/// Binds endpoints to methods. Whole services come by `bind` of a service, single endpoints by
/// [`endpoint`](Self::endpoint), or by [`handle`](Self::handle) with a codec of their own.
///
/// For each call: the before hooks run; the message is read and decoded; the endpoint is called, with the caller's
/// deadline; the outcome is encoded; the after hooks run; the finalizers run. An error on the way goes to the error
/// handlers, and is answered with its status. Hooks of one kind run in the order in which they were added.
///
/// The server's own statuses: `UNIMPLEMENTED` for a method that is not here, a compression that is not known, and none or two
/// messages where one is due; `RESOURCE_EXHAUSTED` for a message that is too long; `INTERNAL` for bytes that are no message, and for a panic;
/// `INVALID_ARGUMENT` for a `grpc-timeout` that is none; `DEADLINE_EXCEEDED` for a deadline that passes, and for a message
/// that does not come. What is no call of gRPC is answered as HTTP: 405 for a verb other than POST, 415 for another
/// content type, unless there is a [fallback](Self::fallback_service). Source: gRPC over HTTP/2; gRPC, "Status codes and
/// their use".
///
/// # Streams
///
/// Beyond Go kit, whose endpoints have no streams: methods of all four shapes are served. One message of a stream is in memory
/// at a time, each within the limits of size; a slow reader holds the writer up. There is no limit of time but the deadline.
///
/// A request that streams ends with the caller's stream. One that breaks off or is reset ends with an error item of the kind
/// `Cancelled`, if the call is not dropped before.
///
/// An answer that streams ends with a status in the trailers: that of the error that ends the stream, `DEADLINE_EXCEEDED` when
/// the deadline passes, also where the caller has stopped reading, `INTERNAL` for a panic. The codec is asked for each item, and
/// for that error. A server stream that fails at its beginning, within 100 ms, is answered by its status alone, as callers try
/// such calls again by themselves; later ones, and streams both ways, have sent their head by then. Finalizers run at the end of
/// the stream. A caller who leaves drops it at once.
pub struct GrpcServer<C = Prost> {
    codec: Arc<C>,
    entries: Vec<Entry>,
    beside: Beside,
    settings: Settings,
}

/// What holds for all methods.
pub(crate) struct Settings {
    pub(crate) max_decoding: usize,
    pub(crate) max_encoding: usize,
    pub(crate) message_timeout: Duration,
    #[cfg(feature = "gzip")]
    pub(crate) gzip: bool,
    pub(crate) hooks: Hooks,
    pub(crate) observer: Arc<dyn Observer>,
}

impl GrpcServer {
    /// A server without methods, whose messages are protobuf messages themselves.
    #[must_use]
    pub fn new() -> Self {
        Self::with_codec(Prost)
    }
}

impl Default for GrpcServer {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> GrpcServer<C> {
    /// A server without methods, with a codec between the endpoints' messages and those on the wire.
    #[must_use]
    pub fn with_codec(codec: C) -> Self {
        let settings = Settings {
            max_decoding: 4 * 1024 * 1024,
            max_encoding: usize::MAX,
            message_timeout: Duration::from_secs(30),
            #[cfg(feature = "gzip")]
            gzip: false,
            hooks: Hooks::default(),
            observer: Arc::new(()),
        };
        Self { codec: Arc::new(codec), entries: Vec::new(), beside: Beside::default(), settings }
    }

    /// The most bytes that a message may have that comes, also when it is unpacked; 4 MiB by default, as everywhere in
    /// gRPC. More is answered with `RESOURCE_EXHAUSTED`, and never read into memory. Each call whose message is still to come
    /// holds at most as much; how many there may be at once is for whoever serves to say.
    #[doc(alias = "MaxRecvMsgSize")]
    #[must_use]
    pub fn max_decoding_message_size(mut self, bytes: usize) -> Self {
        self.settings.max_decoding = bytes;
        self
    }

    /// The most bytes that a message may have that is sent, before it is compressed; no limit by default. A longer one
    /// becomes a `RESOURCE_EXHAUSTED`.
    #[doc(alias = "MaxSendMsgSize")]
    #[must_use]
    pub fn max_encoding_message_size(mut self, bytes: usize) -> Self {
        self.settings.max_encoding = bytes;
        self
    }

    /// The time within which the message of a call with one message must have come, if its deadline is no earlier; 30 s by
    /// default. Later is answered with `DEADLINE_EXCEEDED`.
    #[must_use]
    pub fn message_timeout(mut self, timeout: Duration) -> Self {
        self.settings.message_timeout = timeout;
        self
    }

    /// Compresses answers by gzip for the callers who take it. Compressed requests are taken in any case. Off by default:
    /// it costs much more time than it saves on a fast network.
    #[cfg(feature = "gzip")]
    #[must_use]
    pub fn gzip(mut self) -> Self {
        self.settings.gzip = true;
        self
    }

    /// Runs before a request is decoded: it reads the metadata that came, and may put things into the context. Go kit:
    /// `ServerBefore`.
    #[doc(alias = "ServerBefore")]
    #[must_use]
    pub fn before(mut self, hook: impl Fn(&mut Context) + Send + Sync + 'static) -> Self {
        self.settings.hooks.before.push(Box::new(hook));
        self
    }

    /// Runs after a success has been encoded: it sees the headers and the trailers that the method has set, in this order of
    /// arguments, and may change them. Of an answer that streams it runs before the first item. Go kit: `ServerAfter`.
    #[doc(alias = "ServerAfter")]
    #[must_use]
    pub fn after(mut self, hook: impl Fn(&Context, &mut HeaderMap, &mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.settings.hooks.after.push(Box::new(hook));
        self
    }

    /// Runs exactly once at the end of each call of a method that is bound, also when the caller left. Go kit:
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

    /// Gives the details that are sent with an error, of the types of `google.rpc`: a `BadRequest`, for one. An `ErrorInfo`
    /// for its reason and a `RetryInfo` for its time to wait need not be given. More than 7 KiB, encoded, are left out: with
    /// that much metadata many callers would not even see the status.
    #[must_use]
    pub fn error_details(mut self, details: impl Fn(&Error) -> Option<ErrorDetails> + Send + Sync + 'static) -> Self {
        self.settings.hooks.error_details = Some(Box::new(details));
        self
    }

    /// Tells events to this observer: `grpc_server` `panicked`, with the operation as key.
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

    /// Serves a single endpoint as this operation, by a codec of its own: a type, or [two closures](crate::By). Go kit:
    /// `NewServer`.
    #[doc(alias = "NewServer")]
    #[must_use]
    pub fn handle<S, Req, Res, E, K>(mut self, operation: Operation, endpoint: E, codec: K) -> Self
    where
        S: Shape,
        GrpcServer<K>: Bind<S, Req, Res>,
        E: Endpoint<Request<Req, S>, Response = Response<Res>, Error: Into<Error>> + 'static,
    {
        let mut by_codec = GrpcServer::with_codec(codec);
        by_codec.bind(operation, endpoint);
        self.entries.append(&mut by_codec.entries);
        self
    }

    /// Serves a service that tonic has generated, or one like it, with all methods to which no endpoint is bound. So a
    /// service moves method by method.
    ///
    /// The deadline of the caller holds for its calls, to the end of an answer that streams, and a panic in it is answered
    /// with `INTERNAL`; the [error handlers](Self::error_handler) and the [observer](Self::observer) hear of both, under the
    /// operation `NAME/unmatched`, since its methods are known to it alone. The other hooks, the limits and the compression
    /// are for what is bound; it has its own.
    ///
    /// [`build`](Self::build) refuses two of one name.
    #[must_use]
    pub fn add_service<S, B>(mut self, service: S) -> Self
    where
        S: Service<http::Request<TonicBody>, Response = http::Response<B>, Error: Into<BoxError> + Send, Future: Send>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        self.beside.added.push(Added::new(S::NAME, service));
        self
    }

    /// Gives all that is not `application/grpc` to this service: REST and gRPC on one port, over HTTP/1.1 and HTTP/2. kit's
    /// HTTP service is one, an axum router, any service on `http` types.
    ///
    /// The bodies are boxed, and a panic of the service becomes a 500, one in the body of its answer breaks that off; nothing
    /// else is touched. The [error handlers](Self::error_handler) hear of both, and of its errors. Layers over this server see
    /// its requests too.
    ///
    /// ```
    /// use kit_transport_grpc::GrpcServer;
    ///
    /// let rest = axum::Router::new().route("/", axum::routing::get(async || "hello"));
    /// let service = GrpcServer::new().fallback_service(rest).build()?;
    /// # let _ = service;
    /// # Ok::<(), kit_transport_grpc::BuildError>(())
    /// ```
    #[must_use]
    pub fn fallback_service<S, B>(mut self, service: S) -> Self
    where
        S: Service<
                http::Request<RequestBody>,
                Response = http::Response<B>,
                Error: Into<BoxError> + Send,
                Future: Send,
            > + Clone
            + Send
            + Sync
            + 'static,
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        self.beside.fallbacks.push(Box::new(FromService::new(service)));
        self
    }

    /// Serves `grpc.health.v1`, fed by this readiness: for load balancers, Kubernetes probes and `grpc_health_probe`. The
    /// status is that of the process, under the empty name and under the name of each service that is served here; another
    /// name is `NOT_FOUND`. Whoever watches is told of a change within 250 ms, by one timer a watcher, and of another name that
    /// it is `SERVICE_UNKNOWN`. `List` tells all.
    ///
    /// A watcher is told for as long as it likes, but let go (an end without an error) once the process was not ready for 3 s:
    /// it would hold up a stop otherwise. gRPC's clients watch again then, there or elsewhere. So set the readiness to false
    /// when the stop begins, or before, and give the stop more than 3 s; kit-serve's has 10 s.
    ///
    /// ```
    /// use kit_base::Readiness;
    /// use kit_transport_grpc::GrpcServer;
    ///
    /// let readiness = Readiness::new();
    /// let service = GrpcServer::new().health(readiness.clone()).build()?;
    /// readiness.set(true); // once it is; and false before it stops
    /// # let _ = service;
    /// # Ok::<(), kit_transport_grpc::BuildError>(())
    /// ```
    #[must_use]
    pub fn health(mut self, readiness: Readiness) -> Self {
        self.beside.readiness = Some(readiness);
        self
    }

    fn push(&mut self, operation: Operation, handler: Takes) {
        self.entries.push(Entry { operation, handler });
    }

    /// The service.
    ///
    /// For gRPC-Web put the layer of `tonic-web` over it: `GrpcWebLayer::new().layer(service)`. That refuses all else over
    /// HTTP/1.1, so with REST on the same port both go into a router: `router.fallback_service(layered)`.
    ///
    /// # Errors
    /// An operation has no name that gRPC allows, two operations or two [added services](Self::add_service) have the same, or
    /// there are two [fallbacks](Self::fallback_service). With reflection: what is bound cannot be described.
    pub fn build(self) -> Result<GrpcService, BuildError> {
        self.routes().map(IntoService::new)
    }

    /// The service as an endpoint, for kit layers over all of it. They see requests before their method is known, so under
    /// no operation; layers that need one belong on the endpoints.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn routes(self) -> Result<Routes, BuildError> {
        #[cfg(feature = "reflection")]
        let this = self.reflecting()?;
        #[cfg(not(feature = "reflection"))]
        let this = self;
        Routes::new(this.entries, this.beside, this.settings)
    }
}

impl<C, Req, Res> Bind<Unary, Req, Res> for GrpcServer<C>
where
    C: DecodeRequest<Req> + EncodeOutcome<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    fn bind<E>(&mut self, operation: Operation, endpoint: E)
    where
        E: Endpoint<Request<Req>, Response = Response<Res>, Error: Into<Error>> + 'static,
    {
        let unit = Unit::new(endpoint, Arc::clone(&self.codec));
        self.push(operation, Takes::One(Arc::new(unit)));
    }
}

impl<C> fmt::Debug for GrpcServer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations: Vec<_> = self.entries.iter().map(|entry| &entry.operation).collect();
        f.debug_struct("GrpcServer").field("operations", &operations).finish_non_exhaustive()
    }
}
