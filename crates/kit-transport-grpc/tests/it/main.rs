//! Tests of kit-transport-grpc, through its public interface.

mod added;
mod from_tonic;
mod generated;
mod health;
mod into_tonic;
mod one_port;
mod places;
mod support;
mod unary;
