//! Blocking queries by the book: what the index of an answer makes of the next query, and how many there are.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use kit_base::Instancer;
use kit_testing::backend::{Backend, Reply, Script};
use tokio::time::sleep;

use crate::double::{answer, consul, entry, fails, found, ids, parameter, quick, shows, until};

/// The parameter `index` of each request so far.
fn indexes(backend: &Backend) -> Vec<String> {
    let requests = backend.requests();
    requests.iter().map(|request| parameter(request.uri(), "index").unwrap_or("none").to_owned()).collect()
}

#[tokio::test]
async fn the_first_query_does_not_wait_and_each_further_one_waits_with_the_index_of_the_last() {
    let backend = Backend::start([found(7, &["a"]), found(9, &["a", "b"]), Reply::hang()]).await.unwrap();
    let watch = quick(&consul(backend.addr())).watch().unwrap();
    let mut changes = watch.subscribe();
    assert_eq!(ids(&changes.current()), ["pending"]);
    shows(&mut changes, &["a", "b"]).await;
    let requests = backend.received(3).await;
    assert_eq!(indexes(&backend), ["none", "7", "9"]);
    assert_eq!(requests[0].uri().path(), "/v1/health/service/addsvc");
    assert_eq!(parameter(requests[0].uri(), "wait"), None);
    assert_eq!(parameter(requests[1].uri(), "wait"), Some("60000ms"));
    assert!(requests.iter().all(|request| parameter(request.uri(), "passing").is_none()));
}

#[tokio::test]
async fn an_answer_with_the_same_index_renews_the_age_of_the_set() {
    let backend = Backend::start([found(7, &["a"]), found(7, &["a"]).after(Duration::from_millis(200)), Reply::hang()]);
    let backend = backend.await.unwrap();
    let watch = quick(&consul(backend.addr())).watch().unwrap();
    let mut changes = watch.subscribe();
    let first = shows(&mut changes, &["a"]).await.since.unwrap();
    backend.received(3).await;
    assert!(changes.current().since.unwrap() >= first + Duration::from_millis(150));
    assert_eq!(indexes(&backend), ["none", "7", "7"]);
}

#[tokio::test]
async fn an_index_that_goes_back_is_not_believed_before_a_full_query_says_the_same() {
    // As after the loss of a leader's data: then the whole set, by the new indexes.
    let backend = Backend::start([
        found(90, &["a", "b"]),
        found(5, &["old"]),
        found(6, &["b"]).after(Duration::from_millis(300)),
        Reply::hang(),
    ]);
    let backend = backend.await.unwrap();
    let watch = quick(&consul(backend.addr())).watch().unwrap();
    let mut changes = watch.subscribe();
    shows(&mut changes, &["a", "b"]).await;
    let next = until(&mut changes, |snapshot| ids(snapshot) != ["a", "b"]).await;
    assert_eq!(ids(&next), ["b"]);
    backend.received(4).await;
    assert_eq!(indexes(&backend), ["none", "90", "none", "6"]);
}

