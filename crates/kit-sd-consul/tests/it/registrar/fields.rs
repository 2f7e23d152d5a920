//! What is registered, and what is refused.

use std::process::Command;

use kit_base::{Instance, Instancer as _, Instances, Kind, Registrar as _, Registration as _};
use kit_sd_consul::{Check, Consul};
use kit_testing::process::Child;
use kit_testing::tools::skip_unless_or;
use serde_json::json;
use tokio::time::timeout;

use super::{SOON, entries, instance, is, output, quick, until};
use crate::agent::{Agent, client};

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/python");

fn full() -> Instance {
    let mut instance = Instance::new("addsvc-1", "[::1]:8081");
    instance.scheme = Some("https".into());
    instance.server_name = Some("add.example".into());
    instance.zone = Some("eu-1a".into());
    instance.weight = 7;
    instance.tags = vec!["v2".into(), "canary".into()];
    instance.metadata = [("rack".to_owned(), "12".to_owned())].into();
    instance
}

#[tokio::test]
async fn an_instance_is_registered_with_all_that_is_known_of_it_and_passes_at_once() {
    let Some(agent) = Agent::start().await else { return };
    let registration = quick(&agent.consul()).register(full()).await.unwrap();
    assert!(registration.state().registered_since.is_some());
    until("it passes", || is(&agent, "passing")).await;
    let entry = &entries(&agent).await[0];
    let service = &entry["Service"];
    assert_eq!(service["ID"], "addsvc-1");
    assert_eq!((&service["Address"], &service["Port"]), (&json!("::1"), &json!(8081)));
    assert_eq!(service["Tags"], json!(["v2", "canary"]));
    assert_eq!(service["Weights"], json!({"Passing": 7, "Warning": 1}));
    let meta = json!({"rack": "12", "zone": "eu-1a", "scheme": "https", "server_name": "add.example"});
    assert_eq!(service["Meta"], meta);
    let check = entry["Checks"].as_array().unwrap().iter().find(|check| check["ServiceID"] == "addsvc-1").unwrap();
    assert_eq!(check["Type"], "ttl");
    assert_eq!(output(&agent).await, "the process is ready");
    registration.deregister().await.unwrap();
    until("it is gone", || async { entries(&agent).await.is_empty() }).await;
}

#[tokio::test]
async fn a_weight_of_zero_is_said_in_the_metadata() {
    let Some(agent) = Agent::start().await else { return };
    let mut instance = instance();
    instance.weight = 0;
    let _registration = quick(&agent.consul()).register(instance).await.unwrap();
    let service = agent.get("/v1/agent/service/addsvc-1").await;
    assert_eq!((&service["Weights"]["Passing"], &service["Meta"]["weight"]), (&json!(1), &json!("0")));
}

#[tokio::test]
async fn an_id_of_any_characters_is_registered_kept_and_deregistered() {
    let Some(agent) = Agent::start().await else { return };
    let mut registration = quick(&agent.consul()).register(Instance::new("a/b c?ü", "host.example:80")).await.unwrap();
    registration.update(Instance::new("a/b c?ü", "host.example:81")).await.unwrap();
    assert!(registration.state().error.is_none());
    let checks = agent.get("/v1/agent/checks").await;
    assert_eq!(checks["service:a/b c?ü"]["Status"], "passing");
    registration.deregister().await.unwrap();
    assert_eq!(agent.get("/v1/agent/services").await, json!({}));
}

#[tokio::test]
async fn two_registrations_on_one_agent_do_not_know_each_other() {
    let Some(agent) = Agent::start().await else { return };
    let registrar = quick(&agent.consul());
    let first = registrar.register(instance()).await.unwrap();
    let second = registrar.register(Instance::new("addsvc-2", "127.0.0.1:8082")).await.unwrap();
    until("both are there", || async { entries(&agent).await.len() == 2 }).await;
    first.deregister().await.unwrap();
    until("one is there", || async { entries(&agent).await.len() == 1 }).await;
    assert_eq!(entries(&agent).await[0]["Service"]["ID"], "addsvc-2");
    second.deregister().await.unwrap();
}

