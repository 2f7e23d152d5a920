//! Adds up test results from what the test programs print.

/// What all test programs of a run reported together.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// How many test programs ended with a result line.
    pub(crate) programs: u64,
    pub(crate) failed_names: Vec<String>,
    pub(crate) ignored_names: Vec<String>,
    /// Lines by which a test says that it did not really run.
    pub(crate) skipped: Vec<String>,
}

impl Totals {
    /// Takes one line of output; lines that say nothing of results are left alone.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.programs += 1;
            for part in result.split(['.', ';']) {
                let mut words = part.split_whitespace();
                let count = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
                match words.next() {
                    Some("passed") => self.passed += count,
                    Some("failed") => self.failed += count,
                    Some("ignored") => self.ignored += count,
                    _ => {}
                }
            }
        } else if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) {
            if outcome.starts_with("FAILED") {
                self.failed_names.push(name.to_owned());
            } else if outcome.starts_with("ignored") {
                self.ignored_names.push(format!("{name} ({outcome})"));
            }
        } else if line.starts_with("skipped:") {
            self.skipped.push(line.to_owned());
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.programs += other.programs;
        self.failed_names.extend(other.failed_names);
        self.ignored_names.extend(other.ignored_names);
        self.skipped.extend(other.skipped);
    }

    /// A program that crashed, or did not compile, prints no result line; it still has failed.
    pub(crate) fn note_crash(&mut self) {
        if self.failed == 0 {
            self.failed = 1;
            self.failed_names.push("(a test program crashed or did not compile: see above)".to_owned());
        }
    }

    /// What failed, was ignored or skipped, by name, and last the line with the sums.
    pub(crate) fn report(&self) -> String {
        let mut text = String::new();
        let lists = [("failed", &self.failed_names), ("ignored, not run", &self.ignored_names)];
        for (what, names) in lists {
            for name in names {
                text.push_str(&format!("{what}: {name}\n"));
            }
        }
        for line in &self.skipped {
            text.push_str(&format!("{line}\n"));
        }
        if self.ignored > 0 || !self.skipped.is_empty() {
            text.push_str(&format!("{} ignored, {} skipped\n", self.ignored, self.skipped.len()));
        }
        text.push_str(&format!("{} passed, {} failed", self.passed, self.failed));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test deadline::a_deadline_in_the_past_is_refused ... ok
test deadline::garbage_is_named ... FAILED
test soak ... ignored, takes an hour
skipped: needs wrk; get it with `cargo xtask servers wrk`
test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.02s
   Doc-tests kit_base
test crates/kit-base/src/lib.rs - (line 12) ... ok
test result: ok. 41 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s";

    fn totals(output: &str) -> Totals {
        let mut totals = Totals::default();
        output.lines().for_each(|line| totals.read(line));
        totals
    }

    #[test]
    fn results_of_all_programs_are_added_up() {
        let totals = totals(OUTPUT);
        assert_eq!((totals.passed, totals.failed, totals.ignored, totals.programs), (42, 1, 1, 2));
    }

    #[test]
    fn what_failed_or_did_not_run_is_named_and_the_sums_are_a_line_of_their_own() {
        let report = totals(OUTPUT).report();
        assert!(report.contains("failed: deadline::garbage_is_named\n"), "{report}");
        assert!(report.contains("ignored, not run: soak (ignored, takes an hour)\n"), "{report}");
        assert!(report.contains("skipped: needs wrk"), "{report}");
        assert!(report.contains("1 ignored, 1 skipped\n"), "{report}");
        assert_eq!(report.lines().last(), Some("42 passed, 1 failed"));
    }

    #[test]
    fn a_crash_without_a_result_line_counts_as_a_failure() {
        let mut totals = totals("running 1 test");
        totals.note_crash();
        assert!(totals.report().ends_with("0 passed, 1 failed"));
    }
}
