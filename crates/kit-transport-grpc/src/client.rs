//! The client: typed endpoints that call a gRPC service.

mod call;
mod connections;
mod failure;
mod from_tonic;
mod hooks;
mod opening;
mod request;
mod stream;
mod streamed;
mod upload;

use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Response as HttpResponse};
use http_body::Body as HttpBody;
use kit_base::{
    Connect, Context, Endpoint, Error, FromService, Operation, PassOn, Request, Response, ServiceError, Unary,
};

pub use connections::{ConnectionError, Connections, ResponseBody};
pub use from_tonic::FromTonic;
pub use hooks::FinishedCall;

use crate::path::path_of;
use crate::{BuildError, DecodeResponse, EncodeRequest, Prost};
use hooks::Hooks;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Calls a service over gRPC: makes typed endpoints, one by one or for a whole service by its `connect`.
///
/// Each call derives the child of its context: deadline, trace, baggage, request id and the names to
/// [pass on](Self::pass_on) go with it; Authorization, Cookie and all else that arrived do not. The deadline is sent as
/// `grpc-timeout` and kept: a call ends as [`Kind::DeadlineExceeded`](kit_base::Kind::DeadlineExceeded) when it passes. A unary
/// call without one has [30 s](Self::timeout).
///
/// A status that is not OK becomes an [`Error`], with the status [behind it](crate::status_of). What goes wrong below has
/// the kinds that gRPC gives it: `Unavailable` for a connection that cannot be made or breaks, and the mapping of HTTP/2's
/// codes for a stream that is reset; `Internal` for an answer that breaks gRPC's rules, `Unimplemented` for none or two messages
/// where one is due, `Unknown` for a status that is none. An error says whether the call surely did not start
/// ([`Origin::NotSent`](kit_base::Origin::NotSent)).
///
/// # Requests that come back
///
/// Where a call of one message has surely not begun, its error carries the [`Request`] that the endpoint was called with: the
/// message and the context, as they were given ([`take_unsent`](Error::take_unsent)). So a balancer can take it to another
/// instance, and it need not be `Clone`. The message is kept for this until the outcome is known. One of a codec of your own comes
/// back if the codec [can make it again](EncodeRequest::give_back), which [`By`](crate::By) cannot. A request that streams does
/// not come back, nor one that cannot be encoded.
///
/// | what happened | over [`Connections`] | over a `Channel` of tonic's |
/// |---|---|---|
/// | no connection: refused, no such name, too late, no agreement on TLS or HTTP/2 | comes back | comes back |
/// | the server refused the stream, or its `GOAWAY` does not name it as seen | goes again, then comes back | comes back |
/// | the connection ended before anything of the call was written | goes again, then comes back | if the channel had not taken it yet |
/// | the connection ended after that | stays away | stays away |
///
/// When a server dies, its connection is dropped as soon as the runtime looks at its socket, and later calls find that nobody
/// listens. A call that is written within this moment may have begun, as far as anybody knows.
///
/// # Streams
///
/// Beyond Go kit, whose endpoints have no streams: methods of all four shapes are called. A call whose answer streams returns
/// with the head of the answer, and its items are read as they come; the status ends them, and so does the deadline. An answer
/// that ends without a status has not ended well. For the trailers see [`after`](Self::after).
///
/// Many servers (those of Go and Python, for two) send the head of an answer only with its first item, and the call returns no
/// earlier. The stream of the request is sent meanwhile, so what the server waits for must not wait for the call.
///
/// An error in the stream of a request resets the call, so that the server does not take it for the end, and is the error of the
/// call, or of its answer. An answer that ends before the request does ends the request too.
///
/// Clones share connections.
pub struct GrpcClient<S = Connections, C = Prost> {
    service: Arc<S>,
    origin: Uri,
    codec: Arc<C>,
    settings: Arc<Settings>,
}

/// What holds for all endpoints of a client.
#[derive(Clone)]
struct Settings {
    pass_on: PassOn,
    max_decoding: usize,
    max_encoding: usize,
    timeout: Option<Duration>,
    #[cfg(feature = "gzip")]
    gzip: bool,
    hooks: Hooks,
}

impl GrpcClient {
    /// A client of the service at this URL, `http://host:port`, over connections of its own. Nothing is connected before the
    /// first call.
    ///
    /// # Errors
    /// The URL is no `http` one, or has more than host and port.
    pub fn new(url: impl AsRef<str>) -> Result<Self, BuildError> {
        Self::with_connections(url, Connections::new())
    }

    /// A client of the service at this URL over connections with settings of their own: with TLS, for an `https` one.
    ///
    /// # Errors
    /// The URL is no `http` or `https` one, has more than host and port, or does not fit the connections: `https` without a TLS
    /// configuration, `http` with one, or another service than they go to already.
    pub fn with_connections(url: impl AsRef<str>, connections: Connections) -> Result<Self, BuildError> {
        let client = Self::over(url, connections)?;
        client.service.check(&client.origin)?;
        Ok(client)
    }
}

