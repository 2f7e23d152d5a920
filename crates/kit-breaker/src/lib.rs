//! Circuit breaking: a breaker that is right under races and costs nothing while closed; breakers by key, a bulkhead, a fallback.
//!
//! For whoever calls a peer that may be down, slow or drowning: endpoints, tonic's channels, `reqwest`, whole routers and servers. Not
//! for retries, nor for limits on how *often* something is called.
//!
//! ```
//! use std::time::Duration;
//!
//! use kit_base::{Endpoint, Error, Guard, Kind, Origin, Request, Response};
//! use kit_breaker::{Breaker, Layer, Settings, State};
//!
//! /// A peer that is down.
//! struct Down;
//!
//! impl Endpoint<Request<u32>> for Down {
//!     type Response = Response<u32>;
//!     type Error = Error;
//!
//!     async fn call(&self, _: Request<u32>) -> Result<Response<u32>, Error> {
//!         Err(Error::unavailable("connection refused"))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings::new().consecutive_failures(3).open_for(Duration::from_secs(30));
//! let guard = Guard::new(Breaker::new(settings)?);
//! let guarded = guard.layer(Down);
//!
//! for _ in 0..3 {
//!     assert_eq!(guarded.call(Request::new(1)).await.unwrap_err().message(), "connection refused");
//! }
//!
//! // From now on the peer is left alone, and callers know at once, and when to come back.
//! let refusal = guarded.call(Request::new(1)).await.unwrap_err();
//! assert_eq!((refusal.kind(), refusal.origin()), (Kind::Unavailable, Origin::LocalRefusal));
//! assert!(refusal.retry_after().is_some_and(|wait| wait <= Duration::from_secs(30)));
//! assert_eq!(guard.gate().state_at(std::time::Instant::now()), State::Open);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to put it
//!
//! ```text
//! let guard    = Guard::new(Breaker::default());                              // gobreaker's defaults
//! let endpoint = guard.layer(endpoint);                                       // an Endpoint
//! let channel  = Tower::new(guard).answered().layer(channel);                 // a tonic Channel
//! let client   = guard.layer(FromHttpService::new(reqwest::Client::new()));   // reqwest::Client
//! let router   = router.layer(Tower::new(guard).answered());                  // axum::Router
//! let server   = Server::builder().layer(Tower::new(guard).answered());       // tonic's server
//! ```
//!
//! A breaker belongs around what fails as one: one per instance, in the factory of a balancer; one per operation or host, by
//! [`Keyed`]; one for a peer behind one address. The state is in the guard: what it layers, and its clones, share the circuit.
//! Keep a clone, and [`Guard::gate`](kit_base::Guard::gate) is where state and switches are.
//!
//! *Put time limits inside of it.* A call whose future is dropped from outside (`tokio::time::timeout` around the guarded call) was
//! left by its caller, and that says nothing of the peer. A limit inside (a deadline layer, `reqwest`'s timeout, a channel's) ends
//! the call with an error, which counts.
//!
//! ```text
//! Tower::new(Stack::new(limit, guard)).answered()     // tower_layer::Stack: the first is the inner one
//! ```
//!
//! Three traps. tonic's *server* keeps its own limit (`Server::timeout`, the client's `grpc-timeout`) outside of all layers, so it
//! needs one inside. The limits of a channel and of layers end with the head: a stream that stalls later is under none of them. And
//! the errors of `reqwest` and of a channel are foreign, and all count as `Unavailable`: that
//! [`slow_calls`](Settings::slow_calls) excuses impatient callers holds for `DeadlineExceeded` only, which a closure in
//! [`Guard::with`](kit_base::Guard::with) can make of them.
//!
//! Beside the breaker there are
//!
//! - [`Keyed`]: a breaker for each operation, host or whatever the request says, of a bounded number;
//! - [`Bulkhead`]: at most so many calls at a time, and a bounded, fair queue before them that knows deadlines;
//! - [`Fallback`]: another answer for a call that failed, or that a breaker or a bulkhead refused.
//!
//! # What opens it
//!
//! The verdict of [`Classify`](kit_base::Classify) on each call, which every policy of kit shares:
//!
//! | counts as | |
//! |---|---|
//! | failure | `Unavailable` (503 without `Retry-After`, connections that fail or break), `DeadlineExceeded`, `Internal`, `Unknown`, `DataLoss`, a `Cancelled` that the peer sent unasked, panics |
//! | success | what worked |
//! | nothing | callers' faults (404, `InvalidArgument`, ...), callers who left, `ResourceExhausted` and 503 with `Retry-After`, refusals of inner layers, calls that were too late before they were sent |
//!
//! Where the answer streams, it is known at the end: a `grpc-status` in the trailers counts, and so does a body that breaks off. So
//! a 503 with a body counts once that is read, or dropped.
//!
//! | rule | opens when |
//! |---|---|
//! | [`consecutive_failures`](Settings::consecutive_failures) | so many failed, with no success between |
//! | [`failure_rate`](Settings::failure_rate) | this share of the calls in the [`Window`] failed |
//! | [`slow_calls`](Settings::slow_calls) | this share of them took too long |
//! | [`policy`](Settings::policy) | your own [`Policy`] says so |
//! | [`heed_retry_after`](Settings::heed_retry_after) | the peer asks for it, by a 503 with `Retry-After` |
//!
//! # Behaviour
//!
//! - **Closed**, it lets every call in.
//! - **Open**, it refuses before the inner endpoint is asked for anything, be it readiness: at once, though the peer hangs. How long,
//!   [`open_for`](Settings::open_for) says: a fixed time, one that grows with jitter while probes fail, or what the peer asked for.
//! - **Half-open**, it lets exactly [`probes`](Settings::probes) calls in at the same time, whoever races for it, and refuses the
//!   others. [`successes_to_close`](Settings::successes_to_close) of them close it, one failure opens it again. A probe
//!   that is dropped, or says nothing of the peer, gives its place back; a peer that answers nothing but `ResourceExhausted`, or
//!   503 with a `Retry-After` that is not heeded, gets so many calls at the same time, and no more, until it answers something
//!   else. An answer that is the caller's own fault is a success here: the peer was there to say so. It cannot stay half-open for
//!   want of an answer: [`probe_within`](Settings::probe_within).
//! - **Late results.** Each change of state begins a new generation; what was let in by an older one does not count.
//! - **Forced** open, closed, or disabled until [`reset`](Breaker::reset). [`change`](Breaker::change) takes new settings while it
//!   runs. [`observe_only`](Settings::observe_only) lets it run dry: it refuses nothing by itself, and tells what it would.
//! - **Cancellation.** Dropping a call, its body or its stream, at any point, is a caller who left. But an answer whose head has
//!   failed, or whose body nobody has begun to read, is what its head says.
//! - **Clones** of the guard share the circuit; [`fresh`](Breaker::fresh) makes another.
//! - **Time** is the guard's clock. A closed circuit reads none, unless slow calls, a window of time, a policy or
//!   [`clear_every`](Settings::clear_every) ask for it.
//!
//! # Limits
//!
//! A circuit keeps a few words, and its window: 8 bytes for each 32 calls, or 80 bytes of time slices; twice that where slow calls
//! count. There is no task, no queue, and no lock on the way of a call but that of a [`Policy`]; only a call that opens or closes the
//! circuit takes one, for the times it is open. [`Keyed`] and [`Bulkhead`] state their bounds.
//!
//! # Errors
//!
//! A refusal is `Unavailable`, of the origin `LocalRefusal`, with the reason `CIRCUIT_OPEN`, the text `circuit breaker is open` and the
//! time after which another try makes sense: what is left of the open time; 100 ms while probes are under way; none if it was forced.
//! Over HTTP that is a 503 with `Retry-After`, over gRPC `UNAVAILABLE` with `RetryInfo`. Errors of the inner endpoint pass
//! through as they are. Settings that make no sense are [`InvalidSettings`], which shows the value and what is allowed.
//!
//! # Events and log fields
//!
//! An [`Observer`](kit_base::Observer) is told, with the source `breaker` and the breaker's name (or the key) as the key:
//!
//! | event | |
//! |---|---|
//! | `opened` | by a rule, by a probe that failed or was given up, or because the peer asked for it |
//! | `half_opened` | with the first probe |
//! | `closed` | by its probes |
//! | `refused`, `would_refuse` | a call, each time; the second where it only observes |
//! | `forced_open`, `forced_closed`, `disabled`, `reset` | by the method of that name |
//!
//! Each change is told once, by the call that has made it and right after it, without a lock: of two that follow each other within
//! microseconds on two threads, the second may be told first. [`Breaker::snapshot_at`] has the state itself. The observer is called
//! on the path of a call, so it must neither block nor panic.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `failsafe` | off | failure policies of the crate `failsafe` as rules; 14 crates |

mod breaker;
mod bulkhead;
mod circuit;
mod current;
#[cfg(feature = "failsafe")]
mod failsafe;
mod fallback;
mod invalid;
mod keyed;
mod open_for;
mod policy;
mod rules;
mod settings;
mod state;
mod sync;
mod window;
mod word;

pub use breaker::{Breaker, Permit};
pub use bulkhead::{Bulkhead, Bulkheaded};
#[cfg(feature = "failsafe")]
pub use failsafe::Failsafe;
pub use fallback::{Alternative, Fallback, FallbackBody, Keeping, Plain, Substitute, WithFallback};
pub use invalid::InvalidSettings;
pub use keyed::{KeyOf, Keyed, KeyedBreaker, KeyedPermit, OperationKey};
pub use open_for::OpenFor;
pub use policy::{Decision, Policy};
pub use settings::Settings;
pub use state::{Snapshot, State};
/// tower's `Layer`, whose `layer` method puts a [`Guard`](kit_base::Guard) around an endpoint.
pub use tower_layer::Layer;
pub use window::{Tally, Window};

#[doc = include_str!("../GOKIT.md")]
pub mod coming_from_go_kit {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
