//! One of five is killed while discovery knows nothing of it, and comes back where it was.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kit_lb::Registry;

use crate::client::{Client, Grpc, Http, Transport, instance, until};
use crate::five;
use crate::load::{CALLERS, Load, NOTICES};

/// A machine that is busy with other tests may hold up what is quick by itself.
const SLACK: Duration = Duration::from_secs(5);

async fn killed<C: Transport>() {
    let (mut backends, registry) = (five("20ms"), Registry::new());
    backends.iter().for_each(|backend| registry.insert(instance(backend)));
    let client = Client::<C>::new(registry.clone());
    let load = Load::start(client.service());
    for backend in &backends {
        client.until_answers(backend.name(), 10).await;
    }
    let victim = &mut backends[2];
    let name = victim.name().to_owned();
    let others: Vec<String> = (1..=5).map(|n| format!("addsvc-{n}")).filter(|other| *other != name).collect();
    until("calls in flight", || client.member(&name).is_some_and(|member| member.in_flight > 1)).await;
    let before = Instant::now();
    victim.kill().unwrap();
    let killed = Instant::now();

    // The others go on, and the dead one is passed over.
    until("the dead one to rest", || client.member(&name).is_some_and(|member| member.resting)).await;
    let (dead_since, calls) = (Instant::now(), client.member(&name).unwrap().calls);
    for other in &others {
        client.until_answers(other, 100).await;
    }
    let (dead_for, tried) = (dead_since.elapsed(), client.member(&name).unwrap().calls - calls);

    // It is back at its address, and nobody tells.
    victim.restart().unwrap();
    let back = Instant::now();
    client.until_answers(&name, 10).await;
    let used_again = back.elapsed();
    let report = load.end().await;

    // A rest is at most twice as long as all rests before it together, and 0.1 s.
    let dead = back - killed;
    assert!(used_again < 2 * dead + SLACK, "used {used_again:?} after it was back, having been dead for {dead:?}");
    // Whenever it has rested, it is tried by those who call at that moment (the callers, and some at the fixed rate), until the
    // first of them is refused.
    let rests = 2.0 + (dead_for.as_secs_f64() / 0.05 + 1.0).log2();
    assert!(tried as f64 <= rests * 2.0 * CALLERS as f64, "tried {tried} times while dead for {dead_for:?}");

    // Only what was in flight there has failed: it had been sent there, by one call of each caller, before the kill; or while the
    // system was still closing one connection after the other.
    let broken = client.tries.broken();
    assert!(!report.failed.is_empty(), "nothing was in flight");
    assert_eq!(report.failed.len(), broken.len(), "{:#?}\n{broken:#?}", report.failed);
    assert!(client.tries.failed().iter().all(|one| one.id == name), "{:#?}", client.tries.failed());
    for failed in &report.failed {
        let (late, lasted) = (failed.began.checked_duration_since(killed), failed.ended - failed.began);
        assert!(late.is_none_or(|late| late < NOTICES), "began {late:?} after the kill: {failed:?}");
        assert!(failed.ended + NOTICES > killed && lasted < SLACK, "{failed:?}");
    }
    let in_flight = report.failed.iter().filter(|failed| failed.began < before);
    let callers: Vec<usize> = in_flight.filter_map(|failed| failed.caller).collect();
    assert_eq!(callers.iter().collect::<BTreeSet<_>>().len(), callers.len(), "{callers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_fails_only_the_calls_in_flight_there_over_http() {
    killed::<Http>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_fails_only_the_calls_in_flight_there_over_grpc() {
    killed::<Grpc>().await;
}
