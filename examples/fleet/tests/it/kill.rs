//! One of five is killed while discovery knows nothing of it, and comes back where it was.

use std::time::{Duration, Instant};

use kit_lb::Registry;

use crate::client::{Client, Grpc, Http, PATIENCE, Transport, instance, until};
use crate::five;
use crate::load::{CALLERS, Load};

/// A call may begin this long after the kill and still go to the dead one: as long as a busy client may take to read that its
/// connections are closed.
const NOTICES: Duration = Duration::from_millis(20);

async fn killed<C: Transport>() {
    let (mut backends, registry) = (five(), Registry::new());
    backends.iter().for_each(|backend| registry.insert(instance(backend)));
    let client = Client::<C>::new(registry.clone());
    let load = Load::start(client.service());
    for backend in &backends {
        client.until_called(backend.name()).await;
    }
    let victim = &mut backends[2];
    let name = victim.name().to_owned();
    let before_kill = Instant::now();
    victim.kill().unwrap();
    let killed = Instant::now();

    // The others go on, and nothing waits for the dead one.
    for other in ["addsvc-1", "addsvc-2", "addsvc-4", "addsvc-5"] {
        client.until_called(other).await;
    }
    until("the dead one to be passed over", || client.member(&name).unwrap().resting).await;
    let calls_while_dead = client.member(&name).unwrap().calls;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let tried_while_dead = client.member(&name).unwrap().calls - calls_while_dead;

    // It is back at its address, and nobody tells.
    victim.restart().unwrap();
    let back = Instant::now();
    client.until_called(&name).await;
    let used_again = back.elapsed();
    let report = load.end().await;
    eprintln!(
        "{} calls, {} failed, kill took {:?}, tried while dead {tried_while_dead}, used again after {used_again:?}; tries {:#?}",
        report.calls,
        report.failed.len(),
        killed - before_kill,
        client.tries.failed().iter().map(|(k, v)| (k, v.len())).collect::<Vec<_>>()
    );
    for f in &report.failed {
        eprintln!(
            "{:?} began {:?} before, ended {:?} after; {}",
            f.caller,
            killed.saturating_duration_since(f.began),
            f.ended.saturating_duration_since(killed),
            f.why
        );
    }
    let _ = (CALLERS, NOTICES, PATIENCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_fails_only_the_calls_in_flight_there_over_http() {
    killed::<Http>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_fails_only_the_calls_in_flight_there_over_grpc() {
    killed::<Grpc>().await;
}
