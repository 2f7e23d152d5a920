//! The tests of kit-testing, in one binary.

#[cfg(feature = "alloc")]
mod alloc;
mod backend;
mod clock;
mod http;
mod mock;
mod ports;
#[cfg(unix)]
mod process;
mod rerun;
mod temp;
mod tools;
