//! The tests of kit-testing, in one binary.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

#[cfg(feature = "alloc")]
mod alloc;
mod backend;
mod clock;
mod http;
#[cfg(feature = "laws")]
mod laws;
#[cfg(target_os = "linux")]
mod memory;
mod mock;
#[cfg(target_os = "linux")]
mod net;
mod ports;
#[cfg(unix)]
mod process;
mod rerun;
mod temp;
mod tools;
