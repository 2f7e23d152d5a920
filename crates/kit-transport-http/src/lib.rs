//! HTTP for kit endpoints: a server as a plain service or an axum router, a typed client over reqwest, a reverse proxy.
//!
//! For services whose methods are called with JSON, protobuf or bytes of their own over HTTP, and for calling such. With
//! kit-endpoint's `#[service]` a whole service is bound to [`HttpServer`] or connected by [`HttpClient`] in one line. Both
//! sides may stream. Not for pages, which axum does, nor for listening on a port, which kit-serve does.
//!
//! ```
//! use kit_base::{Endpoint, Error, Kind, Operation, Request, Response};
//! use kit_transport_http::{HttpClient, HttpServer};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct SumRequest {
//!     a: i32,
//!     b: i32,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct SumReply {
//!     v: i32,
//! }
//!
//! struct Sum;
//!
//! impl Endpoint<Request<SumRequest>> for Sum {
//!     type Response = Response<SumReply>;
//!     type Error = Error;
//!
//!     async fn call(&self, request: Request<SumRequest>) -> Result<Response<SumReply>, Error> {
//!         let SumRequest { a, b } = request.into_message();
//!         let sum = a.checked_add(b).ok_or_else(|| Error::out_of_range("integer overflow"))?;
//!         Ok(Response::new(SumReply { v: sum }))
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let operation = Operation::new("addsvc", "sum"); // POST /sum, unless another route is given
//!     let routes = HttpServer::new().endpoint(operation.clone(), Sum).routes()?;
//!
//!     // In process, as in a test: an endpoint on `http` types.
//!     let Ok(answer) = routes.call(http::Request::post("/sum").body(r#"{"a":1,"b":2}"#.to_owned())?).await;
//!     assert_eq!(answer.status(), 200);
//!
//!     // Over a socket, here with axum's server. kit-serve takes it as it is.
//!     let service = kit_base::IntoService::new(routes); // what `build()` gives instead of `routes()`
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//!     let url = format!("http://{}", listener.local_addr()?);
//!     let app = axum::Router::new().fallback_service(service);
//!     tokio::spawn(async move { axum::serve(listener, app).await });
//!
//!     let sum = HttpClient::new(url)?.endpoint::<SumRequest, SumReply>(operation);
//!     let reply = sum.call(Request::new(SumRequest { a: 1, b: 2 })).await?;
//!     assert_eq!(reply.message().v, 3);
//!
//!     // An error comes back as what it was.
//!     let error = sum.call(Request::new(SumRequest { a: i32::MAX, b: 1 })).await.err().ok_or("no error")?;
//!     assert_eq!((error.kind(), error.message()), (Kind::OutOfRange, "integer overflow"));
//!     Ok(())
//! }
//! ```
//!
//! # The server
//!
//! [`HttpServer`] binds endpoints to routes and gives an [`HttpService`] (a `tower_service::Service` on `http` types, for
//! any body), [`Routes`] (the same as an [`Endpoint`](kit_base::Endpoint), for kit's layers) or, with the feature `axum`,
//! an `axum::Router`. A request has its [`Route`] by verb and path:
//! `POST /` and the method's name, what the operation names for `http`, or what
//! [`route`](HttpServer::route) gives.
//!
//! | step | what runs | on failure |
//! |---|---|---|
//! | 1 | the route is found | 404, or 405 with `Allow`; no hooks but those of step 8 |
//! | 2 | the earlier of `grpc-timeout` and a `Deadline` in the extensions becomes the deadline | 400, after step 3 |
//! | 3 | [`before`](HttpServer::before) hooks, in order; they may change the context | |
//! | 4 | the body is read, whole, if its `Content-Encoding` is `identity` or none | 415, 413, 408, 400 if it breaks off |
//! | 5 | the request is decoded | 415, 400 |
//! | 6 | the endpoint is called | the status of the error's kind; 504 at the deadline, from step 4 on |
//! | 7 | the outcome is encoded; [`after`](HttpServer::after) hooks, in order, if there is an answer | 500 |
//! | 8 | on failure: [`error_handler`](HttpServer::error_handler)s, then the [`error_encoder`](HttpServer::error_encoder) | problem details |
//! | 9 | [`finalizer`](HttpServer::finalizer)s, in order, exactly once, also when the caller left | |
//!
//! A panic at any step, hooks included, is 500 with a neutral text, and an event. A `HEAD` is answered as the `GET` of
//! its path, without the body. Where an answer streams, step 9 is at its end: its last item, its error, or its drop.
//!
//! | setting | default | unit and meaning |
//! |---|---|---|
//! | [`body_limit`](HttpServer::body_limit) | 2 MiB | bytes of a body; one that announces more is not read at all |
//! | [`body_timeout`](HttpServer::body_timeout) | 30 s | from the first read of a body to its end; of a stream, for each item |
//! | [`item_limit`](HttpServer::item_limit) | as `body_limit` | bytes of one item of a request that streams |
//! | [`stream_limit`](HttpServer::stream_limit) | none | bytes of the whole of it |
//! | [`keep_alive`](HttpServer::keep_alive) | 15 s | from one sign of life of an answer that streams to the next |
//! | [`request_id`](HttpServer::request_id) | off | each request has a [`RequestId`], which comes back and is passed on |
//! | [`prefix`](HttpServer::prefix) | none | stands before the paths of all that is bound after it |
//! | [`observer`](HttpServer::observer) | none | is told the events below |
//!
//! # The client
//!
//! [`HttpClient`] makes a typed endpoint for each operation, over one pool of connections. A call takes nothing from the
//! context that it is given but the deadline, outbound metadata, trace, baggage, request id and what is to be
//! [passed on](HttpClient::pass_on): a handler may hand its own context to a client, and no credentials leak.
//! Of outbound metadata, `host`, `content-length` and `transfer-encoding` are not sent: they come from URL and body.
//! [`before`](HttpClient::before) hooks (which may set `host`), sending, [`after`](HttpClient::after) hooks (at the head),
//! decoding and [`finalizer`](HttpClient::finalizer)s follow each other; where nothing was sent, only finalizers run.
//!
//! | setting | default | unit and meaning |
//! |---|---|---|
//! | [`head_timeout`](HttpClient::head_timeout) | 30 s | from the call, or the last item that it streams, to the head of the answer, connecting included |
//! | [`body_timeout`](HttpClient::body_timeout) | 30 s | from the head to the end of the body; of a stream, from piece to piece |
//! | [`response_limit`](HttpClient::response_limit) | 16 MiB | bytes of an answer's body; of a stream, of one item |
//! | connect | 5 s | of the client that [`new`](HttpClient::new) makes |
//! | redirects | not followed | of the same client |
//! | [`pool`](HttpClient::pool) | 100, 30 s | connections to a host at rest, and how long each; of the same client |
//! | [`connections`](HttpClient::connections) | no limit | calls at once, and how many wait for their turn |
//! | [`aged`](HttpClient::aged) | no limit | the age of a connection, after which another one is made |
//! | TLS | none | turn on a TLS feature of reqwest, or bring a client by [`with_client`](HttpClient::with_client) |
//!
//! # Streams
//!
//! | shape | endpoint | request | answer |
//! |---|---|---|---|
//! | `Unary` | `Request<Req>` to `Response<Res>` | a body | a body |
//! | `ServerStream` | `Request<Req, ServerStream>` to `Response<Streaming<Res>>` | a body | items |
//! | `ClientStream` | `Request<Streaming<Req>, ClientStream>` to `Response<Res>` | items | a body |
//! | `Bidi` | `Request<Streaming<Req>, Bidi>` to `Response<Streaming<Res>>` | items | items, at the same time |
//!
//! ```
//! # use std::pin::Pin;
//! # use std::task::{Context, Poll};
//! # use kit_base::{Context as Cx, Endpoint, Error, Kind, Operation, Request, Response, ServerStream, Streaming};
//! # use kit_transport_http::{HttpClient, HttpServer};
//! /// Counts down from a number; a stream of your own, of a channel, or of `futures_util::stream`.
//! struct Down(u32);
//!
//! impl futures_core::Stream for Down {
//!     type Item = Result<u32, Error>;
//!
//!     fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
//!         let next = self.0.checked_sub(1);
//!         self.0 = next.unwrap_or_default();
//!         Poll::Ready(Some(next.ok_or_else(|| Error::out_of_range("below zero"))))
//!     }
//! }
//!
//! struct CountDown;
//!
//! impl Endpoint<Request<u32, ServerStream>> for CountDown {
//!     type Response = Response<Streaming<u32>>;
//!     type Error = Error;
//!
//!     async fn call(&self, request: Request<u32, ServerStream>) -> Result<Self::Response, Error> {
//!         Ok(Response::new(Streaming::new(Down(request.into_message()))))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let operation = Operation::new("demo", "countdown");
//! let routes = HttpServer::new().endpoint(operation.clone(), CountDown).routes()?;
//!
//! // Whoever asks gets a line for each item, or an event for each if that is what it accepts.
//! let Ok(answer) = routes.call(http::Request::post("/countdown").body("2".to_owned())?).await;
//! assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
//! let lines = http_body_util::BodyExt::collect(answer.into_body()).await?.to_bytes();
//! assert!(lines.starts_with(b"1\n0\n{\"$error\":{"));
//!
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let url = format!("http://{}", listener.local_addr()?);
//! # let app = axum::Router::new().fallback_service(kit_base::IntoService::new(routes));
//! # tokio::spawn(async move { axum::serve(listener, app).await });
//! // A client gets the items as they come, and the very error.
//! let countdown = HttpClient::new(url)?.endpoint::<u32, Streaming<u32>>(operation);
//! let answer = countdown.call(Request::<_, ServerStream>::from_parts(Cx::new(), 2)).await?;
//! let mut numbers = answer.into_message();
//! assert_eq!(numbers.message().await?, Some(1));
//! assert_eq!(numbers.message().await?, Some(0));
//! let error = numbers.message().await.err().ok_or("no error")?;
//! assert_eq!((error.kind(), error.message()), (Kind::OutOfRange, "below zero"));
//! # Ok(())
//! # }
//! ```
//!
//! | wire form | type | an item | an error after the first item | where nothing comes |
//! |---|---|---|---|---|
//! | [`Json`], both ways | `application/x-ndjson` | a line | the last line, `{"$error": …}` | |
//! | [`Json`], to a client that prefers it | `text/event-stream` | an event; [`Sse`] for names and ids | the event `problem` | a comment |
//! | [`Raw`], both ways | `application/octet-stream` | a piece, cut anew on the way | the transfer breaks off | |
//! | a [`Form`] of your own | its own | its own | its own, or the transfer breaks off | its own |
//!
//! - **The head** of a server stream waits for the first item, so that an error in its place is an answer of its own, with
//!   its status; but no longer than [`keep_alive`](HttpServer::keep_alive), after which an error is in the stream. That of a
//!   `Bidi` call waits for nothing but the endpoint, since its caller may wait for the head before it sends an item.
//! - **Errors** in a stream have the members of problem details, and `retry_after_ms`. A client makes the very error of
//!   them, the last item of its stream; a stream that broke off ends with `Unavailable`. What breaks a request's stream off,
//!   an error or a panic of its own, is the error of the call.
//! - **The deadline** ends a stream as any other call: `DeadlineExceeded`, in it or before its head. The stream of the
//!   endpoint is dropped then, also where the reader has stopped reading and nothing can be told. Without a deadline such
//!   a reader holds it until its connection ends.
//! - **Nothing is gathered.** At most one item and what the connection buffers are in memory; a side that does not read
//!   holds the other up.
//! - **Events.** A browser's `EventSource` needs a `GET` route. The `Last-Event-ID` with which it comes back is in the
//!   inbound metadata of the context. Proxies are told not to buffer (`x-accel-buffering`) nor to store.
//! - **Parameters** of a route are no part of a request that streams: the endpoint finds [`Params`] in the extensions of
//!   its context. A client does not fill them there.
//!
//! # The reverse proxy
//!
//! `ReverseProxy` (feature `proxy`) passes requests of any kind on to a backend, and its answers back: streamed both ways,
//! with trailers, so gRPC too (feature `http2`). It is an endpoint on `http` types over another one, the client of the backend,
//! so that kit's layers go between. [`Replay`] is the body that a retry there needs: what was sent of it is kept, up to a cap.
//!
//! | step | what runs | on failure |
//! |---|---|---|
//! | 1 | the target is joined with the base's; headers of the connection are removed; `X-Forwarded-*` is written | 501, 414 |
//! | 2 | `before` hooks, in order; they may change the context and what is sent | |
//! | 3 | the deadline is sent on as what is left | 504 if it has passed |
//! | 4 | the endpoint: layers, and the client of the backend | 502, 504, 408, 400; that of a layer's refusal |
//! | 5 | `after` hooks, in order, on the head of the backend's answer | |
//! | 6 | the body of the answer, until the deadline | it breaks off |
//! | 7 | `finalizer`s, in order, exactly once, also when the client left | |
//!
//! | setting | default | unit and meaning |
//! |---|---|---|
//! | `head_timeout` | 30 s | without a move, before the head of the answer |
//! | `backend_host` | the client's | whose `Host` is sent |
//! | `forwarded`, `via` | not sent | `Forwarded` and `Via` beside `X-Forwarded-*` |
//! | `replace_forwarded` | appended | drops what arrives of these, at the edge |
//! | `https` | by the request | clients speak TLS |
//!
//! # Codecs
//!
//! [`Json`] by default, [`Protobuf`] with its feature, [`Raw`] for bytes, a closure, or a pair of any two: the first for
//! requests, the second for answers. What streams has traits of its own: [`DecodeRequestStream`],
//! [`EncodeResponseStream`], [`EncodeRequestStream`], [`DecodeResponseStream`]. [`EncodeOutcome`] sees the whole `Result`, for wires whose errors travel inside the
//! answer. A response that carries an [`http::StatusCode`] or headers has them put over those of its encoding; not so one
//! that a client received: a gateway that answers with it sends the message alone. What is to be passed on is set on a
//! `Response` of one's own.
//!
//! # OpenAPI
//!
//! With the feature `openapi`, `HttpServer::openapi` serves an OpenAPI 3.1 document of all that is bound, at
//! `GET /openapi.json`, and `HttpServer::openapi_document` gives it out: for a file, or a check in CI. Paths, verbs and
//! parameters come from the routes, media types from the codecs. `Json::described` knows the schemas too: each message
//! derives `schemars::JsonSchema`, by serde's attributes, and the documentation of types and fields becomes descriptions.
//!
//! | part | where it comes from |
//! |---|---|
//! | operation | one for each verb of a route that OpenAPI knows, all eight for `ANY`; its id is `service.method`, with the verb behind it where there are several |
//! | parameters | the fields of the message that path and query give, without `null`; lists are given more than once |
//! | body | what is left of the message; required where the codec refuses a request without one |
//! | errors | problem details under the server's own statuses and any other; what an error encoder makes is told by `OpenApi::error` |
//! | schemas | of what is read and what is written, one where they are the same; integers with the bounds of their types |
//!
//! Whatever else a document shall say (servers, security, another success than 200) is put into it by `OpenApi::amend`. A
//! codec of one's own describes itself by `describe_request` and `describe_answer`, and by `describe_request_stream` and
//! `describe_answer_stream` where it streams; closures are said to take and give anything. Of a stream the schema is that of
//! one item, as the description beside it says, since OpenAPI 3.1 knows no streams. Two things JSON Schema cannot say: to it 1.0 is an integer, which serde does not take for one; and
//! [`Json::lenient`] takes more than its document says.
//!
//! # Behaviour
//!
//! - **Clones** of [`Routes`], [`HttpService`], [`HttpClient`], [`Connected`] and proxies share all they have.
//! - **Cancellation.** A caller that leaves, or a deadline that passes, drops the future of the endpoint, or the stream
//!   that it answered with, and with it the permits that ride there. Dropping the future of a call or the stream of its
//!   answer closes its connection (over HTTP/2, resets its stream) and ends the stream of its request.
//! - **Runtime.** Both sides need tokio with its timer; the server only where a request has to wait.
//! - **Limits.** Bodies are whole in memory on both sides, up to their limits, unless they stream. Trailers are not sent.
//!
//! # Compression
//!
//! It is left to tower-http on a server and to reqwest's features (`gzip`, `brotli`, `zstd`) on a client:
//!
//! ```text
//! let service = CompressionLayer::new().layer(service);            // answers, for whoever accepts it
//! let service = RequestDecompressionLayer::new().layer(service);   // requests; others than it knows are 415
//! ```
//!
//! Limits count what was decompressed, so a bomb ends at them. Events are not compressed, lines are, each flushed as it
//! comes. Without the second layer a compressed request is 415.
//!
//! # Errors
//!
//! What cannot be built is a [`BuildError`] that names the operation and route. Calls fail with [`kit_base::Error`]:
//!
//! | what happened | kind | origin |
//! |---|---|---|
//! | a kit service answered an error | that of the error, with message, reason and retry-after | `Remote` |
//! | another status than 2xx | by the status, 503 is `Unavailable`; 3xx is `Unknown` | `Remote` |
//! | no connection: refused, no such name, too late, no agreement on TLS | `Unavailable` | `NotSent`, [with the request](#requests-that-come-back) |
//! | the connection ended before the request was written, or the server refused its stream (HTTP/2) | `Unavailable` | the same |
//! | the connection broke, or what came is no HTTP | `Unavailable` | `Remote` |
//! | the deadline or a limit of time passed | `DeadlineExceeded` | `Remote` |
//! | the deadline had passed before the call, or while it waited for its turn | `DeadlineExceeded` | `NotSent` |
//! | too many calls wait for their turn | `ResourceExhausted` | `LocalRefusal` |
//! | a field lacks that the path needs, or has no place in the route | `InvalidArgument` | `NotSent` |
//! | the message cannot be encoded, the route is none, TLS is missing | `Internal` | `NotSent` |
//! | the answer or an item of it cannot be decoded, or is too long | `Internal` | `Remote` |
//! | the stream of the request failed or panicked | that of its error, `Internal` | `Remote` |
//!
//! Of what a peer says, texts are cut at 2 KiB, longer reasons left out, and retry-after is ten years at most.
//!
//! ## Requests that come back
//!
//! Where a call of one message has surely not begun, since no connection took it, its error carries the
//! [`Request`](kit_base::Request) that the endpoint was called with: the message and the context, as they were given
//! ([`take_unsent`](kit_base::Error::take_unsent)). So a balancer can take it to another instance, and it need not be `Clone`. The
//! request is kept for this until the outcome is known. One that streams does not come back, nor one that cannot be encoded.
//!
//! When a server dies, its connections at rest are dropped as soon as the runtime looks at their sockets, and later calls find
//! that nobody listens. A call that comes within this moment, or was under way, may have begun as far as anybody knows, and fails
//! as `Remote`: over HTTP/1.1 one at most for each connection.
//!
//! On the server, errors of its own have these reasons: `NO_ROUTE`, `METHOD_NOT_ALLOWED`, `MALFORMED_REQUEST`,
//! `UNSUPPORTED_MEDIA_TYPE`, `UNSUPPORTED_CODING`, `BODY_TOO_LARGE`, `BODY_TIMEOUT`, `PANIC`. Those of the proxy stand with
//! it. A client that has too many calls waiting says `TOO_MANY_CALLS`.
//!
//! # Events and log fields
//!
//! | source | what | key | when |
//! |---|---|---|---|
//! | `http_server` | `panicked` | the operation | user code panicked: handler, stream, codec or hook |
//!
//! Nothing is logged; [`HttpServer::error_handler`] sees each error with its source, also one that ends a stream.
//!
//! # Features
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `client` | [`HttpClient`]; reqwest without TLS | yes |
//! | `server` | [`HttpServer`] | yes |
//! | `axum` | `HttpServer::into_axum` | |
//! | `protobuf` | `Protobuf` | |
//! | `openapi` | `OpenApi`, `DescribedJson`; schemars, without its derive | |
//! | `proxy` | `ReverseProxy`; hyper-util's client | |
//! | `http2` | HTTP/2 without TLS for the proxy, HTTP/2 in reqwest | |
//!
//! # Differences from Go kit
//!
//! - Errors have statuses by their kind and problem details; Go kit's default is 500 and the error's text.
//! - Requests are checked: type, size, time, verb (405) and what follows the JSON. [`Json::lenient`] reads as Go does.
//! - After hooks run when the answer is encoded, so a failed encoding cannot leave half an answer.
//! - A context cannot be changed by after hooks; to hand things on, before hooks put a shared value into it.
//! - A client looks at the status; has limits; sends the deadline; and sends bodies with their length, not in chunks,
//!   unless they stream.
//! - Go kit's client hands out a body to be read (`BufferedStream`) and its server writes whole answers; here both sides
//!   stream typed items, and an error, the deadline and the finalizers are kept to the end of the stream.
//! - A proxy keeps the context of its hooks to the end, answers failures as problem details, has a limit of time, and takes
//!   layers; Go kit's throws the context away and answers with an empty 502.

