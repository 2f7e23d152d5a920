//! Against a real Consul: what is registered is seen, and what goes wrong with the agent is outlived.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit_base::{Instance, Instancer, Instances, Kind, Snapshot, Subscription};
use kit_sd_consul::{Consul, ServiceQuery, Token};
use kit_testing::net::Cable;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::agent::{Agent, MASTER, Setup};
use crate::double::{consul, fails, ids, shows, until};
use crate::proxy::Proxy;

/// The longest pause between queries, and what a busy machine adds.
const RECOVERED: Duration = Duration::from_secs(15 + 10);

fn service(id: &str) -> Value {
    json!({"ID": id, "Name": "addsvc", "Address": "10.0.0.7", "Port": 8081, "Tags": ["v1"], "Meta": {"zone": "a"}})
}

/// With a watch that does not wait long, so that a silent agent is noticed.
fn watchful(proxy: &Proxy) -> ServiceQuery {
    let agent = consul(proxy.addr()).head_timeout(Duration::from_millis(500));
    agent.service("addsvc").wait(Duration::from_secs(1))
}

fn instances(snapshot: &Snapshot) -> Vec<Arc<Instance>> {
    let Instances::Known(set) = &snapshot.instances else { panic!("{snapshot:?}") };
    set.iter().cloned().collect()
}

/// Sees every set that subscribers see.
struct Seen {
    sets: Arc<Mutex<Vec<Vec<String>>>>,
    task: JoinHandle<()>,
}

impl Seen {
    fn begin(mut changes: Subscription) -> Self {
        let sets = Arc::new(Mutex::new(Vec::new()));
        let seen = sets.clone();
        let task = tokio::spawn(async move {
            while let Some(snapshot) = changes.changed().await {
                let ids = ids(&snapshot);
                let mut seen: std::sync::MutexGuard<'_, Vec<_>> = seen.lock().unwrap();
                if seen.last() != Some(&ids) {
                    seen.push(ids);
                }
            }
        });
        Self { sets, task }
    }

