//! The limit of each instance: what is too much for one goes to the others, and nobody takes it for a failure.

use std::time::{Duration, Instant};

use kit_testing::backend::{Backend, Reply};
use kit_testing::http::curl;
use serde_json::{Value, json};

use crate::breaker::{is_answered, proxy, well};

const PATIENCE: Duration = Duration::from_secs(20);

/// Calls until an answer is 429, and gives `Retry-After` and the problem.
async fn until_429(url: &str) -> (u64, Value) {
    let begun = Instant::now();
    loop {
        let json = ["-H", "content-type: application/json", "-d", r#"{"s":"x"}"#];
        let answer = curl(json.into_iter().chain([&*format!("{url}/uppercase")])).await.unwrap();
        if answer.status() == 429 {
            let after = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            return (after, serde_json::from_slice(answer.body()).unwrap());
        }
        assert!(answer.status() == 200 && begun.elapsed() < PATIENCE, "{answer:?}");
    }
}

#[tokio::test]
async fn each_has_its_own_and_where_all_have_enough_the_answer_is_429_and_says_when_to_come_back() {
    let (one, two, begun) = (well().await, well().await, Instant::now());
    let (child, url) = proxy(&[&one, &two], &["--proxy-qps", "3"]).await;
    for _ in 0..6 {
        assert!(is_answered(&url).await, "{}", child.stderr());
    }
    let (after, problem) = until_429(&url).await;
    assert_eq!(
        (after, &problem["kind"], &problem["reason"]),
        (1, &json!("RESOURCE_EXHAUSTED"), &json!("RATE_LIMITED"))
    );
    let most = 3.0 + 3.0 * begun.elapsed().as_secs_f64();
    for asked in [one.requests().len(), two.requests().len()] {
        assert!(asked >= 3 && asked as f64 <= most, "{asked}, {most}");
    }
}

/// Of the two, one may be asked in the first half of each second, and one in the other half.
#[tokio::test]
async fn what_is_too_much_for_one_goes_to_the_other() {
    let (one, two) = (well().await, well().await);
    let (_child, url) = proxy(&[&one, &two], &["--proxy-qps", "1"]).await;
    let half = Duration::from_millis(500);
    for n in 0..5 {
        assert!(is_answered(&url).await);
        // A call that both refuse changes whose turn it is. On a slow machine it is answered, and then both need their second.
        if n > 0 && is_answered(&url).await {
            tokio::time::sleep(half).await;
        }
        tokio::time::sleep(half).await;
    }
}

#[tokio::test]
async fn what_the_limit_refuses_does_not_trip_the_breaker() {
    let other = well().await;
    let (child, url) = proxy(&[&other], &["--proxy-qps", "1"]).await;
    // A breaker that counted them would have opened at the sixth.
    for _ in 0..12 {
        until_429(&url).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(is_answered(&url).await);
    assert_eq!(&*child.stderr(), "");
}

/// Nor does it close one that counts, or keep it from opening.
#[tokio::test]
async fn failures_between_refusals_trip_it_as_ever() {
    let bad = Backend::start(Reply::status(503)).await.unwrap();
    let (child, url) = proxy(&[&bad], &["--proxy-qps", "4"]).await;
    let begun = Instant::now();
    while !child.stderr().contains("fails, and is not asked for a while") {
        is_answered(&url).await;
        assert!(begun.elapsed() < PATIENCE, "{}", child.stderr());
    }
    assert_eq!(bad.requests().len(), 6);
}

#[test]
fn no_calls_at_all_are_refused_as_a_limit_and_the_help_tells_the_usual_one() {
    let program = env!("CARGO_BIN_EXE_stringsvc3");
    let output = std::process::Command::new(program).args(["--proxy-qps", "0"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && stderr.contains("'0' for '--proxy-qps <N>'"), "{stderr}");
    let output = std::process::Command::new(program).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let told = help.split_once("--proxy-qps <N>").unwrap().1;
    assert!(told.contains("[default: 100]"), "{help}");
}
