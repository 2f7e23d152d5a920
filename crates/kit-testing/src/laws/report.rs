//! What a check found.

use std::fmt;

use super::law::{Broken, Law};

/// What a check found. It prints what a reader needs: the law, what was seen, the steps, and how to play them again.
#[derive(Debug)]
#[must_use = "a report that nobody reads finds nothing: take `check`, or look at `findings`"]
pub struct Report {
    findings: Vec<Finding>,
    runs: u64,
}

impl Report {
    pub(crate) fn new(findings: Vec<Finding>, runs: u64) -> Self {
        Self { findings, runs }
    }

    /// What was found, the plainest first, and one finding for each law.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many runs were made, each with a new layer.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// The law that the plainest finding breaks.
    #[must_use]
    pub fn law(&self) -> Option<Law> {
        self.findings.first().map(Finding::law)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return write!(f, "no law was seen to be broken in {} runs", self.runs);
        }
        self.findings.iter().try_for_each(|finding| write!(f, "{finding}"))
    }
}

/// Steps that are printed, from the beginning and to the end. Some runs make thousands of calls.
const FIRST: usize = 60;
const LAST: usize = 40;

/// A law that was seen to be broken.
#[derive(Debug)]
pub struct Finding {
    broken: Broken,
    seed: String,
    steps: Vec<String>,
    can_be_replayed: bool,
}

impl Finding {
    pub(crate) fn new(broken: Broken, seed: String, steps: Vec<String>, can_be_replayed: bool) -> Self {
        Self { broken, seed, steps, can_be_replayed }
    }

    /// The law.
    #[must_use]
    pub fn law(&self) -> Law {
        self.broken.law
    }

    /// What was seen, in a sentence.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.broken.found
    }

    /// The name of the run, for [`Laws::replay`](super::Laws::replay).
    #[must_use]
    pub fn seed(&self) -> &str {
        &self.seed
    }

    /// What was done and seen, in order.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        &self.steps
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "law {:?}: {}", self.broken.law, self.broken.law)?;
        writeln!(f, "  but: {}", self.broken.found)?;
        let left_out = FIRST..self.steps.len().saturating_sub(LAST);
        for (number, step) in self.steps.iter().enumerate() {
            if number == left_out.start && !left_out.is_empty() {
                writeln!(f, "        ({} steps are left out here, and not in `steps`)", left_out.len())?;
            }
            if !left_out.contains(&number) {
                writeln!(f, "  {:>4}. {step}", number + 1)?;
            }
        }
        match self.can_be_replayed {
            true => writeln!(f, "  to see it again: .replay({:?})", self.seed),
            false => {
                writeln!(f, "  seen in a race of threads, which cannot be played again: .replay({:?}) tries", self.seed)
            }
        }
    }
}
