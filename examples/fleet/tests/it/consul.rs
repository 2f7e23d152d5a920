//! A rolling restart with a real Consul between backends and clients.

use std::path::PathBuf;

use fleet::{Agent, consul_at};
use kit_testing::tools::skip_unless_or;

use crate::client::{Client, Grpc, Http, Transport, until};
use crate::load::Load;
use crate::start;

/// Consul, or a line that says how to get it.
pub(crate) fn program() -> Option<PathBuf> {
    let found = Agent::program();
    let name = found.clone().unwrap_or_else(|| "consul".into());
    skip_unless_or(&name.to_string_lossy(), "run `cargo xtask servers consul`").then_some(found).flatten()
}

fn client<C: Transport>(agent: &Agent) -> Client<C> {
    Client::new(consul_at(&agent.addr()).unwrap().service("addsvc").watch().unwrap())
}

/// Each is only told to stop: it leaves Consul by itself, serves on until the clients can know, and ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes 15 s: each that leaves waits until whoever watches Consul can have seen it"]
async fn a_rolling_restart_of_five_that_register_at_consul_fails_no_request_over_either_transport() {
    let Some(program) = program() else { return };
    let agent = Agent::start(&program).await.unwrap();
    let addr = agent.addr();
    let names: Vec<String> = (1..=5).map(|n| format!("addsvc-{n}")).collect();
    let mut backends: Vec<_> =
        names.iter().map(|name| start(name, &["--latency", "5ms", "--id", name, "--consul-addr", &addr])).collect();
    let (http, grpc) = (client::<Http>(&agent), client::<Grpc>(&agent));
    let at_consul = |name: &str| format!("fleet/{name}");
    for id in names.iter().map(|name| at_consul(name)) {
        until(&id, || http.member(&id).is_some() && grpc.member(&id).is_some()).await;
    }
    let loads = [Load::start(http.service()), Load::start(grpc.service())];
    for backend in &mut backends {
        let id = at_consul(backend.name());
        http.until_answers(&id, 50).await;
        grpc.until_answers(&id, 50).await;
        assert_eq!(backend.stop().unwrap().code(), Some(0));
        http.until_gone(&id).await;
        grpc.until_gone(&id).await;
        backend.restart().unwrap();
        http.until_answers(&id, 50).await;
        grpc.until_answers(&id, 50).await;
    }
    for load in loads {
        let report = load.end().await;
        assert!(report.failed.is_empty(), "of {}: {:#?}", report.calls, report.failed);
        assert!(report.calls > 3_000, "{}", report.calls);
    }
    for tries in [http.tries.failed(), grpc.tries.failed()] {
        assert!(tries.is_empty(), "{tries:#?}");
    }
}