    fn sets(&self) -> Vec<Vec<String>> {
        self.sets.lock().unwrap().clone()
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// At most what is promised: 5 at once, and then one a second.
fn assert_few(proxy: &Proxy, begun: Instant) {
    let most = 5 + 1 + begun.elapsed().as_secs();
    assert!(proxy.requests() as u64 <= most, "{} requests in {:?}", proxy.requests(), begun.elapsed());
}

#[tokio::test]
async fn an_instance_appears_changes_and_disappears_for_two_watchers() {
    let Some(agent) = Agent::start().await else { return };
    let consul = agent.consul();
    let query = || consul.service("addsvc").empty_after(Duration::from_millis(300));
    let (first, second) = (query().watch().unwrap(), query().tag("v1").watch().unwrap());
    let (mut one, mut two) = (first.subscribe(), second.subscribe());
    shows(&mut one, &["absent"]).await;
    shows(&mut two, &["absent"]).await;

    agent.register(service("addsvc-1")).await;
    let seen = shows(&mut one, &["addsvc-1"]).await;
    let [instance] = &*instances(&seen) else { panic!("{seen:?}") };
    assert_eq!((instance.id.as_str(), instance.address.as_str()), ("t1/addsvc-1", "10.0.0.7:8081"));
    assert_eq!((instance.weight, instance.zone.as_deref()), (1, Some("a")));
    assert_eq!(instance.tags, ["v1"]);
    shows(&mut two, &["addsvc-1"]).await;

    let mut changed = service("addsvc-1");
    changed["Weights"] = json!({"Passing": 7, "Warning": 2});
    changed["Tags"] = json!(["v2"]);
    agent.register(changed).await;
    let seen = until(&mut one, |snapshot| snapshot.error.is_none() && instances(snapshot)[0].weight == 7).await;
    assert_eq!(instances(&seen)[0].tags, ["v2"]);
    shows(&mut two, &[]).await;

    agent.deregister("addsvc-1").await;
    shows(&mut one, &["absent"]).await;
    shows(&mut two, &["absent"]).await;
}

#[tokio::test]
async fn a_failing_check_takes_an_instance_out_and_a_warning_changes_its_weight() {
    let Some(agent) = Agent::start().await else { return };
    let mut checked = service("addsvc-1");
    checked["Weights"] = json!({"Passing": 9, "Warning": 3});
    checked["Check"] = json!({"CheckID": "alive", "TTL": "600s", "Status": "critical"});
    agent.register(checked).await;
    let consul = agent.consul();
    let passing = consul.service("addsvc").watch().unwrap();
    let all = consul.service("addsvc").passing_only(false).watch().unwrap();
    let (mut passing, mut all) = (passing.subscribe(), all.subscribe());
    shows(&mut passing, &[]).await;
    for (status, weight) in [("warn", 3), ("pass", 9), ("fail", 0)] {
        agent.put(&format!("/v1/agent/check/{status}/alive"), None).await;
        until(&mut all, |snapshot| ids(snapshot) == ["addsvc-1"] && instances(snapshot)[0].weight == weight).await;
        if status == "pass" {
            shows(&mut passing, &["addsvc-1"]).await;
        }
    }
}

#[tokio::test]
async fn a_thousand_instances_arrive_with_few_requests_and_nothing_is_left_after_the_drop() {
    let Some(agent) = Agent::start().await else { return };
    let proxy = Proxy::start(&agent.addr());
    let begun = Instant::now();
    let watch = consul(proxy.addr()).service("addsvc").watch().unwrap();
    let mut changes = watch.subscribe();
    shows(&mut changes, &["absent"]).await;
    for number in 0..1000 {
        let mut service = service(&format!("addsvc-{number}"));
        // The catalog's name for the name.
        let name = service.as_object_mut().and_then(|service| service.remove("Name"));
        service["Service"] = name.unwrap();
        let node = json!({"Node": "elsewhere", "Address": "10.0.0.7", "Service": service});
        agent.put("/v1/catalog/register", Some(node)).await;
    }
    until(&mut changes, |snapshot| ids(snapshot).len() == 1000).await;
    assert_few(&proxy, begun);
    drop(watch);
    proxy.until_closed().await;
}

/// A token that may see services, or nothing.
async fn new_token(agent: &Agent, policy: Option<&str>) -> (String, String) {
    let policies: Vec<Value> = policy.iter().map(|name| json!({"Name": name})).collect();
    let token = agent.put("/v1/acl/token", Some(json!({"Policies": policies}))).await;
    let text = |key: &str| token[key].as_str().unwrap().to_owned();
    (text("AccessorID"), text("SecretID"))
}

#[tokio::test]
async fn a_token_gives_sight_loses_it_and_is_replaced_while_the_watch_runs() {
    let Some(agent) = Setup::default().acl().start().await else { return };
    agent.register(service("addsvc-1")).await;
    let rules = "service_prefix \"\" { policy = \"read\" } node_prefix \"\" { policy = \"read\" }";
    agent.put("/v1/acl/policy", Some(json!({"Name": "see", "Rules": rules}))).await;
    let (_, blind) = new_token(&agent, None).await;
    let (first_id, first) = new_token(&agent, Some("see")).await;
    let (_, second) = new_token(&agent, Some("see")).await;

    let token = Token::new(&blind).unwrap();
    let consul = agent.consul().with_token(token.clone());
    // Consul 1.8 does not say that it hides something.
    let watch = consul.service("addsvc").wait(Duration::from_secs(2)).watch().unwrap();
    let mut changes = watch.subscribe();
    shows(&mut changes, &["absent"]).await;

    // The query that waits in vain is not waited for.
    token.replace(&first).unwrap();
    shows(&mut changes, &["addsvc-1"]).await;

    agent.ask(reqwest::Method::DELETE, &format!("/v1/acl/token/{first_id}"), None).await;
    let (kept, error) = fails(&mut changes).await;
    assert_eq!((ids(&kept), error.kind()), (vec!["addsvc-1".to_owned()], Kind::PermissionDenied));
    assert!(error.to_string().contains("ACL not found"), "{error}");
    assert!(!format!("{error:?}").contains(&first), "{error:?}");

    token.replace(&second).unwrap();
    shows(&mut changes, &["addsvc-1"]).await;
    assert_ne!(second, MASTER);
}

#[tokio::test]
async fn the_last_set_outlives_kill_and_restart_of_the_agent_and_is_fresh_again_soon() {
    let Some(mut agent) = Agent::start().await else { return };
    agent.register(service("addsvc-1")).await;
    let proxy = Proxy::start(&agent.addr());
    let begun = Instant::now();
    let watch = consul(proxy.addr()).service("addsvc").watch().unwrap();
    let mut changes = watch.subscribe();
    let good = shows(&mut changes, &["addsvc-1"]).await;
    let seen = Seen::begin(watch.subscribe());

    agent.kill();
    let (kept, error) = fails(&mut changes).await;
    assert_eq!((ids(&kept), kept.since), (ids(&good), good.since));
    assert_eq!(error.kind(), Kind::Unavailable);
    sleep(Duration::from_secs(2)).await;
    agent.restart().await;
    let restarted = Instant::now();
    agent.register(service("addsvc-2")).await;
    shows(&mut changes, &["addsvc-1", "addsvc-2"]).await;
    assert!(restarted.elapsed() < RECOVERED, "{:?}", restarted.elapsed());
    assert!(changes.current().since > good.since);
    // In between, the agent knew nothing of the service for a moment.
    let sets = seen.sets();
    assert!(
        sets.iter().all(|set| set.contains(&"addsvc-1".to_owned()) || set.contains(&"addsvc-2".to_owned())),
        "{sets:?}"
    );
    assert_few(&proxy, begun);
    drop(watch);
    proxy.until_closed().await;
}

#[tokio::test]
async fn services_that_the_agent_lost_are_believed_to_be_gone_after_a_while() {
    let Some(mut agent) = Agent::start().await else { return };
    for id in ["addsvc-1", "addsvc-2"] {
        agent.register(service(id)).await;
    }
    let proxy = Proxy::start(&agent.addr());
    let begun = Instant::now();
    // An agent that is replaced between two queries lets the second one wait for an index of its predecessor.
    let query = consul(proxy.addr()).service("addsvc").wait(Duration::from_secs(5));
    let watch = query.empty_after(Duration::from_secs(3)).watch().unwrap();
    let mut changes = watch.subscribe();
    shows(&mut changes, &["addsvc-1", "addsvc-2"]).await;
    let seen = Seen::begin(watch.subscribe());
    // They come back in time: nobody sees them go.
    agent.kill();
    agent.forget();
    agent.restart().await;
    let doubt =
        |snapshot: &Snapshot| snapshot.error.as_ref().is_some_and(|e| e.message().contains("suddenly knows no"));
    until(&mut changes, doubt).await;
    agent.register(service("addsvc-1")).await;
    shows(&mut changes, &["addsvc-1"]).await;
    assert_eq!(seen.sets(), [vec!["addsvc-1", "addsvc-2"], vec!["addsvc-1"]]);
    // They do not.
    agent.kill();
    agent.forget();
    agent.restart().await;
    until(&mut changes, doubt).await;
    shows(&mut changes, &["absent"]).await;
    assert_few(&proxy, begun);
}

/// The agent is silent for this long, its sockets open.
async fn outlives_a_frozen_agent(silence: Duration, watch: impl Fn(&Proxy) -> ServiceQuery) {
    let Some(agent) = Agent::start().await else { return };
    agent.register(service("addsvc-1")).await;
    let proxy = Proxy::start(&agent.addr());
    let begun = Instant::now();
    let watch = watch(&proxy).watch().unwrap();
    let mut changes = watch.subscribe();
    shows(&mut changes, &["addsvc-1"]).await;
    let seen = Seen::begin(watch.subscribe());
    let frozen = Instant::now();
    agent.freeze();
    let (kept, error) = fails(&mut changes).await;
    assert_eq!((ids(&kept), error.kind()), (vec!["addsvc-1".to_owned()], Kind::DeadlineExceeded));
    sleep(silence.saturating_sub(frozen.elapsed())).await;
    agent.thaw();
    let thawed = Instant::now();
    agent.register(service("addsvc-2")).await;
    shows(&mut changes, &["addsvc-1", "addsvc-2"]).await;
    assert!(thawed.elapsed() < RECOVERED, "{:?}", thawed.elapsed());
    assert_eq!(seen.sets(), [vec!["addsvc-1"], vec!["addsvc-1", "addsvc-2"]]);
    assert_few(&proxy, begun);
    drop(watch);
    proxy.until_closed().await;
}

#[tokio::test]
async fn the_last_set_outlives_an_agent_that_hangs() {
    outlives_a_frozen_agent(Duration::from_secs(3), watchful).await;
}

#[tokio::test]
#[ignore = "takes 40 s"]
async fn the_last_set_outlives_an_agent_that_hangs_for_half_a_minute() {
    outlives_a_frozen_agent(Duration::from_secs(30), |proxy| {
        consul(proxy.addr()).head_timeout(Duration::from_secs(3)).service("addsvc").wait(Duration::from_secs(10))
    })
    .await;
}

#[tokio::test]
async fn the_last_set_outlives_a_cable_that_is_cut() {
    let Some(agent) = Agent::start().await else { return };
    let Some(cable) = Cable::or_skip() else { return };
    agent.register(service("addsvc-1")).await;
    let listener = cable.inside(|| TcpListener::bind((cable.far(), 0))).unwrap().unwrap();
    let proxy = Proxy::start_on(listener, &agent.addr());
    let watch = watchful(&proxy).watch().unwrap();
    let mut changes = watch.subscribe();
    shows(&mut changes, &["addsvc-1"]).await;
    cable.cut().unwrap();
    let (kept, error) = fails(&mut changes).await;
    assert_eq!((ids(&kept), error.kind()), (vec!["addsvc-1".to_owned()], Kind::DeadlineExceeded));
    agent.register(service("addsvc-2")).await;
    sleep(Duration::from_secs(1)).await;
    cable.mend().unwrap();
    let mended = Instant::now();
    shows(&mut changes, &["addsvc-1", "addsvc-2"]).await;
    assert!(mended.elapsed() < RECOVERED, "{:?}", mended.elapsed());
}

#[tokio::test]
async fn a_slow_connection_is_good_enough_until_it_is_too_slow() {
    let Some(agent) = Agent::start().await else { return };
    for number in 0..20 {
        // Where reqwest is built to take answers packed, this packs badly.
        let noise: String = (0..25).map(|_| format!("{:016x}", RandomState::new().hash_one(number))).collect();
        let mut service = service(&format!("addsvc-{number}"));
        service["Meta"] = json!({ "noise": noise });
        agent.register(service).await;
    }
    let proxy = Proxy::start(&agent.addr());
    // About 20 kB of answer in about 0.3 s.
    proxy.slow_down(1000);
    let begun = Instant::now();
    let agent_slowly = consul(proxy.addr()).head_timeout(Duration::from_secs(5)).body_timeout(Duration::from_secs(2));
    let watch = agent_slowly.service("addsvc").watch().unwrap();
    let mut changes = watch.subscribe();
    until(&mut changes, |snapshot| snapshot.error.is_none() && ids(snapshot).len() == 20).await;
    // Ten seconds and more; five where it is packed.
    proxy.slow_down(10);
    agent.register(service("addsvc-20")).await;
    let (kept, error) = fails(&mut changes).await;
    assert_eq!((ids(&kept).len(), error.kind()), (20, Kind::DeadlineExceeded));
    proxy.slow_down(0);
    until(&mut changes, |snapshot| snapshot.error.is_none() && ids(snapshot).len() == 21).await;
    assert_few(&proxy, begun);
}

#[tokio::test]
async fn a_filter_and_a_datacenter_are_understood_and_a_wrong_one_is_an_error() {
    let Some(agent) = Agent::start().await else { return };
    agent.register(service("addsvc-1")).await;
    let mut other = service("addsvc-2");
    other["Meta"] = json!({"v": "2"});
    agent.register(other).await;
    let consul: Consul = agent.consul().with_datacenter("dc1");
    let watch = consul.service("addsvc").filter("Service.Meta.v == \"2\"").stale().watch().unwrap();
    shows(&mut watch.subscribe(), &["addsvc-2"]).await;
    let watch = consul.service("addsvc").filter("Service.Nonsense == 1").watch().unwrap();
    let (_, error) = fails(&mut watch.subscribe()).await;
    assert!(error.to_string().contains("Service.Nonsense") || error.kind() == Kind::InvalidArgument, "{error}");
    let watch = agent.consul().with_datacenter("dc9").service("addsvc").watch().unwrap();
    let (_, error) = fails(&mut watch.subscribe()).await;
    assert!(error.to_string().contains("No path to datacenter"), "{error}");
}
