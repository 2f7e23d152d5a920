//! gRPC for kit endpoints: a server as a plain service on `http` types, and a typed client.
//!
//! For services that are called over gRPC by programs in any language, and for calling such. With kit-endpoint's `#[service]`
//! a whole service is bound to [`GrpcServer`] or connected by [`GrpcClient`] in one line. Messages are types that derive
//! [`prost::Message`]; no code is generated, and no `protoc` is needed. What tonic has generated is served and called beside
//! them. Not for calls from browsers (gRPC-Web), nor for listening on a port, which kit-serve does.
//!
//! ```
//! use kit_base::{Endpoint, Error, Kind, Operation, Request, Response};
//! use kit_transport_grpc::{GrpcClient, GrpcServer};
//!
//! #[derive(prost::Message)]
//! struct SumRequest {
//!     #[prost(int32, tag = "1")]
//!     a: i32,
//!     #[prost(int32, tag = "2")]
//!     b: i32,
//! }
//!
//! #[derive(prost::Message)]
//! struct SumReply {
//!     #[prost(int32, tag = "1")]
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
//!     let operation = Operation::new("pb.Add", "Sum"); // what other languages call /pb.Add/Sum
//!     let service = GrpcServer::new().endpoint(operation.clone(), Sum).build()?;
//!
//!     // On a port, here by axum's server. kit-serve takes the service as it is.
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//!     let url = format!("http://{}", listener.local_addr()?);
//!     let app = axum::Router::new().fallback_service(service);
//!     tokio::spawn(async move { axum::serve(listener, app).await });
//!
//!     let sum = GrpcClient::new(url)?.endpoint::<SumRequest, SumReply>(operation);
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
//! [`GrpcServer`] binds endpoints to methods and gives a [`GrpcService`] (a `tower_service::Service` on `http` types, for any
//! body) or [`Routes`] (the same as an [`Endpoint`](kit_base::Endpoint), for kit's layers). A method is called by the name that
//! its operation has for `grpc`: `grpc = "pb.Add"` on the trait makes `/pb.Add/Sum` of the method `sum`. Without such a name it is
//! that of service and method as they are, `/addsvc/sum`, which only kit's own clients would guess.
//!
//! | step | what runs | on failure |
//! |---|---|---|
//! | 1 | the method is found | `UNIMPLEMENTED`; no hooks. What is no gRPC: [fallback](GrpcServer::fallback_service), or 415, 405 |
//! | 2 | the earlier of `grpc-timeout` and a `Deadline` in the extensions becomes the deadline | `INVALID_ARGUMENT`, after step 3 |
//! | 3 | [`before`](GrpcServer::before) hooks, in order; they may change the context | |
//! | 4 | the one message is read and decoded; where requests stream, this goes on in step 5 | see [Errors](#errors) |
//! | 5 | the endpoint is called | the status of the error's kind; `DEADLINE_EXCEEDED` at the deadline, from step 4 on |
//! | 6 | the outcome is encoded; [`after`](GrpcServer::after) hooks, in order, if there is an answer | |
//! | 7 | on failure: [`error_handler`](GrpcServer::error_handler)s, then [`error_details`](GrpcServer::error_details) | |
//! | 8 | [`finalizer`](GrpcServer::finalizer)s, in order, exactly once, also when the caller left | |
//!
//! A panic at any step, hooks included, is `INTERNAL` with a neutral text, and an event. Where an answer streams, steps 7 and 8
//! are at its end.
//!
//! | setting | default | unit and meaning |
//! |---|---|---|
//! | [`max_decoding_message_size`](GrpcServer::max_decoding_message_size) | 4 MiB | bytes of a message that comes, unpacked |
//! | [`max_encoding_message_size`](GrpcServer::max_encoding_message_size) | none | bytes of a message that is sent |
//! | [`message_timeout`](GrpcServer::message_timeout) | 30 s | until the one message of a call has come |
//! | `gzip` | off | compresses answers for callers who take it (feature `gzip`) |
//! | [`health`](GrpcServer::health) | off | serves `grpc.health.v1`, fed by a [`Readiness`](kit_base::Readiness) |
//! | `reflection` | off | serves `grpc.reflection` (feature `reflection`) |
//! | [`observer`](GrpcServer::observer) | none | is told the events below |
//!
//! # The client
//!
//! [`GrpcClient`] makes a typed endpoint for each operation. A call takes nothing from the context that it is given but the
//! deadline, outbound metadata, trace, baggage, request id and what is to be [passed on](GrpcClient::pass_on): a handler may
//! hand its own context to a client, and no credentials leak. [`before`](GrpcClient::before) hooks, sending,
//! [`after`](GrpcClient::after) hooks, decoding and [`finalizer`](GrpcClient::finalizer)s follow each other; where nothing was
//! sent, only finalizers run.
//!
//! | setting | default | unit and meaning |
//! |---|---|---|
//! | [`timeout`](GrpcClient::timeout) | 30 s | the deadline of unary calls whose context has none |
//! | [`max_decoding_message_size`](GrpcClient::max_decoding_message_size) | 4 MiB | bytes of a message that comes, unpacked |
//! | [`max_encoding_message_size`](GrpcClient::max_encoding_message_size) | none | bytes of a message that is sent |
//! | [`pass_on`](GrpcClient::pass_on) | none | names of inbound metadata that go along |
//! | `gzip` | off | compresses requests (feature `gzip`) |
//!
//! # Connections
//!
//! A client goes over [`Connections`] of its own: HTTP/2, one or several, with TLS by a configuration of the program's (feature
//! `tls`), with limits of time for peers that vanish; the table stands there. [`GrpcClient::with_connections`] takes them with
//! settings, [`GrpcClient::over`] with kit's layers around them, and [`GrpcClient::with_service`] any tower service, a tonic
//! `Channel` for one.
//!
//! # Streams
//!
//! Each of the four shapes of gRPC has its kind of endpoint: a request is a message or a `Streaming` of them, and so is an
//! answer. An error within a stream ends it, and arrives as the error that it was. The deadline holds to the end of the
//! stream. Nothing is gathered: a side that does not read holds the other up, and a caller that leaves drops the stream of the
//! other side.
//!
//! # Deadlines
//!
//! A deadline is a point in time within a process, and the time that is left between processes (`grpc-timeout`): clocks are never
//! compared. A server gives it to the context, and ends the call when it passes, by dropping the endpoint's future or stream; a
//! client that is called with that context sends what is left of it. So it only shrinks, from hop to hop, over kit's HTTP too.
//!
//! # One port
//!
//! [`GrpcServer::fallback_service`] gives all that is no gRPC to another service: REST over HTTP/1.1 and HTTP/2 on the port of
//! gRPC. Which one a request is for is told by its content type alone, so paths cannot collide.
//!
//! # With tonic
//!
//! A program moves service by service, method by method, or call by call:
//!
//! | what is there | how it stays |
//! |---|---|
//! | a service that tonic has generated | [`GrpcServer::add_service`] serves it beside what is bound, also methods of the same service |
//! | the same, and tonic goes on to serve it | [`IntoTonic`] makes an endpoint one of its methods |
//! | a client that tonic has generated | [`FromTonic`] makes an endpoint of one of its methods |
//! | tonic's server | a [`GrpcService`] goes into it as the fallback of an axum router |
//! | a `Channel` | [`GrpcClient::with_service`] goes over it |
//!
//! [`from_status`] and [`to_status`] translate between tonic's `Status` and [`kit_base::Error`], and [`status_of`] gives the very
//! status behind an error of a client, with all its details.
//!
//! # Describe and reflection
//!
//! prost keeps nothing of names when the program runs, so tools such as grpcurl and `buf curl` would have to be given a `.proto`
//! file. With the feature `describe`, messages that derive `Describe` beside `prost::Message` say how they look, doc comments
//! included. `GrpcServer::described()` binds such messages, and `GrpcServer::proto_files` gives the text of the `.proto` files
//! that nobody has to write: for other languages, for `buf breaking`, for a test that holds the wire still. With the feature
//! `reflection`, `GrpcServer::reflection` serves `grpc.reflection.v1` and `v1alpha`, and all calls work by name:
//!
//! ```text
//! buf curl --http2-prior-knowledge --protocol grpc -d '{"a":1,"b":2}' http://127.0.0.1:8082/pb.Add/Sum
//! ```
//!
//! Whoever can call may read it then. A codec of one's own says what it describes by `describe_request` and
//! `describe_response`; services that tonic has generated bring their descriptors by `GrpcServer::descriptors`. The module
//! `describe` has the rest.
//!
//! # Codecs
//!
//! [`Prost`] by default: requests and answers are messages themselves. A codec of one's own stands between an endpoint's types
//! and those on the wire: a type with [`DecodeRequest`] and [`EncodeOutcome`] for a server, [`EncodeRequest`] and
//! [`DecodeResponse`] for a client; two closures ([`By`]); or a pair of codecs, the first for requests, the second for answers.
//! [`EncodeOutcome`] sees the whole `Result`, for wires whose errors travel inside the answer, as Go kit's addsvc does it.
//!
//! # Metadata
//!
//! What comes is `context.inbound()`, what a client sends `context.with_outbound(..)`, what a server answers stands in the headers
//! and trailers of a [`Response`](kit_base::Response). Values of names that end in `-bin` are read and written by
//! [`binary_values`] and [`binary_value`]; an answer with one that is no base64 is `INTERNAL`, since there are callers who would
//! give up such a call without a word of why. Names that belong to the transport (`grpc-*`, `te`, `content-type` and those of a
//! connection) are not the user's to send, and are left out. Most clients take 8 to 16 KiB of metadata, and see more than that
//! as a broken stream.
//!
//! # Descriptors
//!
//! With the feature `describe` messages that derive `Describe` are described to others: a `.proto` text of all that is bound,
//! or a `FileDescriptorSet`. With `reflection` the server tells them to tools such as grpcurl. Neither needs a `.proto` file.
//!
//! # Frames of our own
//!
//! The protocol is tonic's in vocabulary only (`Status`, `MetadataMap`, the types of `google.rpc`). Its codec (of tonic 0.14) is not
//! used: it takes a request that the caller reset by `CANCEL` for one that has ended, even within a message; panics on a
//! malformed `grpc-status-details-bin`; answers `OUT_OF_RANGE` for a message that is too long; allocates 8 KiB for each side of
//! each call; and has no way to send trailers with a success.
//!
//! # Behaviour
//!
//! - **Clones** of [`Routes`], [`GrpcService`], [`GrpcClient`], [`Connected`] and [`Connections`] share all they have.
//! - **Cancellation.** A caller that leaves, or a deadline that passes, drops the future of the endpoint, or the stream that it
//!   answered with, and with it the permits that ride there. Dropping the future of a call or the stream of its answer resets its
//!   HTTP/2 stream; the connection stays.
//! - **A stop.** A server that ends a connection names the calls that it has not begun. They fail as `Unavailable` and
//!   [`NotSent`](kit_base::Origin::NotSent), and may be made again, whatever they do; [`Connections`] do so by themselves for
//!   requests of one message.
//! - **Runtime.** Both sides need tokio with its timer; the server only where a call has to wait.
//! - **Limits.** One message of each side is in memory, up to its limit, and what the connection buffers.
//!
//! # Errors
//!
//! What cannot be built is a [`BuildError`] that names the operation or the URL. An error is sent as the status of its kind, whose
//! names are gRPC's; its reason as an `ErrorInfo`, its time to wait as a `RetryInfo` and as `grpc-retry-pushback-ms`. The texts of
//! `INTERNAL` and `UNKNOWN` stay inside, as does the source. The server's own:
//!
//! | what happened | status | reason |
//! |---|---|---|
//! | there is no such service or method | `UNIMPLEMENTED` | `NO_METHOD` |
//! | a compression that is not known | `UNIMPLEMENTED` | `UNSUPPORTED_CODING` |
//! | no message came, or two, where the method takes one | `UNIMPLEMENTED` | `GRPC_PROTOCOL` |
//! | what came is no frame, or no such message | `INTERNAL` | `GRPC_PROTOCOL` |
//! | a message is too long, or unpacks to one | `RESOURCE_EXHAUSTED` | `MESSAGE_TOO_LARGE` |
//! | the `grpc-timeout` is none | `INVALID_ARGUMENT` | `MALFORMED` |
//! | the deadline passed | `DEADLINE_EXCEEDED` | |
//! | the message did not come in time | `DEADLINE_EXCEEDED` | `MESSAGE_TIMEOUT` |
//! | user code panicked | `INTERNAL` | `PANIC` |
//! | the method has set a `-bin` value that is no base64 | `INTERNAL` | |
//! | the caller left (only hooks see it) | `CANCELLED` | |
//! | it is no call of gRPC | HTTP 415, or 405 | |
//!
//! Calls fail with [`kit_base::Error`]:
//!
//! | what happened | kind | origin |
//! |---|---|---|
//! | a status came | that of the code, with text, reason and time to wait | `Remote` |
//! | no connection | `Unavailable` | `NotSent`, [with the request](GrpcClient#requests-that-come-back) |
//! | the server ended the connection, or refused the stream, before the call began | `Unavailable` | the same |
//! | the connection broke before anything of the call was written | `Unavailable` | the same |
//! | the connection broke | `Unavailable` | `Remote` |
//! | the stream was reset | by HTTP/2's code: `CANCEL` is `Cancelled`, `ENHANCE_YOUR_CALM` `ResourceExhausted`, most others `Internal` | `Remote` |
//! | the deadline passed | `DeadlineExceeded` | `Remote` |
//! | it had passed before the request left | `DeadlineExceeded` | `NotSent` |
//! | the answer is not gRPC | by its HTTP status: 401, 403, 404, 429, 502, 503, 504 and a few more; else `Unknown` | `Remote` |
//! | the answer has no status | `Unknown` with 200, else by its HTTP status | `Remote` |
//! | the message to be sent is too long | `ResourceExhausted` | `NotSent` |
//! | the message that came is too long | `ResourceExhausted` | `Remote` |
//! | what came breaks the protocol, or is no such message | `Internal` | `Remote` |
//!
//! Of what a peer says, texts are cut at 2 KiB, longer reasons left out, and a time to wait is ten years at most.
//!
//! # Events and log fields
//!
//! | source | what | key | when |
//! |---|---|---|---|
//! | `grpc_server` | `panicked` | the operation | user code panicked: handler, stream, codec or hook |
//!
//! Nothing is logged; [`GrpcServer::error_handler`] sees each error with its source, also one that ends a stream.
//!
//! # Features
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `client` | [`GrpcClient`], [`Connections`]; h2, and hyper-util's connector | yes |
//! | `server` | [`GrpcServer`] | yes |
//! | `gzip` | compression, both ways; flate2 | |
//! | `describe` | `Describe`, the descriptors of what is bound and their text; prost-types, a derive | |
//! | `reflection` | `GrpcServer::reflection`; `describe`, `server`, tonic-reflection | |
//! | `tls` | `Connections::tls`; tokio-rustls, without a provider | |
//!
//! # Differences from Go kit
//!
//! - Errors have the status of their kind; Go kit sends `UNKNOWN` with the error's text for all but gRPC's own errors, a full
//!   limiter and an open breaker among them.
//! - Calls that stream are endpoints too; Go kit's are unary only.
//! - There is no generated server to be filled in: the method's name comes with the operation, and no interceptor is needed for
//!   anybody to know it.
//! - Outbound metadata of the context is sent beside what hooks add; Go kit's client replaces it.
//! - Values of `-bin` are encoded once; Go kit's `EncodeKeyValue` and gRPC do it twice.
//! - After hooks run when the answer is encoded, so none of what they set is lost, or sent with an error.
//! - A deadline is sent, kept, and there by default (30 s); a panic is answered and the process lives.
//! - A business error in the reply (`err` in `pb.SumReply`) is a codec of the service's, not a convention of the transport.

