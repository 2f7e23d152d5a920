//! The gateway over the in-process registry and over a real Consul, called from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod registry;
