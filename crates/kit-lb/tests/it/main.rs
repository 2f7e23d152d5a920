//! Tests of kit-lb, through its public interface.

mod balanced;
mod http;
mod support;
mod tonic;
