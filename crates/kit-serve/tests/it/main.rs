//! The tests of kit-serve, through its public interface and real sockets.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod adapters;
mod ages;
mod events;
mod frames;
mod hostile;
mod http2_rules;
mod keepalive;
mod limits;
mod listeners;
mod load;
mod nginx;
mod peers;
mod problems;
mod proxies;
mod rates;
#[cfg(feature = "signal")]
mod signals;
mod stops;
mod support;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
mod upgrades;
mod wire;