#![cfg_attr(
    not(any(feature = "client", feature = "server")),
    allow(dead_code, unused_extern_crates, reason = "the sides share it")
)]

// The derive names this crate as its users do.
#[cfg(all(feature = "describe", feature = "server"))]
extern crate self as kit_transport_grpc;

#[cfg(feature = "client")]
mod client;
mod codec;
#[cfg(any(feature = "client", feature = "server"))]
mod coding;
#[cfg(feature = "describe")]
pub mod describe;
#[cfg_attr(
    not(any(feature = "client", feature = "server")),
    allow(dead_code, reason = "what is left serves both sides")
)]
mod error;
#[cfg(any(feature = "client", feature = "server"))]
mod expiring;
#[cfg(any(feature = "client", feature = "server"))]
mod frame;
#[cfg(any(feature = "client", feature = "server"))]
mod messages;
#[cfg_attr(
    not(any(feature = "client", feature = "server")),
    allow(dead_code, reason = "what is left serves both sides")
)]
mod metadata;
mod pair;
#[cfg(any(feature = "client", feature = "server"))]
mod path;
#[cfg_attr(
    not(any(feature = "client", feature = "server")),
    allow(dead_code, reason = "what is left serves both sides")
)]
mod protocol;
#[cfg(feature = "server")]
mod server;
mod status;
#[cfg(any(feature = "client", feature = "server"))]
mod until;
#[cfg(any(feature = "client", feature = "server"))]
mod within;

#[cfg(feature = "client")]
pub use client::{Connected, ConnectionError, Connections, FinishedCall, FromTonic, GrpcClient, ResponseBody};
#[cfg(feature = "describe")]
pub use codec::Described;
pub use codec::{By, DecodeRequest, DecodeResponse, EncodeOutcome, EncodeRequest, Prost};
#[cfg(feature = "describe")]
pub use describe::Describe;
pub use error::BuildError;
#[cfg(feature = "describe")]
pub use kit_transport_grpc_macros::Describe;
pub use metadata::{binary_value, binary_values};
#[cfg(feature = "server")]
pub use server::{Body, FinishedRequest, GrpcServer, GrpcService, IntoTonic, RequestBody, Routes, TonicStream};
pub use status::{from_status, status_of, to_status};

#[cfg(all(doctest, feature = "client", feature = "server"))]
#[doc = include_str!("../README.md")]
struct Readme;
