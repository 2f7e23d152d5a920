//! What calls feel of an agent that is killed, frozen or loses everything: nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use addsvc::{Add, AddEndpoints, Adder, SumRequest};
use apigateway::AddClient;
use kit_base::{Context, Registrar as _};
use kit_lb::{Endpointer, SetSnapshot};
use kit_sd_consul::Check;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::agent::Agent;
use crate::registry::serve_add;

/// What must come is waited for this long.
const PATIENCE: Duration = Duration::from_secs(60);

async fn until(set: &Endpointer<AddClient>, what: &str, is_so: impl Fn(&SetSnapshot) -> bool) {
    let begun = Instant::now();
    while !is_so(&set.snapshot()) {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}: {set:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn is_well(snapshot: &SetSnapshot) -> bool {
    snapshot.error.is_none() && snapshot.members.len() == 3
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn picks_go_on_with_the_last_set_while_the_agent_is_dead_or_frozen_or_has_lost_everything() {
    let Some(mut agent) = Agent::start().await else { return };
    let registrar = agent.consul().registrar("addsvc").check(Check::ttl(Duration::from_secs(3)));
    let mut registrations = Vec::new();
    for _ in 0..3 {
        registrations.push(registrar.register(serve_add(Adder).await).await.unwrap());
    }
    let query = agent.consul().service("addsvc").wait(Duration::from_secs(2));
    let set = apigateway::addsvc(query.watch().unwrap());
    until(&set, "three instances", is_well).await;

    let (answered, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let (add, answered, stop) = (AddEndpoints::connect(&set.balancer()), Arc::clone(&answered), Arc::clone(&stop));
        callers.spawn(async move {
            while !stop.load(SeqCst) {
                let reply = add.sum(&Context::new(), SumRequest { a: 1, b: 2 }).await;
                assert_eq!(reply.expect("an answer, whatever the agent does").v, 3);
                answered.fetch_add(1, SeqCst);
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
    // Calls are answered while the registry fails, by all three.
    let goes_on = async |set: &Endpointer<AddClient>| {
        until(set, "the failure to be seen", |snapshot| snapshot.error.is_some()).await;
        let (before, calls) = (answered.load(SeqCst), set.snapshot().members.into_iter().map(|member| member.calls));
        let calls: Vec<u64> = calls.collect();
        let begun = Instant::now();
        while answered.load(SeqCst) < before + 200 {
            assert!(begun.elapsed() < PATIENCE, "calls do not go on");
            sleep(Duration::from_millis(5)).await;
        }
        let members = set.snapshot().members;
        assert_eq!(members.len(), 3);
        assert!(members.iter().zip(calls).all(|(member, before)| member.calls > before + 20), "{members:?}");
    };

    agent.freeze();
    goes_on(&set).await;
    agent.thaw();
    until(&set, "all to be well after the freeze", is_well).await;

    // It comes back with its data, and then as a new one, which knows nobody until all have registered again.
    for forgets in [false, true] {
        agent.kill();
        goes_on(&set).await;
        if forgets {
            agent.forget();
        }
        agent.restart().await;
        until(&set, "all to be well after a restart", is_well).await;
        let known = agent.get("/v1/agent/services").await;
        assert_eq!(known.as_object().unwrap().len(), 3, "{known}");
    }

    stop.store(true, SeqCst);
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    // Before the agent, so that they can leave it.
    drop(registrations);
}
