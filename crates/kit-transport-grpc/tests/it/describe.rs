//! Descriptors of messages, and the text of `.proto` files.

mod errors;
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic, clippy::allow_attributes_without_reason, dead_code, unreachable_pub, reason = "prost-build wrote it")]
mod generated;
mod names;
mod prost_build;
#[allow(deprecated, reason = "what is deprecated is sent too")]
mod random;
mod sets;
mod support;
#[allow(deprecated, reason = "what is deprecated is described too")]
mod zoo;
