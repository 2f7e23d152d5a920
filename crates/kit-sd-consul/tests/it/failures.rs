//! What subscribers see while Consul fails: the last set, the error and the age; and then the fresh set.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit_base::{Backoff, Event, Instancer, Instances, Kind};
use kit_sd_consul::Consul;
use kit_testing::backend::{Backend, Reply};
use kit_testing::ports::free_port;
use tokio::time::Instant;

use crate::agent::client;
use crate::double::{answer, consul, entry, fails, found, ids, quick, shows, until};

#[tokio::test(start_paused = true)]
async fn through_every_failure_the_last_set_stays_with_error_and_age_and_the_fresh_one_follows() {
    let limit = 4000;
    let endless = Reply::ok().header("x-consul-index", "8").body("[".repeat(limit + 1));
    for (name, reply, kind, text) in [
        (
            "500",
            Reply::status(500).body("No cluster leader"),
            Kind::Unavailable,
            "500 Internal Server Error: No cluster",
        ),
        ("403", Reply::status(403).body("Permission denied"), Kind::PermissionDenied, "Permission denied"),
        ("400", Reply::status(400).body("bad filter"), Kind::InvalidArgument, "bad filter"),
        ("429", Reply::status(429), Kind::ResourceExhausted, "429"),
        ("EOF", Reply::close(), Kind::Unavailable, "broke off before"),
        ("reset", Reply::reset(), Kind::Unavailable, "broke off before"),
        ("no HTTP", Reply::raw("SSH-2.0-OpenSSH\r\n"), Kind::Unavailable, "broke off before"),
        ("half", found(8, &["x"]).truncate(20), Kind::Unavailable, "broke off within"),
        ("stalled body", found(8, &["x"]).stall(20), Kind::DeadlineExceeded, "did not end its answer within 200ms"),
        ("hang", Reply::hang(), Kind::DeadlineExceeded, "did not answer within 306.25ms"),
        ("too large", endless, Kind::ResourceExhausted, "over 4000 bytes"),
        ("no JSON", Reply::ok().header("x-consul-index", "8").body("<html>"), Kind::DataLoss, "an answer that is none"),
        ("an object", answer(8, &entry("x")), Kind::DataLoss, "an answer that is none"),
        ("all odd", answer(8, &serde_json::json!([1, {}])), Kind::DataLoss, "an answer that is none"),
        (
            "filtered",
            answer(8, &serde_json::json!([])).header("x-consul-results-filtered-by-acls", "true"),
            Kind::PermissionDenied,
            "may not see",
        ),
        ("redirect", Reply::status(301), Kind::FailedPrecondition, "redirects are not followed"),
    ] {
        let well = found(8, &["b"]);
        let backend = Backend::start([found(7, &["a"]), reply, well.after(Duration::from_millis(50))]).await.unwrap();
        let agent = consul(backend.addr()).response_limit(limit);
        let agent = agent.head_timeout(Duration::from_millis(200)).body_timeout(Duration::from_millis(200));
        let query = quick(&agent).wait(Duration::from_millis(100)).max_staleness(Duration::from_secs(3600));
        let watch = query.watch().unwrap();
        let mut changes = watch.subscribe();
        let good = shows(&mut changes, &["a"]).await;
        let (bad, error) = fails(&mut changes).await;
        assert_eq!((ids(&bad), bad.since), (ids(&good), good.since), "{name}");
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(text), "{name}: {error}");
        shows(&mut changes, &["b"]).await;
    }
}

#[tokio::test]
async fn an_agent_that_refuses_connections_is_an_error_at_once_and_found_when_it_comes() {
    let port = free_port().unwrap();
    let watch = quick(&consul(port.addr())).watch().unwrap();
    let mut changes = watch.subscribe();
    let (snapshot, error) = fails(&mut changes).await;
    assert_eq!((ids(&snapshot), snapshot.since), (vec!["pending".to_owned()], None));
    assert!(error.to_string().contains("cannot connect to consul at http://127.0.0.1:"), "{error}");
    let _backend = Backend::start_at(port.addr(), [found(7, &["a"]), Reply::hang()]).await.unwrap();
    shows(&mut changes, &["a"]).await;
}

#[tokio::test]
async fn a_redirect_to_another_host_is_no_answer() {
    let other = Backend::start(found(9, &["fake"])).await.unwrap();
    let away = Reply::status(307).header("location", &format!("{}/v1/health/service/addsvc", other.url()));
    let backend = Backend::start(away).await.unwrap();
    let follows = Consul::new(client(), &backend.addr().to_string()).unwrap();
    let watch = quick(&follows).watch().unwrap();
    let (snapshot, error) = fails(&mut watch.subscribe()).await;
    assert_eq!(ids(&snapshot), ["pending"]);
    assert!(error.to_string().contains("redirected to"), "{error}");
}

