//! What a process needs at most while something is done to it, measured in a process of its own.

#![cfg(target_os = "linux")]

use std::process::Command;

/// Set in the processes that [`alone`] starts.
const ALONE: &str = "KIT_SERVE_TEST_ALONE";

/// Whether this process runs this test only. If not, it starts such a process and waits for its success.
pub(super) fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(" 1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    false
}

/// KiB that this process holds at most from here on.
pub(super) struct Growth(u64);

impl Growth {
    pub(super) fn new() -> Self {
        // Sets the high-water mark back to what is held now.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Self(status("VmRSS:"))
    }

    /// KiB above what was held at first.
    pub(super) fn most(&self) -> u64 {
        status("VmHWM:").saturating_sub(self.0)
    }
}

fn status(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
