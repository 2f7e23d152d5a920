//! What an entry of Consul becomes as an instance.

use std::sync::{Arc, Mutex};

use kit_base::{Event, Instance, Instancer, Instances};
use kit_sd_consul::ServiceQuery;
use kit_testing::backend::{Backend, Reply};
use serde_json::{Value, json};

use crate::double::{answer, consul, entry, quick, until};

/// The instances that a watch makes of these entries, and what it tells.
async fn made_of(entries: Value, query: impl Fn(ServiceQuery) -> ServiceQuery) -> (Vec<Arc<Instance>>, Vec<String>) {
    let backend = Backend::start([answer(7, &entries), Reply::hang()]).await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let events = told.clone();
    let observer = move |event: &Event<'_>| {
        events.lock().unwrap().push(format!("{} {} {} {}", event.source, event.what, event.key, event.amount));
    };
    let watch = query(quick(&consul(backend.addr())).observer(observer)).watch().unwrap();
    let snapshot = until(&mut watch.subscribe(), |snapshot| snapshot.error.is_none() && snapshot.since.is_some()).await;
    backend.received(2).await;
    let Instances::Known(set) = &snapshot.instances else { panic!("{snapshot:?}") };
    let told = told.lock().unwrap().clone();
    (set.iter().cloned().collect(), told)
}

fn changed(id: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut entry = entry(id);
    change(&mut entry);
    entry
}

#[tokio::test]
async fn an_entry_of_a_newer_consul_becomes_an_instance_with_all_that_it_says() {
    let entry = json!({
        "Node": {"ID": "40e4a748-2192-161a-0510-9bf59fe950b5", "Node": "n1", "Address": "10.1.10.12", "Datacenter": "dc1",
            "TaggedAddresses": {"lan": "10.1.10.12"}, "Meta": {"zone": "of-node"}, "PeerName": "", "Partition": "default",
            "Locality": {"Region": "eu", "Zone": "of-locality"}},
        "Service": {"ID": "addsvc-1", "Service": "addsvc", "Tags": ["primary", "V2"], "Address": "10.1.10.13", "Port": 8000,
            "TaggedAddresses": {}, "Meta": {"zone": "eu-1a", "scheme": "https", "server_name": "addsvc.internal", "v": "2"},
            "Weights": {"Passing": 10, "Warning": 3}, "EnableTagOverride": false, "Proxy": {"MeshGateway": {}},
            "Connect": {}, "Locality": null, "Ports": [], "CreateIndex": 30, "ModifyIndex": 30},
        "Checks": [
            {"Node": "n1", "CheckID": "serfHealth", "Status": "passing", "Definition": {}, "ExposedPort": 0},
            {"Node": "n1", "CheckID": "service:addsvc-1", "Status": "passing", "Interval": "10s"}],
        "Future": {"Field": [1, 2]},
    });
    let (instances, told) = made_of(json!([entry]), |query| query.tag("primary").tag("v2")).await;
    let mut wanted = Instance::new("n1/addsvc-1", "10.1.10.13:8000");
    wanted.weight = 10;
    wanted.tags = vec!["primary".into(), "V2".into()];
    wanted.zone = Some("eu-1a".into());
    wanted.scheme = Some("https".into());
    wanted.server_name = Some("addsvc.internal".into());
    wanted.metadata.insert("v".into(), "2".into());
    assert_eq!(instances.iter().map(|instance| &**instance).collect::<Vec<_>>(), [&wanted]);
    assert_eq!(told, ["consul updated addsvc 1"]);
}

