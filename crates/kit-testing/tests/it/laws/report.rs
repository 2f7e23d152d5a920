//! What a user reads: the report, and the words for what cannot be checked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use kit_base::Endpoint;
use kit_testing::laws::{Breaker, Fault, Inner, Law, Laws};
use tower_layer::{Identity, layer_fn};

/// Loses every answer: what comes out is the same error each time.
struct Loses(Inner);

impl Endpoint<kit_base::Request<u64>> for Loses {
    type Response = kit_base::Response<u64>;
    type Error = Fault;

    async fn call(&self, request: kit_base::Request<u64>) -> Result<Self::Response, Fault> {
        self.0.call(request).await?;
        Err(kit_base::Error::internal("lost").into())
    }
}

fn loses() -> Laws {
    Laws::endpoint(|_| layer_fn(Loses)).refusing()
}

#[test]
fn a_report_names_the_law_what_was_seen_the_steps_and_the_seed() {
    let report = loses().report();
    let finding = &report.findings()[0];
    assert_eq!((report.law(), finding.law()), (Some(Law::RefusedStayOut), Law::RefusedStayOut));
    assert_eq!(finding.seed(), "answers/0");
    assert_eq!(finding.steps().len(), 5, "{report}");
    let text = report.to_string();
    for part in [
        "law RefusedStayOut: what is refused never reaches the inner service\n",
        "  but: call 1 was refused (INTERNAL: lost), and was inside\n",
        "     1. call 1 is made\n",
        "     4. inner call 0 (of call 1) answers\n",
        "  to see it again: .replay(\"answers/0\")\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn a_check_panics_with_the_report_and_a_good_layer_passes() {
    let message = panic_of(|| loses().check());
    assert!(message.starts_with("the layer breaks a law\n\nlaw RefusedStayOut"), "{message}");
    let report = Laws::service(|_| Identity::new()).report();
    assert!(report.findings().is_empty());
    assert_eq!(report.to_string(), format!("no law was seen to be broken in {} runs", report.runs()));
}

#[test]
fn only_the_run_with_the_seed_is_played_again() {
    assert_eq!(loses().replay("answers/0").report().runs(), 1);
    let runs = |seeds| Laws::service(|_| Identity::new()).seeds(seeds).without_threads().report().runs();
    assert_eq!(runs(60) - runs(7), 53);
}

/// A broken layer with thousands of steps: the middle is left out in print.
#[test]
fn a_long_report_is_printed_short() {
    let lopsided = Laws::endpoint(|_| layer_fn(|inner: Inner| inner.node(0))).selecting([1, 1]);
    let report = lopsided.report();
    let finding = &report.findings()[0];
    assert_eq!(finding.law(), Law::Spread);
    assert!(finding.steps().len() > 200, "{} steps", finding.steps().len());
    let text = finding.to_string();
    assert!(text.lines().count() < 110, "{} lines", text.lines().count());
    assert!(text.contains("steps are left out here"), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let laws = || Laws::service(|_| Identity::new()).refusing();
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    let breaker = Breaker { failures: 3, open_for: second, probes: 1 };
    let no_probes = Breaker { probes: 0, ..breaker };
    for (nonsense, words) in [
        (laws().at_most(0), "`at_most(0)` cannot be checked: declare 1 to 64"),
        (laws().at_most(65), "`at_most(65)` cannot be checked: declare 1 to 64"),
        (
            laws().quota(0, second),
            "a quota of 0 calls per 1s cannot be checked: declare 1 to 64 calls, and up to a day",
        ),
        (
            laws().quota(3, Duration::ZERO),
            "a quota of 3 calls per 0ns cannot be checked: declare 1 to 64 calls, and up to a day",
        ),
        (laws().retrying(1), "1 attempts cannot be checked: declare 2 to 64"),
        (laws().selecting([]), "there is nothing to select with the weights []: declare one over 0"),
        (laws().selecting([0, 0]), "there is nothing to select with the weights [0, 0]: declare one over 0"),
        (laws().selecting([70, 30]), "the weights [70, 30] are over 64 in all: declare the same in smaller numbers"),
        (
            laws().selecting([1, 0]).skips_unready(),
            "`skips_unready` needs others to choose: declare `selecting` with two weights over 0",
        ),
        (
            laws().gives_up_after(day * 2),
            "`gives_up_after(172800s)` cannot be checked: declare more than 0, up to a day",
        ),
        (
            laws().breaks(no_probes),
            "Breaker { failures: 3, open_for: 1s, probes: 0 } cannot be checked: declare numbers of 1 to 64, and up to a day",
        ),
        (laws().pass_through().at_most(3), "what passes through limits nothing: declare `refusing` or `waiting` too"),
        (
            laws().at_most(3).quota(3, second),
            "`at_most`, `quota` and `breaks` are checked one at a time: check the layers of a stack apart, and the stack with \
             one of them",
        ),
        (
            laws().retrying(3).breaks(breaker),
            "a limit around or inside of what retries or selects cannot be told apart from it: check the two layers apart, \
             and the stack without the limit",
        ),
        (
            Laws::endpoint(|_| Identity::new()).refusing().sheds(),
            "an endpoint has no readiness that `sheds` could see: declare it of a tower service",
        ),
        (laws().replay("answer/0"), "no run has the seed \"answer/0\": take that of a finding, such as \"drops/3\""),
        (laws().replay("answers/x"), "no run has the seed \"answers/x\": take that of a finding, such as \"drops/3\""),
        (
            laws().replay("answers/99"),
            "no run has the seed \"answers/99\": take that of a finding, such as \"drops/3\"",
        ),
        (
            laws().replay("threads/0").without_threads(),
            "no run has the seed \"threads/0, without threads\": take that of a finding, such as \"drops/3\"",
        ),
    ] {
        assert_eq!(panic_of(|| drop(nonsense.report())), words);
    }
}

#[tokio::test]
async fn a_check_inside_of_a_runtime_says_where_to_call_it() {
    let message = panic_of(|| Laws::service(|_| Identity::new()).check());
    assert_eq!(message, "a check has a runtime of its own: call it in a plain `#[test]`, not in a `#[tokio::test]`");
}

/// An index that is out of bounds when a call is dropped.
struct BadDrop(Inner);

struct Counted(usize);

impl Drop for Counted {
    fn drop(&mut self) {
        // A second panic while one is under way ends the process, which is for no checker to mend.
        assert!(self.0 < 3 || std::thread::panicking(), "no counter {}", self.0);
    }
}

impl Endpoint<kit_base::Request<u64>> for BadDrop {
    type Response = kit_base::Response<u64>;
    type Error = Fault;

    async fn call(&self, request: kit_base::Request<u64>) -> Result<Self::Response, Fault> {
        let mut counted = Counted(3);
        let answer = self.0.call(request).await;
        counted.0 = 0;
        answer
    }
}

#[test]
fn a_panic_when_a_call_is_dropped_is_a_finding_too() {
    let report = Laws::endpoint(|_| layer_fn(BadDrop)).report();
    assert_eq!(report.law(), Some(Law::NoPanic), "{report}");
    assert!(report.findings()[0].found().contains("no counter 3"), "{report}");
}

/// The message of a panic.
fn panic_of(code: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(code)).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
}
