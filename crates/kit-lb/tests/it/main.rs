//! Tests of kit-lb, through its public interface.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod balanced;
mod shares;
mod support;
mod swaps;