impl<T> GrpcClient<FromService<T>> {
    /// A client over any tower service: a [`tonic`] `Channel`, or one that has layers over it. It connects as it likes; the
    /// URL names scheme and authority of the requests.
    ///
    /// # Errors
    /// The URL is no `http` or `https` one, or has more than host and port.
    pub fn with_service(url: impl AsRef<str>, service: T) -> Result<Self, BuildError> {
        Self::over(url, FromService::new(service))
    }
}

impl<S> GrpcClient<S> {
    /// A client over an endpoint on `http` types, as [`Connections`] with kit's layers over them. Whether the URL fits what is
    /// below is told by the first call.
    ///
    /// # Errors
    /// The URL is no `http` or `https` one, or has more than host and port.
    pub fn over(url: impl AsRef<str>, service: S) -> Result<Self, BuildError> {
        let text = url.as_ref();
        let wrong = || format!("{text:?} is not the URL of a service: want http://host:port or https://host:port");
        let origin: Uri = text.parse().map_err(|error| BuildError::new(wrong()).because(error))?;
        let scheme = origin.scheme_str().is_some_and(|scheme| matches!(scheme, "http" | "https"));
        let bare = origin.path_and_query().is_none_or(|path| path == "/");
        // Without one, or with one that is too large, it would be called on port 80.
        let host = origin.authority().is_some_and(|authority| {
            let (whole, host) = (authority.as_str(), authority.host());
            !host.is_empty() && whole.starts_with(host) && (whole == host || authority.port_u16().is_some())
        });
        if !scheme || !bare || !host {
            return Err(BuildError::new(wrong()));
        }
        let settings = Settings {
            pass_on: PassOn::default(),
            max_decoding: 4 * 1024 * 1024,
            max_encoding: usize::MAX,
            timeout: Some(Duration::from_secs(30)),
            #[cfg(feature = "gzip")]
            gzip: false,
            hooks: Hooks::default(),
        };
        Ok(Self { service: Arc::new(service), origin, codec: Arc::new(Prost), settings: Arc::new(settings) })
    }
}

impl<S, C> GrpcClient<S, C> {
    /// Speaks by another codec.
    #[must_use]
    pub fn codec<D>(self, codec: D) -> GrpcClient<S, D> {
        let Self { service, origin, settings, .. } = self;
        GrpcClient { service, origin, codec: Arc::new(codec), settings }
    }

    fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Passes these names of inbound metadata on, beside trace, baggage and `x-request-id`.
    #[must_use]
    pub fn pass_on(mut self, names: PassOn) -> Self {
        self.settings().pass_on = names;
        self
    }

    /// The most bytes that a message may have that comes, also when it is unpacked; 4 MiB by default, as everywhere in
    /// gRPC. More is an error of the kind `ResourceExhausted`.
    #[doc(alias = "MaxCallRecvMsgSize")]
    #[must_use]
    pub fn max_decoding_message_size(mut self, bytes: usize) -> Self {
        self.settings().max_decoding = bytes;
        self
    }

    /// The most bytes that a message may have that is sent, before it is compressed; no limit by default. A longer one is an
    /// error of the kind `ResourceExhausted`, and is not sent.
    #[doc(alias = "MaxCallSendMsgSize")]
    #[must_use]
    pub fn max_encoding_message_size(mut self, bytes: usize) -> Self {
        self.settings().max_encoding = bytes;
        self
    }

