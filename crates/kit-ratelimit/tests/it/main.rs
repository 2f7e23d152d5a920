//! Tests through the public interface.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod absurd;
mod basics;
mod change;
mod delay;
mod events;
mod flood;
mod headers;
mod jumps;
mod keyed;
mod kinds;
mod laws;
mod model;
mod panics;
mod places;
mod shapes;
mod sharing;
mod support;
mod tables;
mod ticks;
