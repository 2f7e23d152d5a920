//! Load balancing over live discovery: one connection an instance, balanced endpoints and whole services, picks that never wait.
//!
//! For programs that call a service with several instances: whoever finds them (an [`Instancer`](kit_base::Instancer): Consul, DNS, a
//! fixed list) and whatever calls them (kit's clients, an endpoint, a tower service). Not for finding them, nor for retries of calls
//! that may have begun, circuit breakers or limits: those go around the balancer, or around each connection.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use kit_base::{Endpoint, Error, Instance, Request, Response};
//! use kit_lb::{Endpointer, Registry, RoundRobin};
//!
//! /// What calls one instance: kit's `GrpcClient` or `HttpClient`, say. Here an endpoint that names its instance.
//! struct Connection(String);
//!
//! impl Endpoint<Request<()>> for Connection {
//!     type Response = Response<String>;
//!     type Error = Error;
//!
//!     async fn call(&self, _: Request<()>) -> Result<Response<String>, Error> {
//!         Ok(Response::new(self.0.clone()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let registry = Registry::new();
//! registry.insert(Instance::new("addsvc-1", "10.0.0.7:8082"));
//! registry.insert(Instance::new("addsvc-2", "10.0.0.8:8082"));
//!
//! // The live set: an instancer, and what makes the connection to an instance.
//! let set = Endpointer::new(registry, |instance: &Instance| Ok::<_, Infallible>(Connection(instance.address.clone())));
//!
//! // An endpoint over it.
//! let balanced = set.balanced_by(RoundRobin::new());
//! let mut answers = Vec::new();
//! for _ in 0..3 {
//!     answers.push(balanced.call(Request::new(())).await?.into_message());
//! }
//! assert_eq!(answers, ["10.0.0.7:8082", "10.0.0.8:8082", "10.0.0.7:8082"]);
//! assert_eq!(set.snapshot().members[0].calls, 2);
//! # Ok(())
//! # }
//! ```
//!
//! # A whole service
//!
//! Where the connections are clients, the balancer is a client too. All methods share one set, and one connection and one record an
//! instance:
//!
//! ```text
//! let set = Endpointer::new(instancer, |instance: &Instance| GrpcClient::new(format!("http://{}", instance.address)));
//! let add = AddEndpoints::connect(&set.balancer());
//! let reply = add.sum(&cx, SumRequest { a: 1, b: 2 }).await?;
//! ```
//!
//! # Services that know nothing of kit
//!
//! [`Endpointer::services`] takes tower services on `http` types as connections, tonic's channels say, and
//! [`Balancer::into_http_service`] makes one of the balancer, for clients that tonic has generated. [`At`] makes a client of many
//! hosts (`reqwest::Client`) the connection to one instance.
//!
//! Such services do not give back requests that were not sent, so nothing is taken to another instance; but what
//! refuses connections rests, by [`ByCause`].
//!
//! # Choices
//!
//! | choice | the next call goes to | weights |
//! |---|---|---|
//! | [`LeastLoaded`], the default | of two by chance, the one with fewer calls in flight | regarded |
//! | [`RoundRobin`] | the next in the order of the ids, as in Go kit | 0 or not |
//! | [`Random`] | any, by chance | 0 or not |
//! | [`Weighted`] | any, by its share of the weights | regarded |
//! | a [`Choice`] of yours | | |
//!
//! An instance with the weight 0 gets no calls, and keeps its connection. A stream is a call until it has been read to its end
//! or dropped.
//!
//! # Behaviour
//!
//! - **The set** follows discovery: what it tells is what can be called, and nothing else takes an instance out. When discovery
//!   fails, the last known set stays; its error and its age are in the [`SetSnapshot`].
//! - **Connections** are made by the factory, one an instance, and kept while the instance keeps id, address, scheme and server
//!   name. One that could not be made is tried again with growing pauses ([`Settings::retry`]) while the others serve. One whose
//!   instance is gone is dropped when the last call on it has ended: what runs is never cut.
//! - **Picks** never wait, neither for an update nor for a lock; between the caller and the connection there is no worker
//!   and no queue. A call before anything is known waits for it, within its deadline and within
//!   [`Settings::first_wait`]; it never waits later.
//! - **Instances that cannot be reached.** A call that surely did not begin ([`Origin::NotSent`](kit_base::Origin::NotSent), and
//!   `Unavailable`) is taken to another instance, three in all and to none twice, if the client gave the request
//!   back ([`Error::take_unsent`](kit_base::Error::take_unsent); kit's clients do, and so messages need not be `Clone`). What may have
//!   begun is never done twice. The instance rests: it is passed over for 100 ms, twice as long each time that it is tried in
//!   vain after a rest, up to 30 s, each time cut by chance by up to a half. One that asks for calm (`ResourceExhausted` or
//!   `Unavailable` with a retry-after, from the peer or from a breaker or limit around its connection) rests for that time, up to
//!   30 s. The choice is asked four times for one that does not rest, then the next one in the order of the ids is
//!   taken; where the next 64 rest too, one that rests is called all the same.
//! - **Gates around one instance.** What a breaker or a limit around the connection refuses (`Unavailable` or `ResourceExhausted`, of the
//!   origin [`LocalRefusal`](kit_base::Origin::LocalRefusal)) is taken to another instance too, if the request came back: put them there
//!   with [`PerInstance`]. What a plain `Guard` refuses is lost with its request, one call for each rest.
//! - **Cancellation.** Dropping the future of a call, or its stream, cancels it, and it is no longer in flight.
//! - **Clones** of an [`Endpointer`], a [`Balancer`] or a [`Registry`] are handles on the same. When the last handle of a set is
//!   gone, its task ends, and so does the instancer; streams that are being read go on.
//! - **Time** is tokio's, so paused time works in tests.
//!
//! # Limits
//!
//! There are no queues, and nothing is kept of an instance that is gone. Each connection keeps one endpoint for each method that was
//! called through it, of 256 methods; those of further ones are made for each call. Waiting calls are bounded by [`Settings::first_wait`].
//!
//! # Errors
//!
//! Those of the connection pass through unchanged. Without an instance a call fails as `Unavailable`, not sent, with the text
//! `no endpoints available` and the reason: the service has no instances; the registry does not know the service, or cannot be
//! asked (its error is the source); no instance can be connected (the last failure is the source); every instance has the weight 0;
//! the choice takes none. The request is in the error, for a retry or a balancer of several to
//! [take](kit_base::Error::take_unsent). When the deadline passes before anything is known, it is `DeadlineExceeded`.
//!
//! # Events and log fields
//!
//! [`Settings::observer`] is told, with the source `lb` and the instance's id as the key:
//!
//! | event | |
//! |---|---|
//! | `added` | a connection was made |
//! | `connect_failed` | the factory failed or panicked; it will be tried again |
//! | `removed` | discovery no longer tells of the instance |
//!
//! # Where it stands in a stack
//!
//! The balancer stands inside of what holds for the call as a whole (deadline, retry), and outside of what holds for one instance
//! (breaker, limit, the attempt's own time limit): put those around the connection in the factory, gates with [`PerInstance`].
//!
//! # Differences from Go kit
//!
//! - Go kit's `Endpointer` holds endpoints of one method; here a set is shared by all methods of a service.
//! - A failed factory is tried again; a connection is let go when its calls have ended, also when the set is dropped.
//! - The calls before the first set wait for it, instead of failing with `no endpoints available`.
//! - The default regards load. Go kit has round robin and random only.
//! - `InvalidateOnError` is the instancer's business: it says when the last set is too old.
//! - `lb.Retry` is not here: only calls that did not begin are taken elsewhere.

mod alias;
mod answering;
mod at;
mod balancer;
mod candidate;
mod cell;
mod changes;
mod choice;
mod connect;
mod endpointer;
mod fixed;
mod keeper;
mod merge;
mod methods;
mod none;
mod per_instance;
mod record;
mod registry;
mod services;
mod set;
mod settings;
mod snapshot;
mod swap;

pub use answering::Answering;
pub use at::At;
pub use balancer::{Balancer, Picked};
pub use candidate::Candidate;
pub use changes::{Change, Changes};
pub use choice::{Choice, LeastLoaded, Random, RoundRobin, Weighted};
pub use connect::Method;
pub use endpointer::Endpointer;
pub use fixed::Fixed;
pub use per_instance::{Gated, PerInstance};
pub use record::Record;
pub use registry::{Registered, Registry};
pub use services::ByCause;
pub use set::{Set, Two};
pub use settings::Settings;
pub use snapshot::{Member, SetSnapshot};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
