//! Each kind of check turns passing at the real agent, and its settings are looked at.

use std::time::Duration;

use kit_base::{Kind, Readiness, Registrar as _};
use kit_sd_consul::{Check, Consul};
use kit_testing::backend::{Backend, Reply};
use kit_testing::ports;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic_health::ServingStatus;

use super::{instance, is, output, quick, until};
use crate::agent::{Agent, client};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_check_by_http_passes_while_the_page_answers_and_is_critical_when_it_does_not() {
    let Some(agent) = Agent::start().await else { return };
    let page = Backend::start(Reply::ok().body("well")).await.unwrap();
    let addr = page.addr();
    let check_by_http = Check::http(page.url(), SECOND).timeout(SECOND);
    let _registration = quick(&agent.consul()).check(check_by_http).register(instance()).await.unwrap();
    until("it passes", || is(&agent, "passing")).await;
    assert!(output(&agent).await.contains("200 OK Output: well"));
    page.stop().await;
    let page = Backend::start_at(addr, Reply::status(503)).await.unwrap();
    until("it is critical", || is(&agent, "critical")).await;
    page.stop().await;
    let _page = Backend::start_at(addr, Reply::status(429)).await.unwrap();
    until("it is a warning", || is(&agent, "warning")).await;
}

#[tokio::test]
async fn a_check_by_tcp_passes_while_the_port_accepts() {
    let Some(agent) = Agent::start().await else { return };
    let listener = ports::listener().unwrap();
    let addr = listener.local_addr().unwrap();
    let check_by_tcp = Check::tcp(addr.to_string(), SECOND);
    let _registration = quick(&agent.consul()).check(check_by_tcp).register(instance()).await.unwrap();
    until("it passes", || is(&agent, "passing")).await;
    drop(listener);
    until("it is critical", || is(&agent, "critical")).await;
}

#[tokio::test]
async fn a_check_by_grpc_passes_while_the_health_service_says_so() {
    let Some(agent) = Agent::start().await else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("pb.Add", ServingStatus::Serving).await;
    let server = tonic::transport::Server::builder().add_service(service);
    let server = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let check_by_grpc = Check::grpc(format!("{addr}/pb.Add"), SECOND);
    let _registration = quick(&agent.consul()).check(check_by_grpc).register(instance()).await.unwrap();
    until("it passes", || is(&agent, "passing")).await;
    reporter.set_service_status("pb.Add", ServingStatus::NotServing).await;
    until("it is critical", || is(&agent, "critical")).await;
    server.abort();
}

#[tokio::test]
async fn without_a_check_an_instance_passes() {
    let Some(agent) = Agent::start().await else { return };
    let _registration = quick(&agent.consul()).check(Check::none()).register(instance()).await.unwrap();
    until("it is there", || async { super::entries(&agent).await.len() == 1 }).await;
    assert_eq!(agent.get("/v1/agent/checks").await, serde_json::json!({}));
}

#[tokio::test]
async fn the_heartbeat_outlives_its_time_and_says_whether_the_process_is_ready() {
    let Some(agent) = Agent::start().await else { return };
    let readiness = Readiness::new();
    let registrar = quick(&agent.consul()).check(Check::ttl(2 * SECOND)).readiness(readiness.clone());
    let _registration = registrar.register(instance()).await.unwrap();
    until("it is critical", || is(&agent, "critical")).await;
    assert_eq!(output(&agent).await, "the process is not ready");
    readiness.set(true);
    until("it passes", || is(&agent, "passing")).await;
    let begun = Instant::now();
    while begun.elapsed() < 3 * SECOND {
        assert!(is(&agent, "passing").await);
        assert_eq!(output(&agent).await, "the process is ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    readiness.set(false);
    until("it is critical", || is(&agent, "critical")).await;
}

#[tokio::test]
async fn a_change_of_the_readiness_does_not_wait_for_the_next_heartbeat() {
    let Some(agent) = Agent::start().await else { return };
    let readiness = Readiness::new();
    // The next one would be sent in a minute.
    let registrar = quick(&agent.consul()).check(Check::ttl(Duration::from_secs(180))).readiness(readiness.clone());
    let _registration = registrar.register(instance()).await.unwrap();
    for (ready, status) in [(true, "passing"), (false, "critical"), (true, "passing")] {
        readiness.set(ready);
        until(status, || is(&agent, status)).await;
    }
}

#[tokio::test]
async fn settings_of_a_check_that_make_no_sense_are_refused_with_their_value() {
    let registrar = || quick(&Consul::new(client(), "127.0.0.1:1").unwrap());
    let short = Duration::from_millis(999);
    let cases = [
        (registrar().check(Check::ttl(short)), "TTL of the check must be from 1s"),
        (registrar().check(Check::ttl(Duration::MAX)), "TTL of the check must be from 1s"),
        (registrar().check(Check::http("http://a", short)), "got 999ms"),
        (registrar().check(Check::tcp(" ", SECOND)), "empty address"),
        (registrar().check(Check::tcp("a:1", SECOND).timeout(Duration::ZERO)), "time-out of the check"),
        (registrar().check(Check::ttl(SECOND).timeout(SECOND)), "has a time-out, got 1s"),
        (registrar().check(Check::http("http://a", SECOND).over_tls()), "only a check by gRPC is asked over TLS"),
        (registrar().check(Check::none()).readiness(Readiness::new()), "readiness needs a TTL check"),
        (registrar().deregister_critical_after(Duration::from_secs(59)), "must be from 60s"),
        (registrar().poll_interval(Duration::MAX), "poll interval must be from 1s"),
    ];
    for (registrar, why) in cases {
        let error = registrar.register(instance()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.to_string().contains(why), "{error} has no {why}");
    }
}