#[tokio::test]
async fn addresses_zones_and_weights_come_from_where_they_are() {
    let entries = json!([
        changed("a-node", |_| {}),
        changed("b-six", |entry| entry["Service"]["Address"] = json!("2001:db8::7")),
        changed("b-six-in-brackets", |entry| entry["Service"]["Address"] = json!("[2001:db8::7]")),
        changed("b-six-of-a-link", |entry| entry["Service"]["Address"] = json!("fe80::7%2")),
        changed("c-name", |entry| entry["Service"]["Address"] = json!("host.example")),
        changed("d-zone", |entry| entry["Node"]["Meta"] = json!({"zone": "of-node"})),
        changed("e-place", |entry| entry["Node"]["Locality"] = json!({"Zone": "of-locality"})),
        changed("f-none", |entry| entry["Service"]["Meta"] = json!({"weight": "0", "zone": ""})),
        changed("g-null", |entry| {
            entry["Service"]["Weights"] = Value::Null;
            entry["Service"]["Tags"] = Value::Null;
            entry["Checks"] = Value::Null;
        }),
    ]);
    let (instances, _) = made_of(entries, |query| query).await;
    let seen: Vec<_> = instances.iter().map(|i| (i.address.as_str(), i.zone.as_deref(), i.weight)).collect();
    assert_eq!(
        seen,
        [
            ("10.0.0.1:80", None, 1),
            ("[2001:db8::7]:80", None, 1),
            ("[2001:db8::7]:80", None, 1),
            ("[fe80::7%2]:80", None, 1),
            ("host.example:80", None, 1),
            ("10.0.0.1:80", Some("of-node"), 1),
            ("10.0.0.1:80", Some("of-locality"), 1),
            ("10.0.0.1:80", None, 0),
            ("10.0.0.1:80", None, 1),
        ]
    );
}

#[tokio::test]
async fn a_bad_entry_loses_no_good_one_and_is_told() {
    let entries = json!([
        changed("zero", |entry| entry["Service"]["Port"] = json!(0)),
        changed("none", |entry| drop(entry["Service"].as_object_mut().unwrap().remove("Port"))),
        changed("huge", |entry| entry["Service"]["Port"] = json!(65536)),
        {"Node": {"Node": "n1"}},
        changed("twice", |entry| entry["Service"]["Address"] = json!("10.0.0.1:80")),
        changed("nowhere", |entry| entry["Node"]["Address"] = json!("")),
        entry("good"),
    ]);
    let (instances, told) = made_of(entries, |query| query).await;
    assert_eq!(instances.iter().map(|instance| instance.id.as_str()).collect::<Vec<_>>(), ["n1/good"]);
    let left_out: Vec<_> = told.iter().filter_map(|told| told.strip_prefix("consul left_out ")).collect();
    let mut wanted = ["n1/zero 1", "n1/none 1", "n1/huge 1", "addsvc[3] 1", "n1/twice 1", "n1/nowhere 1"];
    wanted.sort_unstable();
    let mut left_out = left_out;
    left_out.sort_unstable();
    assert_eq!(left_out, wanted);
}

#[tokio::test]
async fn of_very_many_bad_entries_only_the_first_thousand_are_told() {
    let mut entries = vec![json!(1); 3_000];
    entries.push(entry("good"));
    let (instances, told) = made_of(Value::Array(entries), |query| query).await;
    assert_eq!(instances.len(), 1);
    assert_eq!(told.iter().filter(|told| told.starts_with("consul left_out ")).count(), 1_000);
}

#[tokio::test]
async fn health_decides_who_is_taken_and_with_which_weight() {
    let with = |id: &str, status: &str| {
        changed(id, |entry| {
            entry["Service"]["Weights"] = json!({"Passing": 8, "Warning": 2});
            entry["Checks"] = json!([{"Status": "passing"}, {"Status": status}]);
        })
    };
    let entries = json!([with("a", "passing"), with("b", "warning"), with("c", "critical"), with("d", "maintenance")]);
    let (instances, _) = made_of(entries.clone(), |query| query).await;
    assert_eq!(instances.iter().map(|i| (i.id.as_str(), i.weight)).collect::<Vec<_>>(), [("n1/a", 8)]);
    let (instances, _) = made_of(entries, |query| query.passing_only(false)).await;
    let seen: Vec<_> = instances.iter().map(|i| (i.id.as_str(), i.weight)).collect();
    assert_eq!(seen, [("n1/a", 8), ("n1/b", 2), ("n1/c", 0), ("n1/d", 0)]);
}

#[tokio::test]
async fn ten_thousand_instances_are_read() {
    let entries: Vec<Value> = (0..10_000).map(|number| entry(&format!("a{number}"))).collect();
    let (instances, _) = made_of(Value::Array(entries), |query| query).await;
    assert_eq!(instances.len(), 10_000);
}
