//! Consul discovery for kit: who serves now, kept through outages, and a registration that comes back.

mod address;
mod call;
mod consul;
mod entry;
mod env;
mod error;
mod expiry;
mod floor;
mod health;
mod instancer;
mod meta;
mod query;
mod token;
mod watch;

pub use consul::Consul;
pub use error::InvalidSetting;
pub use instancer::ConsulInstancer;
pub use query::ServiceQuery;
pub use token::Token;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
