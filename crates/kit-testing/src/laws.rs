//! The laws of middleware, and a checker for anybody's layer (feature `laws`).
//!
//! *For* layers: kit's gates and async layers, and any tower layer, yours or a library's, wherever it is put. *Not for*
//! whole services, and no proof: it tries what is known to go wrong, and says what it saw.
//!
//! # In one line
//!
//! ```
//! use kit_testing::laws::Laws;
//! use tower::limit::GlobalConcurrencyLimitLayer;
//!
//! # /*
//! #[test]
//! # */
//! fn my_limit_keeps_the_laws() {
//!     Laws::service(|_| GlobalConcurrencyLimitLayer::new(5)).waiting().at_most(5).check();
//! }
//! # my_limit_keeps_the_laws();
//! ```
//!
//! The closure makes a new layer; what follows *declares* what the layer promises; `check` puts it over a scripted
//! [`Inner`] service, in some 160 to 240 runs, and panics with a report when a law is broken. It brings its own
//! runtime: call it in a plain `#[test]`, not in a `#[tokio::test]`. In a debug build on two cores the 57 correct layers of this crate's tests took 14 to 89 ms each;
//! `cargo test -p kit-testing --features laws the_check_of_a_layer -- --nocapture` prints them.
//!
//! Here is a limit that gives its place back after the `await`, as many do. Callers who leave keep their places for ever:
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
//!
//! use kit_base::{Endpoint, Error};
//! use kit_testing::laws::{Law, Laws};
//! use tower_layer::layer_fn;
//!
//! struct AtMost<E> { inner: E, running: Arc<AtomicUsize> }
//!
//! impl<Req: Send, E: Endpoint<Req, Error: From<Error>>> Endpoint<Req> for AtMost<E> {
//!     type Response = E::Response;
//!     type Error = E::Error;
//!
//!     async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
//!         if self.running.fetch_add(1, SeqCst) >= 5 {
//!             self.running.fetch_sub(1, SeqCst);
//!             return Err(Error::resource_exhausted("5 calls are running").into());
//!         }
//!         let outcome = self.inner.call(req).await;
//!         self.running.fetch_sub(1, SeqCst);
//!         outcome
//!     }
//! }
//!
//! let laws = || Laws::endpoint(|_| {
//!     let running = Arc::new(AtomicUsize::new(0));
//!     layer_fn(move |inner| AtMost { inner, running: running.clone() })
//! });
//! let report = laws().refusing().at_most(5).report();
//! assert_eq!(report.law(), Some(Law::PermitsReturn));
//!
//! // The report names the law, what was seen, each step, and how to see it again.
//! let finding = &report.findings()[0];
//! let again = laws().refusing().at_most(5).replay(finding.seed()).report();
//! assert_eq!(again.findings()[0].steps(), finding.steps());
//! println!("{report}");
//! ```
//!
//! ```text
//! law PermitsReturn: a permit returns when the call's future, body or stream is dropped or panics
//!   but: all calls are over, and 4 of 5 get in
//!      1. call 1 is made
//!      2. call 1 is polled: it finds the service ready
//!      3. call 1 is polled: it waits
//!      4. inner call 0 (of call 1) panics
//!      5. call 1 is polled: it panics
//!      6. now all places must be free
//!      ...
//!   to see it again: .replay("answers/16")
//! ```
//!
//! # Where the layer is put
//!
//! | place | constructor | what the closure gives |
//! |---|---|---|
//! | an endpoint | [`Laws::endpoint`], [`Laws::stream`] | the layer: `\|setup\| guard` |
//! | a tower service | [`Laws::service`], [`Laws::lone_service`] where it has no clones | the layer: `\|setup\| RateLimitLayer::new(..)` |
//! | `axum::Router` | [`Laws::http_service`] | `layer_fn(\|inner\| Router::new().fallback_service(inner).layer(layer.clone()))` |
//! | tonic's server | [`Laws::grpc_service`] | the layer, as `Server::builder().layer(..)` takes it |
//! | a tonic `Channel` | [`Laws::grpc_service`] | `layer_fn(\|inner\| layer.layer(inner.map_err(..)))`, in the channel's types |
//! | `reqwest::Client` | [`Laws::http_endpoint`] | `layer_fn(\|inner\| guard.layer(FromHttpService::new(..)))` |
//!
//! So a place is a closure of yours, from the inner service to the thing that is called; kit-testing knows neither axum
//! nor tonic nor reqwest. [`tower_layer::layer_fn`] makes a layer of it. HTTP needs the type of the request's body:
//!
//! ```
//! use axum::Router;
//! use kit_testing::laws::Laws;
//! use tower::limit::GlobalConcurrencyLimitLayer;
//! use tower_layer::layer_fn;
//!
//! Laws::http_service::<axum::body::Body, _, _, _>(|_| {
//!     let limit = GlobalConcurrencyLimitLayer::new(5);
//!     layer_fn(move |inner| Router::new().fallback_service(inner).layer(limit.clone()))
//! })
//! .waiting()
//! .at_most(5)
//! .readiness(kit_testing::laws::Readiness::AtOnce) // a router is always ready, and waits in the call
//! .check();
//! ```
//!
//! # What is declared
//!
//! | kind | how often a call may be made inside |
//! |---|---|
//! | [`pass_through`](Laws::pass_through), the default | once, and nothing is refused |
//! | [`refusing`](Laws::refusing) | once, or not at all and at once |
//! | [`waiting`](Laws::waiting) | once, after a while |
//! | [`retrying`](Laws::retrying), [`hedging`](Laws::hedging) | so many times, if the operation is idempotent |
//! | [`selecting`](Laws::selecting) | once, at one of several services |
//!
//! Promises add to the kind: one of [`at_most`](Laws::at_most) so many at once, [`quota`](Laws::quota) and
//! [`breaks`](Laws::breaks); and [`gives_up_after`](Laws::gives_up_after), [`sheds`](Laws::sheds),
//! [`holds_bodies`](Laws::holds_bodies), [`keeps_deadlines`](Laws::keeps_deadlines), [`tells_ends`](Laws::tells_ends),
//! [`skips_unready`](Laws::skips_unready). Where a layer's documentation says that it
//! does otherwise than kit's laws ask, declare that too: [`wraps_errors`](Laws::wraps_errors),
//! [`state_per_service`](Laws::state_per_service), [`readiness`](Laws::readiness). What is not declared is not asked for, but
//! the rest is: each kind is checked for every [`Law`] that applies to it. **[`Law`] lists the laws, each with the bug
//! that real software had.**
//!
//! A layer that reads a clock gets [`Setup::clock`]; one that tells the ends of calls, [`Setup::ends`]:
//!
//! ```
//! use kit_base::{End, Error, Gate, Guard, Now, Standard};
//! use kit_testing::laws::Laws;
//!
//! struct CountEnds(kit_testing::laws::Ends);
//!
//! impl<Req, Res, Err> Gate<Req, Res, Err> for CountEnds {
//!     const REFUSES: bool = false;
//!     type Permit = ();
//!     fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> { Ok(()) }
//!     fn finish(&self, _: (), _: &End<'_>) { self.0.add() }
//! }
//!
//! Laws::endpoint(|setup| Guard::with(CountEnds(setup.ends()), Standard, setup.clock())).tells_ends().check();
//! ```
//!
//! # How it looks
//!
//! The checker holds both ends. Outside it makes calls through clones and polls their futures by hand; inside it holds each
//! call that arrives, and answers when it likes. So it knows at each step what must be so, and looks at every law after each.
//!
//! * *Leaving:* a scripted call is dropped before each poll of its readiness, future, body or stream, one run for each;
//!   alone, beside others, and while it waits for a place that somebody else is to get then.
//! * *Interleavings:* schedules by seed, of calls, polls, spurious polls, answers, failures, panics, parts of bodies,
//!   callers who leave, and time. The time is tokio's, paused.
//! * *Readiness:* each instance of the inner service remembers whether it said that it is ready.
//! * *Threads:* up to four of them race for what the layer limits, hundreds of calls to some thousand. Only these runs are
//!   not the same each time; [`Laws::without_threads`] leaves them out.
//!
//! At the end of each run the layer is dropped; its tasks and its copies of the inner service must be gone.
//!
//! # What it does not see
//!
//! * What is not declared, such as what a limit is for, or whether a back-off has jitter.
//! * Races that threads on your machine do not hit. Two threads that look for the last place and take it in the next line are
//!   seen most times, and fewer on a busy machine. For atomics, model checking (`loom`) sees all of them.
//! * What a layer draws by chance for itself: the seed is the checker's, so such a run is not the same each time.
//! * Work on other threads (`spawn_blocking`), which paused time does not wait for.
//! * Time from the system's clock, but for what it breaks: what should have happened in paused time, and did not.
//! * Whether requests and answers keep more than their message, operation, the metadata that marks them, deadline, status and
//!   error: not the bytes of bodies, the items of streams, or other headers.
//! * Pauses of more than two minutes between attempts, and of more than one before a first call gets in.
//! * Limits in threads of a layer that reads tokio's time, which nobody can move there: take [`Setup::clock`].
//! * Bounded cost (keys, queues, buffers), and what becomes of a panic on the wire.
//! * Two limits in one stack at the same time: check the layers apart.
//!
//! # Others' layers
//!
//! See [`findings`] for what it saw in tower, tower-http and tower-resilience.
//!
//! # Differences from Go kit
//!
//! Go kit has nothing like it. Nearest to it are `testing/synctest` for time and the race detector for threads.

mod bench;
mod body;
mod capacity;
mod check;
mod declared;
mod fault;
mod inner;
mod inspect;
mod law;
mod outer;
mod report;
mod scenarios;
mod setup;
mod subject;
mod world;

pub use self::body::InnerBody;
pub use self::check::Laws;
pub use self::declared::{Breaker, Readiness};
pub use self::fault::Fault;
pub use self::inner::Inner;
pub use self::law::Law;
pub use self::report::{Finding, Report};
pub use self::setup::{Ends, LawsClock, Setup};

#[doc = include_str!("laws/findings.md")]
pub mod findings {}