#[tokio::test]
async fn an_index_of_zero_or_none_at_all_is_an_error_and_never_waited_with() {
    let none = Reply::json("[]");
    let backend = Backend::start([found(7, &["a"]), found(0, &[]), none, found(8, &["b"]), Reply::hang()]);
    let backend = backend.await.unwrap();
    let watch = quick(&consul(backend.addr())).watch().unwrap();
    let mut changes = watch.subscribe();
    let good = shows(&mut changes, &["a"]).await;
    let (bad, error) = fails(&mut changes).await;
    assert_eq!((ids(&bad), bad.since), (ids(&good), good.since));
    assert!(error.to_string().contains("X-Consul-Index"), "{error}");
    shows(&mut changes, &["b"]).await;
    backend.received(5).await;
    assert_eq!(indexes(&backend), ["none", "7", "none", "none", "8"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_older_query_does_not_win() {
    let late = found(99, &["late"]).after(Duration::from_millis(600));
    let backend = Backend::start([found(7, &["a"]), late, found(8, &["b"]), Reply::hang()]).await.unwrap();
    let consul = consul(backend.addr()).head_timeout(Duration::from_millis(100));
    let watch = quick(&consul).wait(Duration::from_millis(100)).watch().unwrap();
    let mut changes = watch.subscribe();
    shows(&mut changes, &["a"]).await;
    let (kept, _) = fails(&mut changes).await;
    assert_eq!(ids(&kept), ["a"]);
    shows(&mut changes, &["b"]).await;
    // The connection of the old query is gone, and its answer with it.
    backend.until_abandoned(1).await;
    sleep(Duration::from_millis(700)).await;
    assert_eq!(ids(&changes.current()), ["b"]);
}

async fn requests_in_ten_minutes(script: impl Into<Script>) -> usize {
    requests_in(Duration::from_secs(600), script).await
}

/// The time passes at once, since nothing else is waited for. Where none passes, it ends at a thousand.
async fn requests_in(time: Duration, script: impl Into<Script>) -> usize {
    let backend = Backend::start(script).await.unwrap();
    let watch = consul(backend.addr()).service("addsvc").watch().unwrap();
    tokio::select! {
        () = sleep(time) => {}
        _ = backend.received(1000) => {}
    }
    drop(watch);
    backend.requests().len()
}

#[tokio::test(start_paused = true)]
async fn an_index_that_advances_at_once_for_ever_costs_a_request_a_second() {
    let index = AtomicU64::new(1);
    let count = requests_in_ten_minutes(Script::by(move |_| found(index.fetch_add(1, Relaxed), &["a"]))).await;
    assert!((300..=605).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn the_same_index_at_once_for_ever_costs_a_request_a_second() {
    let count = requests_in_ten_minutes(found(7, &["a"])).await;
    assert!((300..=605).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn an_index_that_goes_up_and_down_for_ever_costs_a_request_a_second() {
    let index = AtomicU64::new(0);
    let count = requests_in_ten_minutes(Script::by(move |_| found(9 - index.fetch_add(1, Relaxed) % 2, &["a"]))).await;
    assert!((300..=605).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_empty_at_once_for_ever_costs_a_request_a_second() {
    let first = AtomicU64::new(0);
    let script = Script::by(move |_| if first.fetch_add(1, Relaxed) == 0 { found(7, &["a"]) } else { found(8, &[]) });
    let count = requests_in_ten_minutes(script).await;
    assert!((300..=605).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn failures_for_ever_cost_at_most_nine_requests_a_minute() {
    for (name, reply) in [
        ("500", Reply::status(500)),
        ("403", Reply::status(403)),
        ("redirect", Reply::status(301).header("location", "/v1/other")),
        ("index zero", found(0, &["a"])),
        ("garbage", answer(7, &entry("a"))),
        ("end of file", Reply::close()),
        ("reset", Reply::reset()),
        ("half a body", found(7, &["a"]).truncate(10)),
        ("a body that stops", found(7, &["a"]).stall(10)),
        ("silence", Reply::hang()),
    ] {
        let count = requests_in_ten_minutes(reply).await;
        assert!((10..=90).contains(&count), "{name}: {count}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_in_the_first_minute_cost_at_most_fourteen_requests() {
    for _ in 0..50 {
        let count = requests_in(Duration::from_secs(60), Reply::status(500)).await;
        assert!((9..=14).contains(&count), "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_at_rest_is_asked_once_a_minute() {
    let script = Script::by(|request| match parameter(request.uri(), "index") {
        Some(_) => found(7, &["a"]).after(Duration::from_secs(62)),
        None => found(7, &["a"]),
    });
    let count = requests_in_ten_minutes(script).await;
    assert!((9..=12).contains(&count), "{count}");
}
