//! The tests of kit-endpoint: one binary, one module for each concern.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod answer;
mod compile_fail;
mod compose;
mod deadline;
mod derive;
mod failer;
mod finish;
mod laws;
mod per_operation;
mod service;
mod support;
