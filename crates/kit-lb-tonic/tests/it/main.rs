//! Tests of kit-lb-tonic: stock generated clients over the channel, and tonic's own servers.

mod backend;
mod balanced;
mod empty;
mod ends;
