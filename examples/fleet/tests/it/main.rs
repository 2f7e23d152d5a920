//! A fleet of real backends under constant load: restarted one after the other, killed, and back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod kill;
mod load;
mod rolling;

use std::path::Path;

use fleet::Backend;

/// Five backends, `addsvc-1` to `addsvc-5`, whose calls take 5 ms each.
fn five() -> Vec<Backend> {
    let program = Path::new(env!("CARGO_BIN_EXE_fleet"));
    (1..=5).map(|n| Backend::start(program, &format!("addsvc-{n}"), &["--latency", "5ms"]).unwrap()).collect()
}
