//! Tests of kit-lb, through its public interface.

mod balanced;
mod connections;
mod http;
mod laws;
mod random;
mod registry;
mod support;
mod tonic;
mod unsent;
mod waiting;
mod whole;
