//! Tests through the public interface.

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
