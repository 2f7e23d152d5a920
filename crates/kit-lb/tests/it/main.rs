//! Tests of kit-lb, through its public interface.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod balanced;
mod connections;
mod hostile;
mod http;
mod laws;
mod per_instance;
mod random;
mod registry;
mod resting;
mod shares;
mod support;
mod swaps;
mod tonic;
mod unsent;
mod waiting;
mod whole;
