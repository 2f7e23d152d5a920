//! Tests through the public interface.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod absurd;
mod basics;
mod bulkhead;
mod changes;
#[cfg(feature = "failsafe")]
mod failsafe;
mod fallback;
mod generations;
mod gobreaker;
mod handy;
mod hanging;
mod keyed;
mod laws;
mod model;
mod places;
mod probes;
mod support;
mod ticks;
