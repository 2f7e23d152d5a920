//! Tests of kit-sd-consul, through its public interface.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod agent;
mod double;
mod empty;
mod entries;
mod failures;
mod fixture;
mod index;
mod owned;
mod proxy;
mod real;
mod registrar;
mod settings;