#[tokio::test]
async fn a_client_in_python_sees_the_registration() {
    if !skip_unless_or(PYTHON, "run `cargo xtask servers py-consul`") {
        return;
    }
    let Some(agent) = Agent::start().await else { return };
    let _registration = quick(&agent.consul()).register(full()).await.unwrap();
    until("it passes", || is(&agent, "passing")).await;
    let port = agent.addr().rsplit_once(':').unwrap().1.to_owned();
    let script = format!(
        "import consul\nindex, found = consul.Consul(port={port}).health.service('addsvc', passing=True)\n\
         for one in found: print(one['Service']['Address'], one['Service']['Port'], one['Service']['Tags'])"
    );
    let mut child = Child::spawn(Command::new(PYTHON).args(["-c", &script])).unwrap();
    let ended =
        tokio::task::spawn_blocking(move || child.wait(SOON).map(|status| (status, child.stdout(), child.stderr())));
    let (status, stdout, stderr) = ended.await.unwrap().unwrap();
    assert!(status.success(), "{stderr}");
    assert_eq!(stdout, "::1 8081 ['v2', 'canary']\n");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_value_before_anybody_is_asked() {
    // Nobody is there: to ask would be another error.
    let registrar = quick(&Consul::new(client(), "127.0.0.1:1").unwrap());
    let with = |change: fn(&mut Instance)| {
        let mut instance = instance();
        change(&mut instance);
        instance
    };
    let cases = [
        (with(|it| it.address = "127.0.0.1".into()), "\"127.0.0.1\" of the instance: it has no port"),
        (with(|it| it.address = "::1:80".into()), "\"::1:80\" of the instance: an IPv6 address stands in brackets"),
        (with(|it| it.address = "http://x:80".into()), "\"http://x:80\" of the instance: it is a URL; give host:port"),
        (with(|it| it.address = "[::1]".into()), "\"[::1]\""),
        (with(|it| it.address = "[::g]:80".into()), "in brackets stands no IPv6 address"),
        (with(|it| it.address = "[127.0.0.1]:80".into()), "in brackets stands no IPv6 address"),
        (with(|it| it.address = "a:0".into()), "from 1 to 65535"),
        (with(|it| it.address = "a:+80".into()), "from 1 to 65535"),
        (with(|it| it.address = "a:65536".into()), "from 1 to 65535"),
        (with(|it| it.address = ":80".into()), "the host is no name"),
        (with(|it| it.address = "http://a:80".into()), "\"http://a:80\""),
        (with(|it| it.address = "a b:80".into()), "the host is no name"),
        (with(|it| it.address = "0.0.0.0:80".into()), "nobody can reach it"),
        (with(|it| it.address = "[::]:80".into()), "nobody can reach it"),
        (with(|it| it.id = String::new()), "got \"\""),
        (with(|it| it.id = "..".into()), "got \"..\""),
        (with(|it| it.id = "a//b".into()), "got \"a//b\""),
        (with(|it| it.id = "a\tb".into()), "got \"a\\tb\""),
        (with(|it| it.weight = 65_536), "up to 65535, got 65536"),
        (with(|it| drop(it.metadata.insert("zone".into(), "a".into()))), "metadata \"zone\" is \"a\""),
        (with(|it| drop(it.metadata.insert("weight".into(), "5".into()))), "metadata \"weight\" is \"5\""),
    ];
    for (instance, why) in cases {
        let error = registrar.register(instance).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.to_string().contains(why), "{error} has no {why}");
    }
}

#[tokio::test]
async fn what_consul_refuses_is_an_error_in_its_words() {
    let Some(agent) = Agent::start().await else { return };
    let registrar = quick(&agent.consul());
    let mut odd = instance();
    odd.metadata.insert("a b".into(), "c".into());
    let error = registrar.register(odd.clone()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert!(error.message().contains("Key contains invalid characters"), "{error}");
    // An update that is refused leaves what was there.
    let mut registration = registrar.register(instance()).await.unwrap();
    assert_eq!(registration.update(odd).await.unwrap_err().kind(), Kind::InvalidArgument);
    let error = registration.update(Instance::new("other", "127.0.0.1:1")).await.unwrap_err();
    assert!(error.message().contains("the id \"addsvc-1\" to \"other\""), "{error}");
    for _ in 0..2 {
        assert!(registration.changed().await.unwrap().error.is_none(), "it is tried no more");
    }
    let service = agent.get("/v1/agent/service/addsvc-1").await;
    assert_eq!((&service["Port"], &service["Meta"]), (&json!(8081), &json!({})));
}

#[tokio::test]
async fn a_watch_of_this_crate_shows_what_was_registered() {
    let Some(agent) = Agent::start().await else { return };
    let consul = agent.consul();
    let watch = consul.service("addsvc").watch().unwrap();
    let mut changes = watch.subscribe();
    let mut registration = quick(&consul).register(full()).await.unwrap();
    for weight in [7, 0, 65_535, 1] {
        let mut instance = full();
        instance.weight = weight;
        registration.update(instance.clone()).await.unwrap();
        // The one field that is not the same: an id is unique on its agent only.
        instance.id = "t1/addsvc-1".into();
        let shown = async {
            while let Some(now) = changes.changed().await {
                if matches!(&now.instances, Instances::Known(set) if set.iter().map(|it| &**it).eq([&instance])) {
                    break;
                }
            }
        };
        timeout(SOON, shown).await.unwrap_or_else(|_| panic!("{weight}: {:?}", changes.current()));
    }
}

#[tokio::test]
async fn another_kind_of_check_takes_the_place_of_the_one_of_an_earlier_run() {
    let Some(agent) = Agent::start().await else { return };
    let check = json!({"CheckID": "service:addsvc-1", "TTL": "60s"});
    let other = json!({"CheckID": "other", "TTL": "60s"});
    agent.register(json!({"ID": "addsvc-1", "Name": "addsvc", "Checks": [check, other]})).await;
    let registration = quick(&agent.consul()).check(Check::none()).register(instance()).await.unwrap();
    assert_eq!(agent.get("/v1/agent/checks").await, json!({}));
    registration.deregister().await.unwrap();
}
