//! What a process needs at most while something is done to it (Linux).

use std::process::Command;
use std::{env, fs, io};

/// Set in the processes that [`alone`] starts.
const ALONE: &str = "KIT_TEST_ALONE";

/// Whether this process runs this test only. If not, it starts such a process of the same program, waits for it, and returns
/// false, so that the test returns at once: its work has been done, without other tests whose memory would be counted too.
///
/// The test is named by its path within its program, as cargo prints it.
///
/// ```no_run
/// use kit_testing::memory::{Growth, alone};
///
/// # fn serve_a_thousand() {}
/// // #[test]
/// fn a_thousand_are_cheap() {
///     if !alone("a_thousand_are_cheap") {
///         return;
///     }
///     let growth = Growth::new();
///     serve_a_thousand();
///     assert!(growth.most() < 16 << 20, "{} bytes", growth.most());
/// }
/// ```
///
/// # Panics
///
/// When the test fails in its process, with all that it printed; when there is no such test; when no process can be started.
#[must_use]
pub fn alone(test: &str) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let run = || {
        let arguments = ["--exact", test, "--nocapture", "--include-ignored"];
        Command::new(env::current_exe()?).args(arguments).env(ALONE, "1").output()
    };
    let output = or_panic(run());
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains(" 1 passed"), "{test} failed on its own:\n{text}{errors}");
    false
}

/// How much more memory this process has held at some time than when this was made: resident pages, so with all that
/// allocators keep, and with what the tests of the same process need at the time (see [`alone`]). A program has one at a time:
/// a new one sets the mark of the process back.
#[derive(Debug)]
pub struct Growth {
    before: u64,
}

impl Growth {
    /// Begins to measure.
    ///
    /// # Panics
    ///
    /// When the kernel does not tell, or is not Linux.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it changes the state of the process")]
    pub fn new() -> Self {
        // Sets the high-water mark to what is held now.
        or_panic(fs::write("/proc/self/clear_refs", "5"));
        Self { before: status("VmRSS:") }
    }

    /// The most bytes above what was held at first.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[must_use]
    pub fn most(&self) -> u64 {
        status("VmHWM:").saturating_sub(self.before)
    }
}

/// Bytes in a line of what the kernel knows of this process.
fn status(line: &str) -> u64 {
    let status = or_panic(fs::read_to_string("/proc/self/status"));
    let found = status.lines().find_map(|found| found.strip_prefix(line));
    let kib = found.and_then(|found| found.trim().trim_end_matches(" kB").parse::<u64>().ok());
    or_panic(kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other(format!("no {line} in /proc/self/status"))))
}

fn or_panic<T>(done: io::Result<T>) -> T {
    done.unwrap_or_else(|error| panic!("memory cannot be measured: {error}"))
}
