//! The tiny core of kit: endpoints, gates, context, errors, verdicts, and the bridges to tower.
//!
//! *For* writing a middleware, a transport, a registry client or a policy that works with every other crate of kit, and
//! at every place where services meet: endpoints, axum, tonic, reqwest. *Not for* building a service: that is
//! `kit-endpoint`, which re-exports what a service needs of this crate. It has no runtime and reads no clock of its own.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
//! use kit_base::{End, Endpoint, Error, Gate, Guard, Kind, Now, Request, Response};
//! use tower_layer::Layer;
//!
//! /// One RPC method.
//! struct Double;
//!
//! impl Endpoint<Request<u32>> for Double {
//!     type Response = Response<u32>;
//!     type Error = Error;
//!
//!     async fn call(&self, req: Request<u32>) -> Result<Response<u32>, Error> {
//!         let n = req.into_message();
//!         n.checked_mul(2).map(Response::new).ok_or_else(|| Error::out_of_range(format!("{n} is too large")))
//!     }
//! }
//!
//! /// Refuses everything once three calls in a row have failed.
//! #[derive(Default)]
//! struct Trip(AtomicU32);
//!
//! impl<Req, Res, Err> Gate<Req, Res, Err> for Trip {
//!     type Permit = ();
//!
//!     fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
//!         if self.0.load(Relaxed) < 3 { Ok(()) } else { Err(Error::unavailable("tripped")) }
//!     }
//!
//!     fn finish(&self, (): (), end: &End<'_>) {
//!         if end.judgement.is_failure() {
//!             self.0.fetch_add(1, Relaxed);
//!         } else {
//!             self.0.store(0, Relaxed);
//!         }
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")] // in a program, as you like
//! async fn main() {
//!     let trip = Guard::new(Trip::default());
//!     let double = trip.layer(Double);
//!
//!     assert_eq!(double.call(Request::new(4)).await.unwrap().into_message(), 8);
//!     // The caller's own mistake is no failure of the endpoint, so it trips nothing ...
//!     assert_eq!(double.call(Request::new(u32::MAX)).await.unwrap_err().kind(), Kind::OutOfRange);
//!     assert_eq!(trip.gate().0.load(Relaxed), 0);
//!     // ... and what is refused never reaches it.
//!     trip.gate().0.store(3, Relaxed);
//!     assert_eq!(double.call(Request::new(4)).await.unwrap_err().message(), "tripped");
//! }
//! ```
//!
//! # One middleware, five places
//!
//! ```text
//! let endpoint = guard.layer(endpoint);                                       // an Endpoint
//! let router   = router.layer(Tower::new(guard).answered());                  // axum::Router
//! let server   = Server::builder().layer(Tower::new(guard).answered());       // tonic's server
//! let channel  = Tower::new(guard).answered().layer(channel);                 // a tonic Channel
//! let client   = guard.layer(FromHttpService::new(reqwest::Client::new()));   // reqwest::Client
//! ```
//!
//! `guard` is [`Guard::new`] with a gate or a tuple of gates, or any other layer over endpoints, or a tuple of layers,
//! outermost first. Where the host names no operation, [`NameOperation`] goes first. The tests of this crate run
//! these lines against real servers and clients.
//!
//! # What is here
//!
//! | for | items |
//! |---|---|
//! | calling | [`Endpoint`], [`Request`], [`Response`], [`Context`], [`Operation`], [`Streaming`], the [shapes](Shape) |
//! | middleware that never waits | [`Gate`], [`Guard`], [`End`], [`Hold`] |
//! | outcomes | [`Error`], [`Kind`], [`Origin`], [`Failure`], [`Classify`], [`Judgement`], [`Verdict`] |
//! | tower and `http` | [`Tower`], [`FromService`], [`FromHttpService`], [`IntoService`], [`ServiceError`], [`wire`] |
//! | transports | [`Bind`], [`Connect`], [`PassOn`], [`RequestParts`], [`Peer`], [`Deadline`], [`Timeout`] |
//! | discovery | [`Instance`], [`InstanceSet`], [`Instancer`], [`Publisher`], [`Registrar`], [`Backoff`] |
//! | operation | [`Clock`], [`Event`], [`Observer`], [`Readiness`], [`catch_panic`], [`caught`] |
//!
//! A middleware that waits or calls more than once is a type whose `call` is an `async fn`, around an inner endpoint.
//!
//! # Behaviour
//!
//! *Clones.* State lives in the layer: cloning it, layering it twice, or cloning what it layered shares that state.
//!
//! *Readiness.* Endpoints have none. On the tower face a stack of gates with `REFUSES = false` passes the readiness of
//! the service through; every other stack is ready at once, so that it can refuse although the service hangs. Load
//! shedding and balancing, which live by readiness, belong inside of it. Gates are not asked until the service is called: a
//! caller who leaves while it waits for readiness is seen by no gate that passes readiness on. An axum router waits there
//! for its handlers; in one tuple with a gate that refuses, the counting gate sees those callers too.
//!
//! *Cancellation.* Dropping a future, body or stream cancels the call. Each permit is finished exactly once: with the
//! answer; with its last frame or item where the answer streams; with [`Cause::Left`] when it is dropped before;
//! with [`Cause::Panicked`] when a panic passes through. An HTTP answer whose body nobody begins to read is what its head
//! says. The permits before a refusal are finished with that refusal.
//!
//! *Time.* Any `Fn() -> Instant` is a [`Clock`]. A stack reads it at most once on entry and once on exit.
//!
//! *Cost.* A gate allocates nothing on an endpoint; a whole stack costs one box on a tower service.
//!
//! *Discovery.* A [`Publisher`] keeps the last known good set while the registry fails, until it is told that the set is too
//! old. Sets share the chunks that are the same, so that who follows ten thousand instances looks at those that changed.
//!
//! *Limits.* Tuples hold eight gates, and may be nested. What is kept is bounded by what the user gives: an instancer's
//! cell keeps one set and one waker for each subscription, an error at most the one request that it gives back. There are
//! no queues.
//!
//! # Errors
//!
//! An endpoint's error is its own type, and passes through every layer unboxed; it needs `From<kit_base::Error>` to be
//! refused with, and [`Failure`] to be judged. [`Error`] itself is one word. Its message is for the peer, except for
//! `Internal` and `Unknown`, which show the peer a neutral text; its source never leaves the process. It may bring headers along
//! for the answer that is made of it ([`with_headers`](Error::with_headers)): a limiter's `RateLimit`, a challenge.
//! A text that is no [`Timeout`], and a name that [`PassOn`] refuses, are `InvalidArgument`; settings of a [`Backoff`] that
//! make no sense are an [`InvalidBackoff`]. Each shows the value.
//!
//! # Events and log fields
//!
//! This crate emits none. Policies tell theirs to an [`Observer`].
//!
//! # Differences from Go kit
//!
//! * Endpoints are typed; there is nothing to assert or cast.
//! * A middleware sees one judged outcome, and sees it once, also when the caller leaves or the answer streams; Go kit's
//!   breaker, retry and metrics each have an opinion of their own, and none on streams.
//! * `context.Context` is split into what arrived and what will be sent, so that nothing is forwarded by accident.
//! * Cancelling is dropping; there is no `ctx.Done()` to forget.
//! * When the registry fails the last known good set stays, with its age and the error beside it.

