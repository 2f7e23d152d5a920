//! Consul discovery for kit: who serves now, kept through outages, and a registration that comes back.

mod address;
mod call;
mod consul;
mod env;
mod error;
mod meta;
mod token;

pub use consul::Consul;
pub use error::InvalidSetting;
pub use token::Token;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
