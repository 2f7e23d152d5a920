//! Tests of kit-transport-grpc, through its public interface.

mod added;
mod generated;
mod health;
mod one_port;
mod places;
mod support;
mod unary;
