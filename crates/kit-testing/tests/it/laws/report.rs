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
    assert_eq!(loses().seeds(7).report().findings().len(), 1);
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
    let laws = || Laws::service(|_| Identity::new());
    let breaker = Breaker { failures: 3, open_for: Duration::from_secs(1), probes: 0 };
    for (nonsense, words) in [
        (laws().at_most(0), "`at_most(0)` lets nobody in: declare 1 or more"),
        (laws().quota(0, Duration::from_secs(1)), "a quota of 0 calls per 1s is none: declare both over 0"),
        (laws().quota(3, Duration::ZERO), "a quota of 3 calls per 0ns is none: declare both over 0"),
        (laws().retrying(1), "1 attempts are no retry: declare 2 or more"),
        (laws().selecting([]), "there is nothing to select with the weights []: declare one over 0"),
        (laws().selecting([0, 0]), "there is nothing to select with the weights [0, 0]: declare one over 0"),
        (laws().gives_up_after(Duration::ZERO), "`gives_up_after` no time is no call at all: declare more than 0"),
        (
            laws().breaks(breaker),
            "Breaker { failures: 3, open_for: 1s, probes: 0 } is no circuit breaker: declare all three over 0",
        ),
        (laws().replay("answer/0"), "no run has the seed \"answer/0\": take that of a finding, such as \"drops/3\""),
        (
            laws().replay("answers/0x1"),
            "no run has the seed \"answers/0x1\": take that of a finding, such as \"drops/3\"",
        ),
        (
            laws().replay("answers/9999"),
            "no run has the seed \"answers/9999\": take that of a finding, such as \"drops/3\"",
        ),
    ] {
        assert_eq!(panic_of(|| drop(nonsense.report())), words);
    }
}

/// The message of a panic.
fn panic_of(code: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(code)).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
}
