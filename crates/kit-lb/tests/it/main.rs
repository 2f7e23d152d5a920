//! Tests of kit-lb, through its public interface.

mod balanced;
mod connections;
mod laws;
mod random;
mod registry;
mod support;
mod unsent;
mod waiting;
mod whole;
