//! The tests of kit-base, through its public interface.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod classify;
mod clocks;
mod error_types;
mod gates;
mod kinds;
mod sharing;
mod support;
mod tuples;
mod verdicts;