mod answer;
mod backoff;
mod bind;
mod classify;
mod clock;
mod context;
mod deadline;
mod discovery;
mod endpoint;
mod error;
mod event;
mod from_service;
mod gate;
mod guard;
mod hold;
mod instance;
mod into_service;
mod kind;
mod operation;
mod panic;
mod peer;
mod readiness;
mod refusal;
mod request;
mod response;
mod service_error;
mod set;
mod shape;
mod streaming;
mod ticket;
mod tower;
mod tuple;
mod verdict;
pub mod wire;

pub use backoff::{Backoff, InvalidBackoff, Pauses};
pub use bind::{Bind, Connect};
pub use classify::{Classify, Standard, StreamEnd};
pub use clock::{Clock, Monotonic, Now};
pub use context::{Context, PassOn};
pub use deadline::{Deadline, Timeout};
pub use discovery::{Instancer, Instances, Publisher, Registrar, Registration, Snapshot, Subscription};
pub use endpoint::Endpoint;
pub use error::{Error, Failure, Origin, RetryHint};
pub use event::{Event, Observer};
pub use from_service::{FromHttpService, FromService};
pub use gate::{Cause, End, Gate};
pub use guard::{Guard, Guarded};
pub use hold::{HeldBody, Hold};
pub use instance::Instance;
pub use into_service::{BoxFuture, IntoService};
pub use kind::Kind;
pub use operation::{NameOperation, Operation, OperationInfo};
pub use panic::{catch_panic, caught};
pub use peer::{Peer, TlsIdentity};
pub use readiness::Readiness;
pub use refusal::{Absorbed, Answered, AnsweredBody, Mapped, Refusal};
pub use request::{Request, RequestParts};
pub use response::{Response, ResponseParts};
pub use service_error::ServiceError;
pub use set::InstanceSet;
pub use shape::{Bidi, Call, ClientStream, ServerStream, Shape, Unary};
pub use streaming::Streaming;
pub use ticket::OwnedTicket;
pub use tower::{Tower, TowerService};
pub use verdict::{Judgement, Verdict};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
