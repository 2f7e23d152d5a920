//! Live discovery for tower's balancers: any kit instancer as tower's `Discover`.
//!
//! For programs that balance by tower and want only to know where the instances are: [`Discovered`] feeds tower's p2c
//! balancer from Consul, DNS, etcd or whatever else a kit instancer asks. It is not a balancer: kit's own is kit-lb, which needs
//! no `Buffer`, regards weights, rests what cannot be reached, and never waits for an update.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use kit_base::Instance;
//! use kit_lb_tower::Discovered;
//! use tower::balance::p2c::Balance;
//! use tower::load::{CompleteOnResponse, PendingRequestsDiscover};
//! use tower::{BoxError, ServiceExt, buffer::Buffer, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! // In a program this comes from a crate kit-sd-*.
//! let instancer = kit_lb::Fixed::at(["10.0.0.7:8081"]);
//! let discovered = Discovered::new(instancer, |instance: &Instance| {
//!     let address = instance.address.clone();
//!     // In a program this is a client of that address.
//!     Ok::<_, Infallible>(service_fn(move |name: &'static str| {
//!         let answer = format!("{name} from {address}");
//!         async move { Ok::<_, BoxError>(answer) }
//!     }))
//! });
//!
//! let by_load = PendingRequestsDiscover::new(discovered, CompleteOnResponse::default());
//! let balanced = Buffer::new(Balance::new(by_load), 1024);
//! assert_eq!(balanced.oneshot("hello").await?, "hello from 10.0.0.7:8081");
//! # Ok(())
//! # }
//! ```
//!
//! # Behaviour
//!
//! - **Keys** are the ids of the instances, as `Arc<str>`: the balancer clones its keys for each call.
//! - **An instance that comes** is an `Insert`, one that goes a `Remove`. One that is reached in another way than before
//!   (address, scheme, server name) is a `Remove` and an `Insert` with a new service. Zone, tags and metadata change nothing.
//! - **Weights** are not regarded, since tower's balancers have none; an instance of the weight 0, which means no calls, is not
//!   told of.
//! - **Changes that pile up** while nobody asks are told as their sum, new instances first; only the newest set is kept.
//! - **Where the registry fails** the last good set stays; when the instancer ends, the last set does. The stream never ends, and
//!   never fails: tower's `Balance` passes an error of its `Discover` to every caller.
//! - **A factory that fails** or panics is tried again with growing pauses, and its instance is left out meanwhile.
//! - **Dropping** the stream ends the instancer that was given. It has no task of its own.
//!
//! # What to know of tower's balancers
//!
//! - `Balance` takes changes only while it is called. One that is idle keeps the connections of instances that are gone, and
//!   begins to connect to new ones with the next call (tower-rs/tower#824).
//! - While the set is empty, or no service in it is ready, calls wait in the `Buffer`, for as long as their callers do: give them
//!   a limit of time around it. kit-lb fails them at once, as `Unavailable`, after a first wait.
//! - A service whose `poll_ready` fails is dropped, and does not come back before its instance is told of anew. Let services be
//!   ready and fail their calls instead, as tonic's channels and hyper-util's clients do.
//! - A service that fails quickly looks idle, and so gets more calls: `Balance` goes by load alone.
//!
//! # Errors
//!
//! There are none.
//!
//! # Events
//!
//! An observer ([`Discovered::with`]) gets `added`, `removed` and `connect_failed` from the source `lb`, with the id of the
//! instance as the key. The crate logs nothing.
//!
//! # Differences from Go kit
//!
//! Go kit has no such bridge: its `sd.Endpointer` calls its own balancers. As there, an instance that stays keeps what the
//! factory made; unlike there a factory that fails is tried again, and the set does not go empty when the registry fails.

mod discovered;

pub use discovered::Discovered;
pub use kit_lb::Settings;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