#[tokio::test]
async fn a_set_older_than_the_greatest_age_is_forgotten_and_the_error_stays() {
    let backend = Backend::start([found(7, &["a"]), Reply::status(500)]).await.unwrap();
    let watch = quick(&consul(backend.addr()))
        .wait(Duration::from_millis(300))
        .max_staleness(Duration::from_millis(400))
        .watch()
        .unwrap();
    let mut changes = watch.subscribe();
    let good = shows(&mut changes, &["a"]).await;
    let forgotten = until(&mut changes, |snapshot| snapshot.instances == Instances::Pending).await;
    assert!(good.since.unwrap().elapsed() >= Duration::from_millis(400));
    assert!(forgotten.error.is_some());
}

#[tokio::test]
async fn a_query_that_waits_makes_no_set_too_old() {
    let backend = Backend::start([found(7, &["a"]), Reply::hang()]).await.unwrap();
    let watch = quick(&consul(backend.addr()))
        .wait(Duration::from_millis(80))
        .max_staleness(Duration::from_millis(100))
        .watch()
        .unwrap();
    let mut changes = watch.subscribe();
    shows(&mut changes, &["a"]).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(ids(&changes.current()), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_says_when_to_come_back_is_not_asked_before() {
    let later = Reply::status(503).header("retry-after", "1");
    let backend = Backend::start([later, found(7, &["a"]), Reply::hang()]).await.unwrap();
    let watch = quick(&consul(backend.addr())).watch().unwrap();
    let begun = Instant::now();
    shows(&mut watch.subscribe(), &["a"]).await;
    assert!(begun.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn an_answer_of_a_server_without_leader_is_shown_with_its_age_and_an_error() {
    let old = Reply::json(serde_json::json!([entry("b")]).to_string())
        .header("x-consul-index", "8")
        .header("x-consul-knownleader", "false")
        .header("x-consul-lastcontact", "90000");
    let backend = Backend::start([found(7, &["a"]), old, Reply::hang()]).await.unwrap();
    let watch = quick(&consul(backend.addr())).stale().watch().unwrap();
    let (snapshot, error) = fails(&mut watch.subscribe()).await;
    assert_eq!(ids(&snapshot), ["b"]);
    assert!(error.to_string().contains("no leader"), "{error}");
    assert!(snapshot.since.unwrap().elapsed() >= Duration::from_secs(90));
    assert!(backend.requests()[0].uri().query().unwrap().contains("stale"));
}

#[tokio::test(start_paused = true)]
async fn after_a_success_the_pauses_begin_anew() {
    let failure = || Reply::status(500);
    let backend = Backend::start([
        failure(),
        failure(),
        failure(),
        failure(),
        found(7, &["a"]),
        failure(),
        found(8, &["b"]),
        Reply::hang(),
    ]);
    let backend = backend.await.unwrap();
    let pauses = Backoff::new(Duration::from_secs(1), Duration::from_secs(60)).unwrap().with_jitter(0.0).unwrap();
    let watch = consul(backend.addr()).service("addsvc").backoff(pauses).watch().unwrap();
    let mut changes = watch.subscribe();
    let begun = Instant::now();
    shows(&mut changes, &["a"]).await;
    assert!(begun.elapsed() >= Duration::from_secs(1 + 2 + 4 + 8), "{:?}", begun.elapsed());
    let begun = Instant::now();
    shows(&mut changes, &["b"]).await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_happens_is_told() {
    let backend =
        Backend::start([found(7, &["a"]), found(5, &["a"]), found(6, &[]), found(8, &["a", "b"]), Reply::status(500)]);
    let backend = backend.await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let events = told.clone();
    let observer = move |event: &Event<'_>| {
        assert_eq!((event.source, event.key), ("consul", "addsvc"));
        events.lock().unwrap().push((event.what, event.amount as usize));
    };
    let query = quick(&consul(backend.addr()))
        .wait(Duration::from_millis(200))
        .max_staleness(Duration::from_millis(300))
        .observer(observer);
    let watch = query.watch().unwrap();
    let mut changes = watch.subscribe();
    until(&mut changes, |snapshot| snapshot.since.is_some() && snapshot.instances == Instances::Pending).await;
    drop(watch);
    let mut told = told.lock().unwrap().clone();
    told.dedup();
    // The full query after the reset is the empty one.
    let updated = |count| ("updated", count);
    let wanted = [updated(1), ("reset", 1), ("doubted", 1), updated(2), ("failed", 1), ("expired", 1)];
    assert_eq!(told[..wanted.len()], wanted);
}
