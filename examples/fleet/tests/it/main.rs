//! A fleet of real backends under constant load: restarted one after the other, killed, and back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod consul;
mod demo;
mod kill;
mod load;
mod rolling;

use std::path::Path;

use fleet::Backend;

/// Five backends, `addsvc-1` to `addsvc-5`, whose calls take so long.
fn five(latency: &str) -> Vec<Backend> {
    (1..=5).map(|n| start(&format!("addsvc-{n}"), &["--latency", latency])).collect()
}

fn start(name: &str, args: &[&str]) -> Backend {
    Backend::start(Path::new(env!("CARGO_BIN_EXE_fleet")), name, args).unwrap()
}