#[cfg(feature = "client")]
mod client;
mod codec;
#[cfg_attr(not(all(feature = "client", feature = "server")), allow(dead_code, reason = "one side alone uses it"))]
mod error;
#[cfg(feature = "client")]
mod exclusive;
#[cfg(any(feature = "proxy", feature = "server"))]
mod expiring;
#[cfg(any(feature = "client", feature = "server"))]
mod gathered;
#[cfg(feature = "openapi")]
mod openapi;
mod params;
#[cfg_attr(not(all(feature = "client", feature = "server")), allow(dead_code, reason = "one side alone uses it"))]
mod pieces;
#[cfg_attr(not(all(feature = "client", feature = "server")), allow(dead_code, reason = "one side alone uses it"))]
mod problem;
#[cfg(feature = "proxy")]
mod proxy;
mod replay;
#[cfg_attr(not(all(feature = "client", feature = "server")), allow(dead_code, reason = "one side alone uses it"))]
mod route;
#[cfg(feature = "server")]
mod server;
#[cfg_attr(not(all(feature = "client", feature = "server")), allow(dead_code, reason = "one side alone uses it"))]
mod within;

#[cfg(feature = "client")]
pub use client::{Connected, FinishedCall, HttpClient};
#[cfg(feature = "openapi")]
pub use codec::DescribedJson;
#[cfg(feature = "protobuf")]
pub use codec::Protobuf;
pub use codec::{
    DecodeRequest, DecodeRequestStream, DecodeResponse, DecodeResponseStream, EncodeOutcome, EncodeRequest,
    EncodeRequestStream, EncodeResponseStream, Form, Json, Outgoing, Params, Raw, Received, Reply, RequestInfo, Sse,
};
pub use error::{BuildError, InvalidRoute};
#[cfg(feature = "openapi")]
pub use openapi::{Description, OpenApi};
pub use pieces::Pieces;
#[cfg(all(feature = "client", feature = "proxy"))]
pub use proxy::ReqwestBackend;
#[cfg(feature = "proxy")]
pub use proxy::{Backend, BackendError, FinishedProxy, ProxyBody, ReverseProxy};
pub use replay::{Replay, ReplayError};
pub use route::Route;
#[cfg(feature = "server")]
pub use server::{Body, FinishedRequest, HttpServer, HttpService, RequestId, Routes};

#[cfg(all(doctest, feature = "client", feature = "server"))]
#[doc = include_str!("../README.md")]
struct Readme;
