//! The gateway over the in-process registry and over a real Consul, called from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../../crates/kit-sd-consul/tests/it/agent.rs"]
#[allow(dead_code, reason = "it serves the tests of kit-sd-consul too")]
mod agent;
mod breaker;
mod consul;
mod outage;
mod programs;
mod registry;
