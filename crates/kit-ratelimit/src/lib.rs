//! Rate limits that limit: one bucket for all clones and connections, buckets by key in bounded memory, and calls that wait
//! their turn.
//!
//! For whoever is called too often, or must not call too often: endpoints, whole routers and servers, tonic's channels, `reqwest`.
//! Not for how many calls run at a *time*: that is a bulkhead, which kit-breaker has. And not for what several processes may do
//! together: each counts for itself.
//!
//! ```
//! use axum::{Router, body::Body, extract::Request, routing::get};
//! use kit_ratelimit::{Guard, Quota, RateLimit, Tower, nonzero};
//! # use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // 5 a minute, all clients, connections and threads together.
//! let limit = Guard::new(RateLimit::new(Quota::per_minute(nonzero!(5))));
//! let app = Router::new().route("/", get(async || "hello")).layer(Tower::new(limit).answered());
//!
//! let call = || app.clone().oneshot(Request::new(Body::empty()));
//! for _ in 0..5 {
//!     assert_eq!(call().await?.status(), 200);
//! }
//!
//! // Callers learn when to come back: each 12 seconds a call gets through.
//! let refusal = call().await?;
//! assert_eq!(refusal.status(), 429);
//! assert!(refusal.headers()["retry-after"].to_str()?.parse::<u32>()? <= 12);
//! assert_eq!(refusal.headers()["ratelimit-policy"], r#""default";q=5;w=60"#);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to put it
//!
//! ```
//! # use axum::Router;
//! # use kit_base::{Endpoint, Request, Response};
//! # use kit_ratelimit::{Quota, RateLimit, nonzero};
//! # use tonic::transport::{Channel, Server};
//! use kit_base::FromHttpService;
//! use kit_ratelimit::{Guard, Layer, Tower};
//!
//! # async fn places<E>(router: Router, channel: Channel, endpoint: E)
//! # where
//! #     E: Endpoint<Request<u32>, Response = Response<u32>, Error = kit_base::Error>,
//! # {
//! let guard    = Guard::new(RateLimit::new(Quota::per_second(nonzero!(5))));
//! # let all = guard.clone();
//! let router   = router.layer(Tower::new(guard).answered());                  // axum::Router
//! # let guard = all.clone();
//! let server   = Server::builder().layer(Tower::new(guard).answered());       // tonic's server
//! # let guard = all.clone();
//! let channel  = Tower::new(guard).answered().layer(channel);                 // a tonic Channel
//! # let guard = all.clone();
//! let endpoint = guard.layer(endpoint);                                       // an Endpoint
//! # let guard = all.clone();
//! let client   = guard.layer(FromHttpService::new(reqwest::Client::new()));   // reqwest::Client
//! # fn served(_: Router) {}
//! # served(router);
//! # let mut server = server;
//! # let (_, health) = tonic_health::server::health_reporter();
//! # let _ = (server.add_service(health), tonic_health::pb::health_client::HealthClient::new(channel));
//! # let _ = (endpoint.call(Request::new(1)), client.call(http::Request::new("")));
//! # }
//! ```
//!
//! The first three need this crate alone: [`Guard`], [`Tower`] and [`Layer`] are kit-base's and tower's, re-exported. The other two
//! need kit-base too, for `FromHttpService` and to call an [`Endpoint`](kit_base::Endpoint). `answered()` makes a refusal an HTTP or gRPC
//! answer, since the error types of these services have no place for it.
//!
//! *Make the guard once, where the program begins, and clone it.* The bucket is in it: all that it is put over, and its clones, share
//! that. One that is made for each request has never seen another, and refuses nothing; one for each connection lets every connection
//! have the whole quota, which is what becomes of tower's limit behind a `Buffer` under axum.
//!
//! In a server the limit stands outside of whatever checks credentials, so that it refuses before anything is spent, on guessed
//! passwords too. A limit by tenant or user needs to know who calls: it stands inside of that, and one by address outside. In a
//! client, a limit that the peer as a whole sets stands between retry and balancer, where each attempt counts. One that each instance
//! sets stands around that instance, inside of its breaker, for which the refusals of a limit count for nothing, and outside of
//! the attempt's time limit: in kit-lb's `PerInstance`, made with [`fresh`](RateLimit::fresh) for each, so that the balancer takes what
//! is refused to another instance. The documentation of kit-endpoint has the order of a whole stack.
//!
//! Several limits, or a limit and a breaker, go into one guard as a tuple, the outermost first. The limit by key comes first, so that
//! who is over his own limit takes nothing from the one of all:
//!
//! ```
//! # use std::time::Instant;
//! # use kit_base::{Endpoint, Error, Request};
//! # use kit_ratelimit::{Guard, Keyed, Layer, Quota, RateLimit, nonzero};
//! # struct Echo;
//! # impl Endpoint<Request<&'static str>> for Echo {
//! #     type Response = &'static str;
//! #     type Error = Error;
//! #     async fn call(&self, request: Request<&'static str>) -> Result<&'static str, Error> { Ok(request.into_message()) }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let by_client = Keyed::by(Quota::per_hour(nonzero!(2)), |request: &Request<&'static str>| Some(*request.message()));
//! let of_all = RateLimit::new(Quota::per_hour(nonzero!(3)));
//! let guard = Guard::new((by_client, of_all));
//! let endpoint = guard.layer(Echo);
//!
//! for call in 1..10 {
//!     assert_eq!(endpoint.call(Request::new("greedy")).await.is_ok(), call <= 2);
//! }
//! assert_eq!(guard.gate().1.standing_at(Instant::now()).remaining, 1);
//! assert!(endpoint.call(Request::new("modest")).await.is_ok());
//! # }
//! ```
//!
//! A call that a later gate of the tuple has no room for (an open circuit, another limit) was not made, and its tokens come back,
//! unless somebody has taken some of that bucket since. What is refused for what is in it, such as wrong credentials, has cost its
//! tokens. So has what a layer further in refuses, such as kit-breaker's `Bulkhead`, and what has come through a [`Delay`]: these are
//! no gates. Put what stands together into one `Tower`: from one `answered()` stack to the next a refusal is an answer like any other.
//!
//! # Where it does not compile
//!
//! | the compiler says | what is missing |
//! |---|---|
//! | of a limit, that it is no `Layer`, or not `Clone` | `Guard::new(..)` around it |
//! | of `Guarded` or `Delayed`, that it is no `Service` | `Tower::new(..)` around the layer |
//! | `Infallible: From<Error>` is not satisfied; or `transport::Error` | `.answered()` |
//! | `Delay: Gate` is not satisfied | nothing; a `Delay` is a layer, and stands beside the guard: `Tower::new((guard, delay))` |
//! | type annotations needed; type mismatch in closure arguments | the closure's argument, as it is at this place: `&axum::extract::Request`, `&http::Request<tonic::body::Body>`, `&kit_base::Request<T>` |
//! | lifetime may not live long enough | a key that is owned: `r.headers().get("x-tenant").cloned()` |
//! | no method `named`, `with_headers`, ... for `Guard`; or cannot move out of `WithHeaders` | these words come before `Guard::new`, and `with_headers` comes last |
//! | of `WithHeaders`, that it is no `Gate` | an answer with headers: an `http::Response`, or a `kit_base::Response` |
//!
//! # What there is
//!
//! - [`RateLimit`]: one bucket for all.
//! - [`Keyed`]: a bucket for each client, operation, tenant, or whatever a closure finds in the request, in a fixed number of places.
//!   Its page has limits by address, behind a proxy too, and says what becomes of whom in a flood of keys.
//! - [`Delay`]: a layer whose calls wait their turn, in a fair line, but never past their deadline, nor longer than its
//!   [bound](Delay::at_most): `Tower::new(Delay::new(quota)).answered()`. For clients that keep to a quota; a server that lets callers wait holds what they hold.
//! - [`Erroring`] and [`Delaying`]: the same over any limiter, by [`Allow`] and [`Wait`].
//!
//! A [`Quota`] is a rate and a burst: a bucket that begins full and gets its tokens back at even intervals. The burst is as large as
//! the rate unless set: a fresh bucket of 5 a second lets 5 through at once, and then one each 200 ms; after a second of silence, 5 at once
//! again. With [`with_burst(nonzero!(1))`](Quota::with_burst) it is never more than one at once. The numbers cannot be zero:
//! [`nonzero!`](nonzero) is checked when the program is built, and a configuration has a `NonZeroU32`.
//!
//! *Costs.* A call takes one token, or what a closure says: `.costing(|request: &Request<Query>| request.message().pages)`. 0 is free,
//! and passes an empty bucket too. What costs more than the burst can never pass, and its refusal says so: no retry-after, and over gRPC a
//! push-back of "do not retry".
//!
//! *Changes.* [`change_at`](RateLimit::change_at) takes a new quota while all goes on. Tokens stay: nobody gets anew what he has
//! used up, and a burst that grows fills at the new rate. *To look,* [`standing_at`](RateLimit::standing_at) has what is left, and
//! when the bucket is full.
//!
//! ```
//! # use std::time::Instant;
//! # use kit_ratelimit::{Guard, Quota, RateLimit, nonzero};
//! # let guard = Guard::new(RateLimit::new(Quota::per_second(nonzero!(5))));
//! let admin = guard.clone();
//! let now = Instant::now();
//! admin.gate().change_at(Quota::per_second(nonzero!(50)), now);
//! assert_eq!(guard.gate().quota().burst().get(), 50);
//! assert_eq!(guard.gate().standing_at(now).remaining, 5); // and 50 more in the next second
//! ```
//!
//! *Trying it out.* With [`observe_only`](RateLimit::observe_only) everything passes, and the event `would_refuse` tells what would not.
//! Read those for a while, set the quota, and take the word away. A [`Delay`] has no such word: where all pass at once there is no
//! line to tell of. Put a [`RateLimit`] of its quota there, and what that would refuse is what would have had to wait.
//!
//! # What a refusal is
//!
//! | | the bucket is empty | the call costs more than the burst |
//! |---|---|---|
//! | in this process | `ResourceExhausted`, reason `RATE_LIMITED`, origin `LocalRefusal`, the exact [retry-after](kit_base::Error::retry_after) | the same with [`RetryHint::Never`](kit_base::RetryHint::Never) |
//! | over HTTP | 429, `Retry-After` in whole seconds, rounded up; `application/problem+json` with `"kind":"RESOURCE_EXHAUSTED"` and `"reason":"RATE_LIMITED"` | 429 without `Retry-After` |
//! | over gRPC | `RESOURCE_EXHAUSTED` with `RetryInfo`, `ErrorInfo` and `grpc-retry-pushback-ms` | the same without `RetryInfo`, and -1 |
//!
//! [`Limited::of`] gives the name of the limit, the cost and the [`Standing`] that an error was made from.
//!
//! *Around a client,* what is refused was not sent. So a retry may make any call again, also one that must not be made twice: not before
//! the retry-after, and not at all where the hint is `Never`. With a [`Delay`] there is less to try again. Around `reqwest`, in
//! `FromHttpService`, a refusal is a `ServiceError::Refused`; tonic's client has a `Status`, as if the peer had answered it.
//!
//! Each refusal of this crate's own limits carries two headers, over gRPC as metadata; with
//! [`with_headers`](RateLimit::with_headers) the answers of calls that passed carry them too, but not the errors that an endpoint
//! itself returns, which have no place for them. Nor does a refusal that a method of a service passes on, by a limit of a client or of
//! a service behind it: that is the method's own answer then, with the time to come back, but that limit is none of its caller's.
//! The headers are those of the IETF draft draft-ietf-httpapi-ratelimit-headers-11:
//!
//! ```text
//! RateLimit-Policy: "default";q=5;w=60       the name of the limit; a full bucket, and the seconds that it takes to fill it
//! RateLimit: "default";r=0;t=12              tokens left, and the seconds until there is one more
//! ```
//!
//! # Behaviour
//!
//! - **Clones** of the guard share the buckets; [`fresh`](RateLimit::fresh) makes other ones.
//! - **Threads.** In any time of length `t` a [`RateLimit`] gives out at most `burst + rate · t` tokens, whoever races for them.
//! - **Cancellation.** A call that its caller leaves has cost its tokens, if it got them; one that leaves the line of a [`Delay`] has
//!   cost none, and those behind it move up.
//! - **Streams** are one call, and take their tokens at the beginning.
//! - **Time** is the guard's clock, read once a stack; `now` in the methods is to be of the same. For a `Delay` it is tokio's. Where
//!   a clock goes back by up to a minute, or a reading of it is that old, time stands still until it has caught up; where it goes
//!   back further, the bucket begins again, empty. So does it for a call whose thread is stopped for over a minute between reading
//!   the clock and asking: then all others may get what came in since then once more, a burst at most.
//!
//! # Limits
//!
//! A [`RateLimit`] is a few words. A call that passes neither locks, unless the quota changes in that moment, nor allocates, unless
//! headers are asked for; the error of a refusal is allocated. A [`Keyed`] takes all of its memory when it is made, and keeps no key, but
//! a hash of it; a call takes the short lock of eight places. In the line of a [`Delay`] are no more calls than can be let through
//! within its bound. There is no task, and nothing to clean up.
//!
//! # Errors
//!
//! Refusals, as above. A [`Delay`] also refuses what could not come to its turn before its deadline, at once: `DeadlineExceeded`, of
//! the origin `NotSent`. Errors of the inner endpoint pass through as they are. [`Quota::per`] with a period that is none is an
//! [`InvalidQuota`], which shows it.
//!
//! # Events and log fields
//!
//! None in a log. An [`Observer`](kit_base::Observer), given by `observed_by`, is told; a closure `|event: &Event<'_>|` is one. It
//! is called on the path of a call, so it must neither block nor panic. The source is `ratelimit`, the key the limit's name.
//! [`Erroring`] and [`Delaying`] tell nothing.
//!
//! | event | of | |
//! |---|---|---|
//! | `refused` | all three | a call, each time |
//! | `would_refuse` | `RateLimit`, `Keyed` | in its place, with `observe_only` |
//! | `displaced` | `Keyed` | a bucket that was not full gave up its place to that of another key |
//! | `delayed` | `Delay` | a call waits; the amount is for how many seconds, as things are |
//! | `expired` | `Delay` | a call was refused, or has left the line, because of its deadline |
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `governor` | off | limiters of the crate `governor` as [`Allow`] and [`Wait`]; 21 crates |
//!
//! # Differences from Go kit
//!
//! - A limit is in this crate. Go kit has none of its own, and takes that of `x/time/rate`; [one page](coming_from_go_kit) has its methods
//!   and what each of them is here.
//! - A refusal has a status and a time to come back. Go kit's `ErrLimited` is an HTTP 500 unless one writes an encoder.
//! - Limits by key, because one bucket for all lets one client use up everybody's.
//! - Calls that wait are bounded, by time if they have no deadline; there the queue is as long as callers bring it.
//! - A call that an inner breaker refuses gets its token back, because it was not made.
//! - Costs are taken from the request; Go kit's interfaces know calls of one token only.
//!
//! # Why not governor underneath
//!
//! It is the same algorithm, and well made. But its limiter reads a clock of its own, where a stack of kit shares one reading; its
//! quota is fixed when it is made, while here it changes with the tokens kept; its keyed stores grow until they are cleaned; it cannot
//! take a token back; and those who wait have neither a line nor a bound. The arithmetic, the generic cell rate algorithm of
//! [ITU-T I.371](https://www.itu.int/rec/T-REC-I.371), is a page, and governor keeps its own private. Whoever has a limiter of
//! governor's can go on with it, by the feature.

mod allow;
mod bucket;
mod cost;
mod delay;
mod gcra;
#[cfg(feature = "governor")]
mod governor;
mod headers;
mod key;
mod keyed;
mod limit;
mod limited;
mod line;
mod passage;
mod places;
mod quota;
mod standing;
mod sync;
mod wait;
mod with_headers;

pub use allow::{Allow, Erroring};
pub use cost::{Cost, One};
pub use delay::{Delay, Delayed};
pub use key::{KeyOf, Network, OperationKey, PeerKey};
pub use keyed::{Keyed, KeyedPermit};
// What the plain case needs beside a limit, so that this crate alone is enough for it.
pub use kit_base::{Guard, Tower};
pub use limit::{Permit, RateLimit};
pub use limited::Limited;
pub use quota::{InvalidQuota, Quota};
pub use standing::Standing;
/// tower's `Layer`, whose `layer` method puts a [`Guard`] around an endpoint.
pub use tower_layer::Layer;
pub use wait::{DelayedBy, Delaying, Wait};
pub use with_headers::{Measure, WithHeaders};

#[doc = include_str!("../GOKIT.md")]
pub mod coming_from_go_kit {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
