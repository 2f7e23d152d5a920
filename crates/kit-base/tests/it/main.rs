//! The tests of kit-base, through its public interface.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod adapter;
mod allocations;
mod answers;
mod backoff;
mod binding;
mod bodies;
mod cells;
mod classify;
mod clocks;
mod contexts;
mod deadlines;
mod discovery;
mod error_types;
mod errors;
mod gates;
mod kinds;
mod laws;
mod messages;
mod operations;
mod outside;
mod panics;
mod sharing;
mod streams;
mod support;
mod tuples;
mod verdicts;

/// Counts for [`allocations`]; elsewhere it is the system's allocator and two additions.
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;
