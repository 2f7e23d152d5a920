//! addcli behind its breaker: what it prints, and what reaches the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use addsvc::{Add, AddError, Adder, ConcatReply, ConcatRequest, SumReply, SumRequest};
use kit_base::{Context, Error};
use kit_testing::backend::{Backend, Reply};

use crate::{At, addcli, serve, serve_grpc, told};

/// What the service does with a call.
#[derive(Clone, Copy, Debug)]
enum Does {
    Add,
    Hang,
    Fail,
}

/// Counts what reaches it.
#[derive(Clone)]
struct Counting {
    calls: Arc<AtomicUsize>,
    does: Does,
}

impl Counting {
    async fn called(&self) -> Result<(), AddError> {
        self.calls.fetch_add(1, SeqCst);
        match self.does {
            Does::Add => Ok(()),
            Does::Hang => std::future::pending().await,
            Does::Fail => Err(AddError::Other(Error::unavailable("out for lunch"))),
        }
    }
}

impl Add for Counting {
    async fn sum(&self, cx: &Context, req: SumRequest) -> Result<SumReply, AddError> {
        self.called().await?;
        Adder.sum(cx, req).await
    }

    async fn concat(&self, cx: &Context, req: ConcatRequest) -> Result<ConcatReply, AddError> {
        self.called().await?;
        Adder.concat(cx, req).await
    }
}

/// The service over HTTP and over gRPC, each with the number of its calls.
async fn both(does: Does) -> [(At, Arc<AtomicUsize>); 2] {
    let service = || Counting { calls: Arc::default(), does };
    let (one, other) = (service(), service());
    let (one_calls, other_calls) = (one.calls.clone(), other.calls.clone());
    [(serve(one).await, one_calls), (serve_grpc(other).await, other_calls)]
}

/// Ten lines: six failures of this text, then four refusals that say when to come back.
fn six_fail_and_four_are_refused(stderr: &str, failure: &str, within: std::ops::RangeInclusive<u32>) {
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), 10, "{stderr}");
    assert!(lines[..6].iter().all(|line| line.starts_with(failure)), "{stderr}");
    for line in &lines[6..] {
        let after = line.strip_prefix("error: UNAVAILABLE: circuit breaker is open, retry in ").unwrap_or_else(|| {
            panic!("{line} in {stderr}");
        });
        let after: u32 = after.strip_suffix('s').unwrap().parse().unwrap();
        assert!(within.contains(&after), "{stderr}");
    }
}

#[tokio::test]
async fn after_six_failures_calls_are_refused_and_do_not_reach_the_service() {
    for (at, calls) in both(Does::Fail).await {
        let output = addcli(at, ["--breaker", "1", "2"]).await;
        let (code, stdout, stderr) = told(&output);
        assert_eq!((code, stdout), (Some(1), ""));
        six_fail_and_four_are_refused(stderr, "error: UNAVAILABLE: out for lunch", 20..=30);
        assert_eq!(calls.load(SeqCst), 6, "{at:?}");
        // Go kit's client gives concat less time.
        let output = addcli(at, ["--breaker", "--method", "concat", "a", "b"]).await;
        six_fail_and_four_are_refused(told(&output).2, "error: UNAVAILABLE: out for lunch", 1..=10);
        assert_eq!(calls.load(SeqCst), 12, "{at:?}");
    }
}

#[tokio::test]
async fn an_answer_of_503_by_whomever_trips_it() {
    let backend = Backend::start(Reply::status(503)).await.unwrap();
    let output = addcli(At("--http-addr", backend.addr()), ["--breaker", "1", "2"]).await;
    six_fail_and_four_are_refused(told(&output).2, "error: UNAVAILABLE: ", 20..=30);
    assert_eq!(backend.requests().len(), 6);
}

#[tokio::test]
async fn a_service_that_was_killed_trips_it() {
    for flag in ["--http-addr", "--grpc-addr"] {
        let nobody = kit_testing::ports::listener().unwrap().local_addr().unwrap();
        let output = addcli(At(flag, nobody), ["--breaker", "1", "2"]).await;
        let (code, stdout, stderr) = told(&output);
        assert_eq!((code, stdout), (Some(1), ""));
        six_fail_and_four_are_refused(stderr, "error: UNAVAILABLE: cannot connect", 20..=30);
    }
}

