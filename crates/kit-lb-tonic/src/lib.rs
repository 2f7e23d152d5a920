//! Live discovery for tonic's balanced channels: any kit instancer feeds `Channel::balance_channel`.
//!
//! For programs whose clients tonic has generated, and who want only to know where the servers are: [`balance_channel`] is a
//! `Channel` over the instances that Consul, DNS, etcd or whatever else a kit instancer asks knows of. The balancing is tonic's; for
//! kit's, which regards load and weights and rests what cannot be reached, see kit-lb: generated clients use it as well.
//!
//! ```
//! use kit_base::Instance;
//! use kit_lb_tonic::{balance_channel, endpoint};
//! use tonic::Code;
//! use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?.to_string();
//! # let (_reporter, health) = tonic_health::server::health_reporter();
//! # let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
//! # tokio::spawn(tonic::transport::Server::builder().add_service(health).serve_with_incoming(incoming));
//! // In a program this comes from a crate kit-sd-*.
//! let registry = kit_lb::Registry::new();
//! registry.insert(Instance::new("health-1", address));
//!
//! let channel = balance_channel(registry.clone(), endpoint);
//! let mut client = HealthClient::new(channel);
//! let answer = client.check(HealthCheckRequest::default()).await?;
//! assert_eq!(answer.into_inner().status, 1);
//!
//! // Without an instance calls fail, where tonic's channel alone would let them wait for ever.
//! registry.remove("health-1");
//! while client.check(HealthCheckRequest::default()).await.is_ok() {}
//! let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
//! assert_eq!(status.code(), Code::Unavailable);
//! # Ok(())
//! # }
//! ```
//!
//! The factory, here [`endpoint`], is a closure `|instance: &Instance| -> Result<tonic::transport::Endpoint, E>`: the place for
//! TLS, limits of time, keep-alive and the user agent.
//!
//! # Behaviour
//!
//! - **An instance that comes** is inserted, one that goes is removed. One that is reached in another way than before (address,
//!   scheme, server name) is removed and inserted. Zone, tags and metadata change nothing.
//! - **Weights** are not regarded, since tonic has none; an instance of the weight 0, which means no calls, is left out.
//! - **Before the first set is known** calls wait, at most for [`Settings::first_wait`] from the making of the channel (5 s by
//!   default). **While there is no instance** after that (the set is empty, the registry does not know the service or could not be
//!   asked from the first on, no endpoint can be made), calls fail at once: `Unavailable`, with tonic's text for a connection that
//!   was refused. For that the channel gets an endpoint at which nobody can be, `http://127.0.0.1:0`, since tonic itself lets
//!   them wait for ever.
//! - **Where the registry fails** later on, the last good set stays; when the instancer ends, the last set does.
//! - **A factory that fails** or panics is tried again with growing pauses, and its instance is left out meanwhile.
//! - **Clones** of the channel share everything. A task feeds it; it ends, and the instancer with it, when the last clone is
//!   dropped.
//! - **Bounded**: the channel lags behind by 64 changes at most; beyond that only the newest set is kept.
//!
//! # What to know of tonic's balanced channel
//!
//! - It takes changes only while it is called: one that is idle keeps the connections of instances that are gone
//!   (tower-rs/tower#824), and connects to new ones with the next call. So a change that was just made may be seen by the call after
//!   the next one.
//! - It knows no load: each ready instance is as likely as any other (grpc/grpc-rust#1231).
//! - An instance that is down, and that discovery has not removed yet, fails its share of the calls, since for tonic a
//!   connection that was refused is ready to fail a call (grpc/grpc-rust#643, #2839). kit-lb rests it after the first one.
//! - One that drops packets (a pod that is gone) is not called while it is being connected, and fails one call after each
//!   [connect time-out](tonic::transport::Endpoint::connect_timeout), of which tonic has none by itself; [`endpoint`] has 5 s. A
//!   connection that goes silent later on is found by
//!   [keep-alive](tonic::transport::Endpoint::http2_keep_alive_interval) only, which is off by default, since many servers punish
//!   it.
//! - A deadline (`Request::set_timeout`) counts from when an instance has been chosen, and its end arrives as `Cancelled`. For one
//!   that also bounds the wait for the first set, put tokio's `timeout` around the call.
//!
//! # Errors
//!
//! Those of tonic. [`endpoint`] fails where the address of an instance is none.
//!
//! # Events
//!
//! An observer ([`balance_channel_with`]) gets `added`, `removed` and `connect_failed` from the source `lb`, with the id of the
//! instance as the key. The crate logs nothing.
//!
//! # Differences from Go kit
//!
//! Go kit has no such bridge: its `sd.Endpointer` calls its own balancers over one `grpc.ClientConn` an instance. As there, an
//! instance that stays keeps its connection; unlike there a factory that fails is tried again, and the set does not go empty when
//! the registry fails.

mod balance;
mod feed;

pub use balance::{balance_channel, balance_channel_with, endpoint};
pub use kit_lb::Settings;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
