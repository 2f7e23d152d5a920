//! Circuit breaking: a breaker that is right under races and costs nothing while closed; breakers by key, a bulkhead, a fallback.
//!
//! For whoever calls a peer that may be down, slow or drowning: endpoints, tonic's channels, `reqwest`, whole routers and servers. Not
//! for retries, nor for limits on how *often* something is called, which are kit-ratelimit's.
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
//! `Guard`, `Tower` and `FromHttpService` are kit-base's, and `.layer(..)` of the first two is that of [`Layer`].
//! `answered()` makes the refusal an HTTP answer, since the error types of these services have no place for it. Where the compiler
//! says that `call` is missing, or its bounds are not satisfied, write `Endpoint::call(&endpoint, request)`: that makes it name the
//! piece which does not fit.
//!
//! A breaker belongs around what fails as one: one per instance, in the factory of a balancer; one per operation or host, by
//! [`Keyed`]; one for a peer behind one address. The state is in the guard: what it layers, and its clones, share the circuit. Make
//! the guard once, where the program begins, and clone it: one that is made for each request has never seen a failure, and
//! never opens. Keep a clone, and [`Guard::gate`](kit_base::Guard::gate) is where state and switches are:
//!
//! ```
//! # use kit_base::Guard;
//! # use kit_breaker::{Breaker, Settings, State};
//! # use std::time::{Duration, Instant};
//! let guard = Guard::new(Breaker::default().named("stock").observed_by(|event: &kit_base::Event<'_>| {
//!     println!("{} {}", event.key, event.what); // stock forced_open
//! }));
//! let admin = guard.clone();
//! admin.gate().force_open();
//! assert_eq!(guard.gate().state_at(Instant::now()), State::ForcedOpen);
//! admin.gate().reset();
//! admin.gate().change(Settings::new().failure_rate(0.5))?;
//! # Ok::<(), kit_breaker::InvalidSettings>(())
//! ```
//!
//! *Put time limits inside of it.* A call whose future is dropped from outside (`tokio::time::timeout` around the guarded call) was
//! left by its caller, and that says nothing of the peer. A limit inside (a deadline layer, `reqwest`'s timeout, a channel's) ends
//! the call with an error, which counts.
//!
//! ```text
//! Tower::new((guard, limit)).answered()     // a tuple of layers, the outermost first
//! ```
//!
//! The order of a whole stack, from the outermost: [`Fallback`], retry, breaker, [`Bulkhead`], time limit. The fallback answers when
//! all else has failed. With a retry outside of the breaker each attempt counts, and a refusal says when to come back; one inside of it
//! hides failures. An open breaker takes no places of the bulkhead, and the limit does not hold the wait for a place against the peer;
//! [`slow_calls`](Settings::slow_calls) does, so give that bulkhead no queue, or put it outside. [One page](coming_from_go_kit)
//! shows such a stack at work.
//!
//! Put what stands together into one `Tower`, as a tuple. From one `answered()` stack to the next a refusal is an answer like any
//! other: what a breaker inside refuses because it is forced open, or a bulkhead because the deadline has passed, is a failure of
//! the peer then.
//!
//! Two more traps. tonic's *server* keeps its own limit (`Server::timeout`, the client's `grpc-timeout`) outside of all layers, so it
//! needs one inside. And the limits of a channel and of layers end with the head: a stream that stalls later is under none of them.
//!
//! The errors of `reqwest` and of a channel are foreign, and all count as `Unavailable`, a URL that is none among them. A closure
//! says what they are; then [`slow_calls`](Settings::slow_calls) can excuse impatient callers, which it does for
//! `DeadlineExceeded` only. (It judges heads. Where trailers count, as over gRPC, implement `Classify` and its `judge_end`.)
//!
//! ```
//! use kit_base::{Classify, FromHttpService, Guard, Judgement, Kind, Monotonic, Origin, RetryHint, ServiceError, Standard};
//! use kit_breaker::{Breaker, Layer, Settings, State};
//! # use kit_base::Endpoint;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let by_cause = |outcome: &Result<http::Response<reqwest::Body>, ServiceError<reqwest::Error>>| match outcome {
//!     Err(ServiceError::Inner(error)) if error.is_builder() => {
//!         Judgement::of_parts(Kind::InvalidArgument, Origin::NotSent, RetryHint::None)
//!     }
//!     Err(ServiceError::Inner(error)) if error.is_timeout() => Judgement::of_kind(Kind::DeadlineExceeded),
//!     _ => Classify::<http::Request<&str>, _, _>::judge(&Standard, outcome),
//! };
//! let guard = Guard::with(Breaker::new(Settings::new().consecutive_failures(1))?, by_cause, Monotonic);
//! let client = guard.layer(FromHttpService::new(reqwest::Client::new()));
//!
//! assert!(client.call(http::Request::get("no-scheme://news.example/").body("")?).await.is_err());
//! assert_eq!(guard.gate().state_at(std::time::Instant::now()), State::Closed);
//! # // No port has the number 0.
//! # assert!(client.call(http::Request::get("http://127.0.0.1:0/").body("")?).await.is_err());
//! # assert_eq!(guard.gate().state_at(std::time::Instant::now()), State::Open);
//! # Ok(())
//! # }
//! ```
//!
//! Beside the breaker there are
//!
//! - [`Keyed`]: a gate too, with a breaker for each operation, host or whatever the request says, of a bounded number;
//! - [`Bulkhead`]: at most so many calls at a time, and a bounded, fair queue before them that knows deadlines;
//! - [`Fallback`]: another answer for a call that failed, or that a breaker or a bulkhead refused. These two are layers, and no gates.
//!
//! # What opens it
//!
//! The verdict of [`Classify`](kit_base::Classify) on each call, which every policy of kit shares:
//!
//! | counts as | |
//! |---|---|
//! | failure | `Unavailable` (502, 503, connections that fail or break), `DeadlineExceeded` (408, 504), `Internal`, `Unknown` (500), `DataLoss`, a peer that says `Cancelled` by itself, panics |
//! | success | what worked |
//! | nothing | callers' faults (404, `InvalidArgument`, ...), callers who left, `ResourceExhausted` (429), `Unavailable` with a time to wait (`Retry-After`, `grpc-retry-pushback-ms`), refusals of inner layers, calls that were too late before they were sent |
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
//!   runs. [`observe_only`](Settings::observe_only) lets it run dry: it refuses nothing, unless forced open, and tells what it would.
//! - **Cancellation.** Dropping a call, its body or its stream, at any point, is a caller who left. But an answer whose head has
//!   failed, or whose body nobody has begun to read, is what its head says.
//! - **Clones** of the guard share the circuit; [`fresh`](Breaker::fresh) makes another.
//! - **Time** is the guard's clock; ask for the state by the same. A closed circuit reads none, unless a rule needs it: a window of
//!   time, slow calls, [`clear_every`](Settings::clear_every), a [`Policy`].
//!
//! # Limits
//!
//! A circuit keeps a few words, and its window: 8 bytes for each 32 calls, or 80 bytes of time slices; twice that where slow calls
//! count. There is no task, and on the way of a call no queue, and no lock but that of a [`Policy`]; only a call that opens or
//! closes the circuit takes one, for the times it is open. [`Keyed`] takes a read lock on a part of its table, [`Bulkhead`] a short
//! lock, and both state their bounds.
//!
//! # Errors
//!
//! A refusal is `Unavailable`, of the origin `LocalRefusal`, with the reason `CIRCUIT_OPEN`, the text `circuit breaker is open` and the
//! time after which another try makes sense: what is left of the open time; 100 ms while probes are under way; none if it was forced.
//! Over HTTP that is a 503 with `Retry-After`, over gRPC `UNAVAILABLE` with `RetryInfo` and `grpc-retry-pushback-ms`; around a client
//! in `FromHttpService` it is a `ServiceError::Refused`. Errors of the inner endpoint pass through as they are. [`Bulkhead`] has
//! refusals of its own. Settings that make no sense are [`InvalidSettings`], which shows the value and what is allowed.
//!
//! # Events and log fields
//!
//! None in a log. An [`Observer`](kit_base::Observer), which each of the four takes by `observed_by`, is told; a closure
//! `|event: &Event<'_>|` is one. It is called on the path of a call, so it must neither block nor panic.
//!
//! | source and key | event | |
//! |---|---|---|
//! | `breaker`, its name; of [`Keyed`], the key | `opened` | by a rule, by a probe that failed or was given up, or because the peer asked for it |
//! | | `half_opened` | with the first probe |
//! | | `closed` | by its probes |
//! | | `refused`, `would_refuse` | a call, each time; the second where it only observes |
//! | | `forced_open`, `forced_closed`, `disabled`, `reset` | by the method of that name |
//! | of [`Keyed`] alone | `forgotten` | an idle circuit that held failures gave up its place |
//! | of [`Keyed`] alone, and no key | `unguarded` | a call whose key found no place |
//! | `bulkhead`, its name | `queued`, `refused`, `expired` | a call: waits; found no room; its deadline passed, or it waited in vain |
//! | `fallback`, its name | `answered`, `failed` | a call that had failed, by what became of it |
//!
//! Each change is told once, by the call that has made it and right after it, without a lock: of two that follow each other within
//! microseconds on two threads, the second may be told first. [`Breaker::snapshot_at`] has the state itself.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `failsafe` | off | failure policies of the crate `failsafe` as rules; 14 crates |
//!
//! # Differences from Go kit
//!
//! - What fails is judged. Go kit counts every error; callers' faults and callers who left say nothing of the peer.
//! - One breaker in place of three. Its settings behave like each of them: [one page](coming_from_go_kit) has them, and the rest of
//!   the differences.
//! - Half-open lets in exactly as many as it should, late results are ignored, and nothing keeps it half-open for ever.
//! - A refusal has a status and a time to come back, for callers who know nothing of the breaker.
//! - What a time limit has ended does not go on in the background, as with Hystrix: else no bound on what runs would be one.
//! - State is in values and not in a table of names of the whole process, so that tests and tenants share none by accident.

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