/// The breaker stands around what keeps the deadline; the other way round it would see callers that leave, which is no failure.
#[tokio::test]
async fn a_service_that_hangs_trips_it_and_then_nobody_waits_for_it() {
    for (at, calls) in both(Does::Hang).await {
        let begun = Instant::now();
        let output = addcli(at, ["--breaker", "--times", "1006", "--timeout", "100ms", "1", "2"]).await;
        let took = begun.elapsed();
        let stderr = told(&output).2;
        let waited = stderr.lines().take_while(|line| line.starts_with("error: DEADLINE_EXCEEDED: ")).count();
        let refused = stderr.lines().filter(|line| line.contains(": circuit breaker is open, retry in ")).count();
        assert_eq!((waited, refused, calls.load(SeqCst)), (6, 1000, 6), "{at:?}");
        // A thousand calls that wait would take 100 s.
        assert!(took >= Duration::from_millis(600) && took < Duration::from_secs(20), "{took:?}");
    }
}

#[tokio::test]
async fn errors_of_the_services_own_do_not_trip_it() {
    for (at, calls) in both(Does::Add).await {
        for (a, b, error) in
            [("0", "0", "error: can't sum two zeroes\n"), ("2147483647", "1", "error: integer overflow\n")]
        {
            let before = calls.load(SeqCst);
            let output = addcli(at, ["--breaker", "--times", "20", a, b]).await;
            assert_eq!(told(&output), (Some(1), "", &*error.repeat(20)));
            assert_eq!(calls.load(SeqCst) - before, 20, "{at:?}");
        }
    }
}

#[tokio::test]
async fn where_all_goes_well_it_prints_all_and_leaves_with_zero() {
    for (at, calls) in both(Does::Add).await {
        let output = addcli(at, ["--breaker", "1", "2"]).await;
        assert_eq!(told(&output), (Some(0), &*"1 + 2 = 3\n".repeat(10), ""));
        assert_eq!(calls.load(SeqCst), 10);
        let output = addcli(at, ["--breaker", "--times", "2", "--method", "concat", "a", "b"]).await;
        assert_eq!(told(&output), (Some(0), &*"\"a\" + \"b\" = \"ab\"\n".repeat(2), ""));
    }
}

#[tokio::test]
async fn one_failure_among_answers_is_told_and_is_the_exit_code() {
    let answer = || Reply::json(r#"{"v":3}"#);
    let backend = Backend::start([answer(), Reply::status(503), answer()]).await.unwrap();
    let output = addcli(At("--http-addr", backend.addr()), ["--breaker", "--times", "4", "1", "2"]).await;
    let (code, stdout, stderr) = told(&output);
    assert_eq!((code, stdout, stderr.lines().count()), (Some(1), &*"1 + 2 = 3\n".repeat(3), 1), "{stderr}");
}

#[tokio::test]
async fn without_it_every_call_reaches_the_service() {
    for (at, calls) in both(Does::Fail).await {
        let begun = Instant::now();
        let output = addcli(at, ["--times", "10", "--pause", "20ms", "1", "2"]).await;
        assert_eq!((told(&output).0, told(&output).2.lines().count()), (Some(1), 10));
        assert_eq!(calls.load(SeqCst), 10, "{at:?}");
        assert!(begun.elapsed() >= Duration::from_millis(9 * 20));
    }
}

#[tokio::test]
async fn help_tells_of_it() {
    let at = serve(Adder).await;
    let output = addcli(at, ["--help"]).await;
    let (code, stdout, _) = told(&output);
    assert_eq!(code, Some(0));
    for told in ["--breaker", "--times <N>", "--pause <DURATION>", "six failures in a row"] {
        assert!(stdout.contains(told), "no {told} in {stdout}");
    }
    let never = addcli(at, ["--times", "0", "1", "2"]).await;
    assert_eq!(told(&never).0, Some(1));
}
