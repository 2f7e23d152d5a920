//! What can be seen of a circuit.

use std::fmt;
use std::time::Duration;

use crate::Tally;

/// What a circuit does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a dashboard must know them all")]
pub enum State {
    /// Lets them in, and counts how they go.
    Closed,
    /// Refuses them.
    Open,
    /// Lets some in, to see how they go.
    HalfOpen,
    /// Refuses them, because [somebody said so](crate::Breaker::force_open).
    ForcedOpen,
    /// Lets them in [whatever happens](crate::Breaker::force_closed).
    ForcedClosed,
    /// Lets them in, and is [switched off](crate::Breaker::disable).
    Disabled,
}

impl State {
    /// A stable lower-case name for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A circuit at one moment. Calls go on meanwhile, so the figures need not belong to exactly the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// What it does with calls.
    pub state: State,
    /// How long it will go on refusing, while open.
    pub open_for: Option<Duration>,
    /// Failures since the last success, while closed; counted whatever the rules.
    pub consecutive_failures: u32,
    /// The calls in the window, where a rate is measured; none of them unless closed.
    pub window: Option<Tally>,
    /// Probes that are under way, while half-open.
    pub probes: u32,
    /// Probes that have succeeded, while half-open.
    pub successes: u32,
    /// How often it has opened by itself, ever.
    pub opened: u64,
    /// Calls that it has refused, ever, forced or not.
    pub refused: u64,
    /// Failures that counted, ever, those of probes too.
    pub failures: u64,
}
