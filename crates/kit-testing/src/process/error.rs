//! What can go wrong with a child process.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// A program could not be started.
#[derive(Debug)]
pub struct SpawnError {
    pub(super) program: String,
    pub(super) source: io::Error,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start `{}`", self.program)
    }
}

impl Error for SpawnError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// A program did not do what the test waited for. Its text ends with all that the program has said.
///
/// `Debug` shows the same text, so that `unwrap` in a test is readable.
pub struct WaitError {
    pub(super) program: String,
    pub(super) what: String,
    /// Nothing when the program had ended.
    pub(super) timeout: Option<Duration>,
    pub(super) output: String,
}

impl WaitError {
    /// Whether the time passed; else the program had ended.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.timeout.is_some()
    }

    /// What the program had said, stdout and stderr, in order of arrival.
    #[must_use]
    pub fn output(&self) -> &str {
        &self.output
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, what, timeout, output } = self;
        match timeout {
            Some(timeout) => write!(f, "waited {timeout:?} in vain for {what} of `{program}`")?,
            None => write!(f, "`{program}` ended before {what} came")?,
        }
        if output.is_empty() { f.write_str("; it said nothing") } else { write!(f, "; it said:\n{output}") }
    }
}

impl fmt::Debug for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for WaitError {}
