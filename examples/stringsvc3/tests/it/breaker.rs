//! The breaker of each instance: whoever fails is left alone, its calls go to the others, and it comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use kit_testing::backend::{Backend, Reply, Script};
use kit_testing::http::curl;
use kit_testing::process::Child;
use serde_json::{Value, json};

use crate::{call, start};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn well() -> Backend {
    Backend::start(Reply::json(json!({"v": "X"}).to_string())).await.unwrap()
}

pub(crate) async fn proxy(to: &[&Backend], args: &[&str]) -> (Child, String) {
    let list = to.iter().map(|backend| backend.addr().to_string()).collect::<Vec<_>>().join(",");
    let (child, url, _) = start(&[&["--proxy", &list], args].concat()).await;
    (child, url)
}

/// Whether the answer is right.
pub(crate) async fn is_answered(url: &str) -> bool {
    call(url, "uppercase", json!({"s": "x"})).await == (200, json!({"v": "X"}))
}

fn told(child: &Child, backend: &Backend, what: &str) -> usize {
    let line = format!("stringsvc3: {} {what}", backend.addr());
    child.stderr().lines().filter(|told| *told == line).count()
}

/// Waits until it has told so; what it says may take a moment to arrive.
async fn until_told(child: &Child, backend: &Backend, what: &str, times: usize) {
    let begun = Instant::now();
    while told(child, backend, what) < times {
        assert!(begun.elapsed() < PATIENCE, "{} {what}: {}", backend.addr(), child.stderr());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(told(child, backend, what), times, "{}", child.stderr());
}

const OPENED: &str = "fails, and is not asked for a while";
const CLOSED: &str = "is well again";

#[tokio::test]
async fn one_of_three_that_fails_or_hangs_is_left_alone_and_no_further_call_is_lost() {
    for bad in [Reply::status(503), Reply::status(500), Reply::hang(), Reply::reset()] {
        let (one, two, bad) = (well().await, well().await, Backend::start(bad).await.unwrap());
        let (child, url) = proxy(&[&one, &bad, &two], &["--proxy-timeout", "200ms"]).await;
        let mut lost = 0;
        for _ in 0..6 * 3 {
            lost += u32::from(!is_answered(&url).await);
        }
        assert_eq!((lost, bad.requests().len()), (6, 6), "{}", child.stderr());
        for _ in 0..60 {
            assert!(is_answered(&url).await);
        }
        assert_eq!(bad.requests().len(), 6);
        let shares = [one.requests().len(), two.requests().len()];
        assert!(shares.iter().all(|share| *share >= 24), "{shares:?}");
        until_told(&child, &bad, OPENED, 1).await;
        assert_eq!(told(&child, &one, OPENED), 0, "{}", child.stderr());
    }
}

#[tokio::test]
async fn errors_of_the_callers_do_not_trip_it() {
    let other = Backend::start(Reply::status(404)).await.unwrap();
    let (child, url) = proxy(&[&other], &[]).await;
    for _ in 0..20 {
        assert_eq!(call(&url, "uppercase", json!({"s": "x"})).await.0, 200);
    }
    assert_eq!((other.requests().len(), &*child.stderr()), (20, ""));
}

#[tokio::test]
async fn one_that_recovers_gets_calls_again_and_none_is_lost_on_the_way() {
    let ill = Arc::new(AtomicBool::new(true));
    let script = {
        let ill = ill.clone();
        Script::by(
            move |_| {
                if ill.load(SeqCst) { Reply::status(503) } else { Reply::json(json!({"v": "X"}).to_string()) }
            },
        )
    };
    let (one, two, sick) = (well().await, well().await, Backend::start(script).await.unwrap());
    let (child, url) = proxy(&[&one, &sick, &two], &["--open-for", "300ms"]).await;
    let begun = Instant::now();
    while told(&child, &sick, OPENED) == 0 {
        is_answered(&url).await;
        assert!(begun.elapsed() < PATIENCE, "{}", child.stderr());
    }
    ill.store(false, SeqCst);
    let before = sick.requests().len();
    let begun = Instant::now();
    while sick.requests().len() < before + 10 {
        assert!(is_answered(&url).await, "{}", child.stderr());
        assert!(begun.elapsed() < PATIENCE, "{}", child.stderr());
    }
    until_told(&child, &sick, CLOSED, 1).await;
}

/// So many calls at once, and how many of them are lost.
async fn lost_of(calls: usize, url: &str) -> usize {
    let calls: Vec<_> = (0..calls)
        .map(|_| {
            let url = url.to_owned();
            tokio::spawn(async move { is_answered(&url).await })
        })
        .collect();
    let mut lost = 0;
    for call in calls {
        lost += usize::from(!call.await.unwrap());
    }
    lost
}

/// One of many is the probe, and those that it keeps out are answered by the other instance.
#[tokio::test]
async fn while_a_probe_hangs_the_calls_beside_it_go_to_the_others() {
    let (one, sick) = (well().await, Backend::start(Reply::hang()).await.unwrap());
    let (child, url) = proxy(&[&one, &sick], &["--open-for", "300ms", "--proxy-timeout", "1s"]).await;
    assert_eq!(lost_of(12, &url).await, 6);
    until_told(&child, &sick, OPENED, 1).await;
    tokio::time::sleep(Duration::from_millis(301)).await;
    assert_eq!((lost_of(8, &url).await, sick.requests().len()), (1, 7), "{}", child.stderr());
    until_told(&child, &sick, OPENED, 2).await;
}

#[tokio::test]
async fn where_all_refuse_the_answer_is_503_and_says_when_to_come_back() {
    let backends = [Reply::status(503), Reply::status(503), Reply::hang()];
    let [one, two, three] = backends.map(Backend::start);
    let backends = [one.await.unwrap(), two.await.unwrap(), three.await.unwrap()];
    let (child, url) = proxy(&backends.each_ref()[..], &["--proxy-timeout", "100ms"]).await;
    for _ in 0..6 * 3 {
        let (status, reply) = call(&url, "uppercase", json!({"s": "x"})).await;
        assert!(status == 200 && reply["err"].is_string(), "{status} {reply}");
    }
    for _ in 0..5 {
        let json = ["-H", "content-type: application/json", "-d", r#"{"s":"x"}"#];
        let answer = curl(json.into_iter().chain([&*format!("{url}/uppercase")])).await.unwrap();
        assert_eq!(answer.status(), 503);
        let after: u32 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((30..=60).contains(&after), "{after}");
        let problem: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(
            (&problem["kind"], &problem["reason"]),
            (&json!("UNAVAILABLE"), &json!("CIRCUIT_OPEN")),
            "{problem}"
        );
    }
    assert!(backends.iter().all(|backend| backend.requests().len() == 6), "{}", child.stderr());
    assert_eq!(call(&url, "count", json!({"s": "hello"})).await, (200, json!({"v": 5})));
}

#[test]
fn a_time_that_makes_no_sense_is_refused() {
    let args = ["--proxy", "127.0.0.1:1", "--http-addr", "127.0.0.1:0", "--open-for", "0s"];
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stringsvc3")).args(args).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("open_for must be"), "{stderr}");
}
