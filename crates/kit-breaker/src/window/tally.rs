//! What a window has counted.

/// How many calls there were in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Those that counted: successes and failures.
    pub calls: u32,
    /// The failures among them.
    pub failures: u32,
    /// The slow ones among them; 0 without a limit for slow calls.
    pub slow: u32,
}
