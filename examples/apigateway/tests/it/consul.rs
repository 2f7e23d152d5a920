//! The built programs with a real Consul between them.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit_testing::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::agent::{Agent, Setup};
use crate::programs::{Program, addsvc, are_built, built, gateway, start, stringsvc};

/// An agent, or none where a program is missing.
async fn agent() -> Option<Agent> {
    if are_built() { Agent::start().await } else { None }
}

/// Asks again until it is so, and says how long it took.
async fn until(what: &str, so: impl AsyncFn() -> bool) -> Duration {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < Duration::from_secs(40), "{what}: not after {:?}", begun.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

/// The ids of the instances that pass their checks.
async fn passing(agent: &Agent, service: &str) -> Vec<String> {
    let entries = agent.get(&format!("/v1/health/service/{service}?passing")).await;
    let id = |entry: &Value| entry["Service"]["ID"].as_str().unwrap().to_owned();
    entries.as_array().unwrap().iter().map(id).collect()
}

/// Three addsvc, and a gateway that has called each.
async fn three(agent: &Agent) -> ([Program; 3], Program) {
    let consul = agent.addr();
    let three = [(); 3].map(|()| addsvc(&consul));
    let gateway = gateway(&consul);
    until("all are passing", async || passing(agent, "addsvc").await.len() == 3).await;
    spread(&gateway, &three.each_ref()).await;
    (three, gateway)
}

/// Calls until each of them has had a call.
async fn spread(gateway: &Program, backends: &[&Program]) {
    for backend in backends {
        let before = backend.requests().await;
        let called = async || {
            assert_eq!(gateway.post("/addsvc/sum", r#"{"a":1,"b":2}"#, &[]).await, (200, json!({"v": 3})));
            backend.requests().await > before
        };
        until("a call arrives", called).await;
    }
}

#[tokio::test]
async fn programs_find_each_other_and_each_route_answers() {
    let Some(agent) = agent().await else { return };
    let consul = agent.addr();
    let mut gateway = gateway(&consul);
    for (path, body) in [("/addsvc/sum", r#"{"a":1}"#), ("/stringsvc/count", "{}")] {
        let (status, problem) = gateway.post(path, body, &[]).await;
        assert_eq!((status, &problem["kind"]), (503, &json!("UNAVAILABLE")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with("no endpoints available"), "{problem}");
    }

    let (three, strings) = ([(); 3].map(|()| addsvc(&consul)), stringsvc(&consul));
    until("all are passing", async || {
        passing(&agent, "addsvc").await.len() == 3 && passing(&agent, "stringsvc").await.len() == 1
    })
    .await;
    assert!(passing(&agent, "stringsvc").await.contains(&strings.id("stringsvc")));
    for program in &three {
        assert!(passing(&agent, "addsvc").await.contains(&program.id("addsvc")));
    }
    until("the gateway knows stringsvc", async || gateway.post("/stringsvc/count", "{}", &[]).await.0 == 200).await;
    spread(&gateway, &three.each_ref()).await;

    for (path, body, expected) in [
        ("/addsvc/sum", "{}", (400, json!({"error": "can't sum two zeroes"}))),
        ("/addsvc/sum", r#"{"a":2147483647,"b":1}"#, (400, json!({"error": "integer overflow"}))),
        ("/addsvc/concat", r#"{"a":"aaaaaa","b":"bbbbb"}"#, (400, json!({"error": "result exceeds maximum size"}))),
        ("/stringsvc/uppercase", r#"{"s":""}"#, (200, json!({"v": "", "err": "empty string"}))),
    ] {
        assert_eq!(gateway.post(path, body, &[]).await, expected, "{path} {body}");
    }
    // No time at all is left for the backend.
    let (status, problem) = gateway.post("/addsvc/sum", r#"{"a":1}"#, &["-H", "grpc-timeout: 0m"]).await;
    assert_eq!((status, &problem["kind"]), (504, &json!("DEADLINE_EXCEEDED")));

    // What it tells to try.
    let told = gateway.child.stdout();
    let tries: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let answers = [r#"{"v":3}"#, r#"{"v":"12"}"#, r#"{"v":"HELLO, WORLD"}"#, r#"{"v":12}"#, r#""/addsvc/sum""#];
    assert_eq!(tries.len(), answers.len(), "{told}");
    for (line, answer) in tries.into_iter().zip(answers) {
        let output = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains(answer), "{line}: {output:?}");
    }

    // One more is called too.
    let fourth = addsvc(&consul);
    until("the fourth is passing", async || passing(&agent, "addsvc").await.contains(&fourth.id("addsvc"))).await;
    spread(&gateway, &[&fourth]).await;

    // Nothing went wrong, so there is nothing to tell.
    assert_eq!((gateway.stop().await, &*gateway.child.stderr()), (Some(0), ""));
}

/// Callers through a gateway, until they are told to stop.
struct Load {
    callers: JoinSet<()>,
    answered: Arc<AtomicU64>,
    failed: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Load {
    /// So many callers of addsvc, each with a connection of its own, one call after the other.
    fn sums(gateway: &Program, callers: usize) -> Self {
        Self::start(gateway, callers, "/addsvc/sum", r#"{"a":1,"b":2}"#)
    }

    /// The same of stringsvc.
    fn counts(gateway: &Program, callers: usize) -> Self {
        Self::start(gateway, callers, "/stringsvc/count", r#"{"s":"abc"}"#)
    }

    /// The answer is always three.
    fn start(gateway: &Program, callers: usize, path: &str, body: &'static str) -> Self {
        let (answered, failed, over) = Default::default();
        let mut load = Self { callers: JoinSet::new(), answered, failed, over };
        for _ in 0..callers {
            let (client, url) = (crate::agent::client(), format!("http://{}{path}", gateway.addr));
            let (answered, failed, over) = (load.answered.clone(), load.failed.clone(), load.over.clone());
            load.callers.spawn(async move {
                while !over.load(SeqCst) {
                    let request = client.post(&url).header("content-type", "application/json").body(body);
                    let told = match request.send().await {
                        Ok(answer) => answer.text().await.unwrap_or_else(|error| format!("{error:?}")),
                        Err(error) => format!("{error:?}"),
                    };
                    match &*told {
                        r#"{"v":3}"# => _ = answered.fetch_add(1, SeqCst),
                        _ => failed.lock().unwrap().push(told),
                    }
                }
            });
        }
        load
    }

    async fn goes_on(&self) {
        let before = self.answered.load(SeqCst);
        until("the load goes on", async || self.answered.load(SeqCst) > before + 100).await;
    }

    /// What the calls that failed were told.
    async fn end(self) -> Vec<String> {
        self.over.store(true, SeqCst);
        self.callers.join_all().await;
        std::mem::take(&mut *self.failed.lock().unwrap())
    }
}

/// Stops it under load. It goes on serving until watchers can know, and leaves.
async fn stop(program: &mut Program, service: &str, agent: &Agent) {
    let begun = Instant::now();
    assert_eq!(program.stop().await, Some(0), "{}", program.child.stderr());
    assert!(begun.elapsed() > Duration::from_secs(1), "after {:?}", begun.elapsed());
    assert_eq!(program.child.stderr(), format!("{service}: leaves consul, and serves on until others can know\n"));
    assert!(!passing(agent, service).await.contains(&program.id(service)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_stopped_under_load_loses_no_request() {
    let Some(agent) = agent().await else { return };
    let consul = agent.addr();
    let (mut sums, mut counts) = ([(); 2].map(|()| addsvc(&consul)), [(); 2].map(|()| stringsvc(&consul)));
    let gateway = gateway(&consul);
    until("all are passing", async || {
        passing(&agent, "addsvc").await.len() == 2 && passing(&agent, "stringsvc").await.len() == 2
    })
    .await;
    spread(&gateway, &sums.each_ref()).await;
    until("the gateway knows stringsvc", async || gateway.post("/stringsvc/count", "{}", &[]).await.0 == 200).await;

    let loads = [Load::sums(&gateway, 4), Load::counts(&gateway, 4)];
    for load in &loads {
        load.goes_on().await;
    }
    tokio::join!(stop(&mut sums[0], "addsvc", &agent), stop(&mut counts[0], "stringsvc", &agent));
    for load in loads {
        load.goes_on().await;
        assert_eq!(load.end().await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 8 s: each service waits until watchers have seen that it leaves"]
async fn a_rolling_restart_loses_no_request() {
    let Some(agent) = agent().await else { return };
    let (mut three, gateway) = three(&agent).await;

    let load = Load::sums(&gateway, 8);
    for program in &mut three {
        load.goes_on().await;
        stop(program, "addsvc", &agent).await;
        *program = addsvc(&agent.addr());
        let id = program.id("addsvc");
        until("the new one is passing", async || passing(&agent, "addsvc").await.contains(&id)).await;
    }
    load.goes_on().await;
    assert_eq!(load.end().await, [""; 0]);
    spread(&gateway, &three.each_ref()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 12 s: until the heartbeat of the dead is missed"]
async fn a_killed_service_costs_what_is_in_flight_and_is_gone_when_its_heartbeat_is_missed() {
    let Some(agent) = agent().await else { return };
    let (mut three, gateway) = three(&agent).await;

    let load = Load::sums(&gateway, 4);
    load.goes_on().await;
    three[0].child.signal(Signal::Kill).unwrap();
    let id = three[0].id("addsvc");
    let gone = until("it is gone", async || !passing(&agent, "addsvc").await.contains(&id)).await;
    assert!(gone > Duration::from_secs(5), "after {gone:?}");
    load.goes_on().await;
    let failed = load.end().await;
    assert!(failed.len() <= 4, "{} calls failed, and 4 were in flight: {:?}", failed.len(), &failed[..9]);
    assert_eq!(three[0].ended().await, None);
}

#[tokio::test]
async fn a_service_serves_without_its_agent_and_registers_when_it_comes() {
    let Some(mut agent) = agent().await else { return };
    agent.kill();
    let mut strings = stringsvc(&agent.addr());
    strings.child.wait_for_line("stringsvc: is not registered yet: ", Duration::from_secs(10)).unwrap();
    assert_eq!(strings.post("/count", r#"{"s":"abc"}"#, &[]).await, (200, json!({"v": 3})));
    agent.restart().await;
    let id = strings.id("stringsvc");
    until("it is registered", async || passing(&agent, "stringsvc").await.contains(&id)).await;
    strings.child.wait_for_line("stringsvc: is registered", Duration::from_secs(10)).unwrap();

    // A stop without an agent ends too.
    agent.kill();
    assert_eq!(strings.stop().await, Some(0));
    assert!(
        strings.child.stderr().contains("stringsvc: leaves without Consul's knowing: "),
        "{}",
        strings.child.stderr()
    );
}

#[tokio::test]
async fn a_service_that_its_agent_refuses_serves_and_tells_so_once() {
    if !are_built() {
        return;
    }
    let Some(agent) = Setup::default().acl().start().await else { return };
    let mut strings = stringsvc(&agent.addr());
    let refused = "stringsvc: serves without being registered: PERMISSION_DENIED: ";
    strings.child.wait_for_line(refused, Duration::from_secs(10)).unwrap();
    assert_eq!(strings.post("/count", r#"{"s":"abc"}"#, &[]).await, (200, json!({"v": 3})));
    assert_eq!(strings.stop().await, Some(0));
    assert_eq!(strings.child.stderr().lines().count(), 1, "{}", strings.child.stderr());
}

#[tokio::test]
async fn the_gateway_tells_of_an_agent_that_is_away_and_stops_cleanly() {
    let Some(mut agent) = agent().await else { return };
    let mut gateway = gateway(&agent.addr());
    let strings = stringsvc(&agent.addr());
    let count = async || gateway.post("/stringsvc/count", "{}", &[]).await.0;
    until("it is found", async || count().await == 200).await;
    agent.kill();
    gateway
        .child
        .wait_for_line("apigateway: no news of stringsvc, so what is known stays: ", Duration::from_secs(10))
        .unwrap();
    assert_eq!(count().await, 200);
    drop(strings);
    for signal in [Signal::Interrupt, Signal::Terminate] {
        gateway.child.signal(signal).unwrap();
    }
    assert_eq!(gateway.ended().await, Some(0));
}

#[test]
fn addresses_that_nobody_can_call_are_refused_at_the_start() {
    if !are_built() {
        return;
    }
    for (name, flags, why) in [
        ("apigateway", &["--consul-addr", "ftp://consul"][..], "Error: invalid address \"ftp://consul\""),
        ("stringsvc1", &["--consul-addr", "ftp://consul"], "ftp://consul"),
        ("stringsvc1", &["--consul-addr", "127.0.0.1:1", "--http-addr", "0.0.0.0:0"], "--advertise-addr"),
        ("stringsvc1", &["--consul-addr", "127.0.0.1:1", "--advertise-addr", "here"], "is no address: want host:port"),
        ("stringsvc1", &["--advertise-addr", "here:1"], "--consul-addr"),
    ] {
        let mut flags = flags.to_vec();
        if !flags.contains(&"--http-addr") {
            flags.extend(["--http-addr", "127.0.0.1:0"]);
        }
        let output = Command::new(built(name)).args(&flags).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(why), "{name} {flags:?}: {told}");
    }
}

#[tokio::test]
async fn what_is_advertised_is_what_consul_tells() {
    let Some(agent) = agent().await else { return };
    let flags = ["--http-addr", "0.0.0.0:0", "--advertise-addr", "strings.example:80"];
    let _strings = start("stringsvc1", &agent.addr(), &flags);
    until("it is passing", async || passing(&agent, "stringsvc").await == ["stringsvc-strings.example-80"]).await;
}