    /// The deadline of unary calls whose context has none; 30 s by default, so that nothing waits for ever. It is sent, as
    /// any deadline is. Calls that stream have none unless their context has one.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings().timeout = timeout.into();
        self
    }

    /// Compresses requests by gzip. Compressed answers are taken in any case. Off by default: it costs much more time than it
    /// saves on a fast network, and a server that cannot unpack answers `UNIMPLEMENTED`.
    #[cfg(feature = "gzip")]
    #[must_use]
    pub fn gzip(mut self) -> Self {
        self.settings().gzip = true;
        self
    }

    /// Runs before a request is sent: it may set metadata. Go kit: `ClientBefore`.
    #[doc(alias = "ClientBefore")]
    #[must_use]
    pub fn before(mut self, hook: impl Fn(&Context, &mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.settings().hooks.before.push(Arc::new(hook));
        self
    }

    /// Sees headers and trailers of each answer. Of one that streams it sees them at its end, and nothing of one that breaks
    /// off or that the caller leaves: trailers come with the last item, and a [`Streaming`](kit_base::Streaming) has no room for
    /// them. Who wants those of one call puts a place for them into the extensions of its context. Go kit: `ClientAfter`.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use http::HeaderMap;
    /// use kit_transport_grpc::GrpcClient;
    ///
    /// /// Where a call wants its trailers.
    /// #[derive(Clone, Default)]
    /// struct Trailers(Arc<Mutex<HeaderMap>>);
    ///
    /// let client = GrpcClient::new("http://localhost:50051")?.after(|context, _, trailers| {
    ///     if let Some(Trailers(wanted)) = context.extensions().get() {
    ///         wanted.lock().unwrap().clone_from(trailers);
    ///     }
    /// });
    /// # Ok::<(), kit_transport_grpc::BuildError>(())
    /// ```
    #[doc(alias = "ClientAfter")]
    #[must_use]
    pub fn after(mut self, hook: impl Fn(&Context, &HeaderMap, &HeaderMap) + Send + Sync + 'static) -> Self {
        self.settings().hooks.after.push(Arc::new(hook));
        self
    }

    /// Runs exactly once at the end of each call, also when the caller left. Go kit: `ClientFinalizer`.
    #[doc(alias = "ClientFinalizer")]
    #[must_use]
    pub fn finalizer(mut self, hook: impl Fn(&FinishedCall<'_>) + Send + Sync + 'static) -> Self {
        self.settings().hooks.finalizers.push(Arc::new(hook));
        self
    }

    /// A typed endpoint that calls this operation. Go kit: `NewClient(...).Endpoint()`.
    #[doc(alias = "NewClient")]
    #[must_use]
    pub fn endpoint<Req, Res>(&self, operation: Operation) -> Connected<S, C, Req, Res> {
        self.connected(operation, Arc::clone(&self.codec))
    }

    /// The same by a codec of its own: a type, or [two closures](crate::By).
    #[must_use]
    pub fn endpoint_by<K, Req, Res>(&self, operation: Operation, codec: K) -> Connected<S, K, Req, Res> {
        self.connected(operation, Arc::new(codec))
    }

    fn connected<K, Req, Res>(&self, operation: Operation, codec: Arc<K>) -> Connected<S, K, Req, Res> {
        let uri = path_of(&operation).and_then(|path| {
            let mut parts = self.origin.clone().into_parts();
            parts.path_and_query =
                Some(PathAndQuery::try_from(path).map_err(|e| BuildError::new("no path").because(e))?);
            Uri::from_parts(parts).map_err(|error| BuildError::new("no URI").because(error))
        });
        let uri = uri.map_err(|error| error.to_string());
        let remote =
            Remote { service: Arc::clone(&self.service), settings: Arc::clone(&self.settings), operation, uri };
        Connected { remote: Arc::new(remote), codec, _messages: PhantomData }
    }
}

impl<S, C> Clone for GrpcClient<S, C> {
    fn clone(&self) -> Self {
        let Self { service, origin, codec, settings } = self;
        let (service, codec) = (Arc::clone(service), Arc::clone(codec));
        Self { service, origin: origin.clone(), codec, settings: Arc::clone(settings) }
    }
}

impl<S, C> fmt::Debug for GrpcClient<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClient").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// One operation of a remote service.
struct Remote<S> {
    service: Arc<S>,
    settings: Arc<Settings>,
    operation: Operation,
    /// An operation that has no name in gRPC is told at each call: `connect` of a whole service has no way to fail.
    uri: Result<Uri, String>,
}

/// An endpoint that calls a remote operation over gRPC; see [`GrpcClient`]. Clones share all they have.
///
/// *Cancellation:* dropping the future of a call, or the stream of its answer, resets its HTTP/2 stream, which the server sees
/// as `CANCELLED`.
pub struct Connected<S, C, Req, Res> {
    remote: Arc<Remote<S>>,
    codec: Arc<C>,
    _messages: PhantomData<fn(Req) -> Res>,
}

impl<S, C, Req, Res> Clone for Connected<S, C, Req, Res> {
    fn clone(&self) -> Self {
        Self { remote: Arc::clone(&self.remote), codec: Arc::clone(&self.codec), _messages: PhantomData }
    }
}

impl<S, C, Req, Res> fmt::Debug for Connected<S, C, Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected").field("operation", &self.remote.operation).finish_non_exhaustive()
    }
}

impl<S, B, E, C, Req, Res> Endpoint<Request<Req>> for Connected<S, C, Req, Res>
where
    S: Endpoint<http::Request<tonic::body::Body>, Response = HttpResponse<B>, Error = ServiceError<E>> + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    E: Into<BoxError> + Send,
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

impl<S, B, E, C, Req, Res> Connect<Unary, Req, Res> for GrpcClient<S, C>
where
    S: Endpoint<http::Request<tonic::body::Body>, Response = HttpResponse<B>, Error = ServiceError<E>> + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    E: Into<BoxError> + Send,
    C: EncodeRequest<Req> + DecodeResponse<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    type Endpoint = Connected<S, C, Req, Res>;

    fn connect(&self, operation: Operation) -> Connected<S, C, Req, Res> {
        self.endpoint(operation)
    }
}
