//! Consul discovery for kit: who serves now, kept through outages, and a registration that comes back.

mod address;
mod call;
mod check;
mod consul;
mod env;
mod error;
mod keeper;
mod meta;
mod passing;
mod plan;
mod registrar;
mod registration;
mod service;
mod token;

pub use check::Check;
pub use consul::Consul;
pub use error::InvalidSetting;
pub use registrar::ConsulRegistrar;
pub use registration::{ConsulRegistration, RegistrationState};
pub use token::Token;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
