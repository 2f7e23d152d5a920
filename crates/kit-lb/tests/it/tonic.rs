//! Stock tonic over kit-lb: generated clients, channels and servers that know nothing of kit.

mod backend;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use kit_base::{Error, FromService, Instance, Publisher};
use kit_lb::{ByCause, Choice, Endpointer, LeastLoaded, Member, Registry, RoundRobin, Settings};
use tokio::time::timeout;
use tonic::codegen::{Body, Bytes, Service, StdError};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use backend::Backend;

/// Whatever takes longer hangs.
const HANGS: Duration = Duration::from_secs(20);

type Set = Endpointer<FromService<Channel>, ByCause>;

fn channel(instance: &Instance) -> Result<Channel, tonic::transport::Error> {
    Ok(Endpoint::from_shared(format!("http://{}", instance.address))?.connect_lazy())
}

fn ask(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.into() }
}

/// What generated clients ask of a service, under one name.
trait Over:
    Service<
        http::Request<tonic::body::Body>,
        Response = http::Response<Self::Body>,
        Error: Into<StdError> + std::fmt::Debug,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    type Body: Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static;
}

impl<T, B> Over for T
where
    T: Service<http::Request<tonic::body::Body>, Response = http::Response<B>> + Clone + Send + 'static,
    T::Error: Into<StdError> + std::fmt::Debug,
    T::Future: Send,
    B: Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    type Body = B;
}

fn client<Ch: Choice>(set: &Set, choice: Ch) -> HealthClient<impl Over> {
    HealthClient::new(set.balanced_by(choice).into_http_service())
}

fn fleet(registry: &Registry) -> Vec<Backend> {
    let backends: Vec<_> = (0..3).map(Backend::start).collect();
    backends.iter().for_each(|backend| registry.insert(backend.instance.clone()));
    backends
}

async fn check(client: &HealthClient<impl Over>) -> Result<i32, Status> {
    let mut client = client.clone();
    let answer = timeout(HANGS, client.check(ask(""))).await.expect("no hang")?;
    Ok(answer.into_inner().status)
}

async fn served(client: &HealthClient<impl Over>, calls: usize) -> BTreeMap<i32, usize> {
    let mut served = BTreeMap::new();
    for _ in 0..calls {
        *served.entry(check(client).await.expect("an answer")).or_default() += 1;
    }
    served
}

async fn until(set: &Set, holds: impl Fn(&[Member]) -> bool) {
    let holds = async {
        while !holds(&set.snapshot().members) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(HANGS, holds).await.expect("it comes to hold");
}

#[tokio::test]
async fn a_generated_client_is_balanced_over_stock_backends_round_robin_and_by_load() {
    let registry = Registry::new();
    let backends = fleet(&registry);
    let set = Endpointer::services(registry.clone(), channel);
    let turns = client(&set, RoundRobin::new());
    assert_eq!(served(&turns, 300).await, BTreeMap::from([(0, 100), (1, 100), (2, 100)]));
    let by_load = served(&client(&set, LeastLoaded), 300).await;
    assert!(by_load.values().all(|calls| (50..200).contains(calls)) && by_load.len() == 3, "{by_load:?}");
    assert_eq!(backends.iter().map(|backend| backend.calls.load(SeqCst)).sum::<usize>(), 600);

    registry.remove("1");
    until(&set, |members| members.len() == 2).await;
    assert_eq!(served(&turns, 100).await, BTreeMap::from([(0, 50), (2, 50)]));
    assert_eq!(served(&client(&set, LeastLoaded), 100).await.into_keys().collect::<Vec<_>>(), [0, 2]);
}

#[tokio::test]
async fn streams_count_as_in_flight_until_they_end_and_by_load_go_where_fewer_run() {
    let registry = Registry::new();
    let _backends = fleet(&registry);
    let set = Endpointer::services(registry, channel);
    let mut client = client(&set, LeastLoaded);
    let in_flight = |members: &[Member]| members.iter().map(|member| member.in_flight).sum::<u64>();
    let mut streams = Vec::new();
    for _ in 0..30 {
        let mut stream = client.watch(ask("")).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        streams.push(stream);
    }
    let members = set.snapshot().members;
    assert_eq!(in_flight(&members), 30);
    assert!(members.iter().all(|member| (7..=13).contains(&member.in_flight)), "{members:?}");
    drop(streams);
    until(&set, |members| in_flight(members) == 0).await;

    // One that ends by itself, one that fails at its end.
    for (told, failures) in [("end", 0), ("fail", 1)] {
        let mut stream = client.watch(ask(told)).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        let end = stream.message().await;
        assert_eq!(end.map_err(|status| status.code()), if failures == 0 { Ok(None) } else { Err(Code::Internal) });
        until(&set, |members| in_flight(members) == 0).await;
        let failed: u64 = set.snapshot().members.iter().map(|member| member.failures).sum();
        assert_eq!(failed, failures, "the status in the trailers is judged");
    }
}

#[tokio::test]
async fn a_unary_call_that_hangs_is_in_flight_until_its_caller_leaves() {
    let registry = Registry::new();
    let _backends = fleet(&registry);
    let set = Endpointer::services(registry, channel);
    let mut client = client(&set, RoundRobin::new());
    let hanging = tokio::spawn(async move { client.check(ask("hang")).await });
    until(&set, |members| members[0].in_flight == 1).await;
    hanging.abort();
    until(&set, |members| members[0].in_flight == 0).await;
}

#[tokio::test]
async fn an_empty_set_arrives_as_unavailable_with_its_reason_and_at_once() {
    let registry = Registry::new();
    let set = Endpointer::services(registry.clone(), channel);
    let status = check(&client(&set, LeastLoaded)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "no endpoints available: the service has no instances");
    // And it is no end: an instance may come.
    let backend = Backend::start(7);
    registry.insert(backend.instance.clone());
    until(&set, |members| members.len() == 1).await;
    assert_eq!(check(&client(&set, LeastLoaded)).await.unwrap(), 7);

    let publisher = Publisher::new();
    let set = Endpointer::services(publisher.clone(), channel);
    publisher.fail(Error::unavailable("no leader"));
    let status = check(&client(&set, LeastLoaded)).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "no endpoints available: the registry cannot be asked")
    );
}

#[tokio::test]
async fn while_nothing_is_known_a_call_waits_and_a_deadline_that_passes_arrives_as_deadline_exceeded() {
    let publisher = Publisher::new();
    let set = Endpointer::services(publisher.clone(), channel);
    let mut client = client(&set, LeastLoaded);
    let mut request = Request::new(ask(""));
    request.set_timeout(Duration::from_millis(100));
    let begun = Instant::now();
    let status = timeout(HANGS, client.check(request)).await.expect("no hang").unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(begun.elapsed() >= Duration::from_millis(100));

    let backend = Backend::start(7);
    let waiting = tokio::spawn(async move { client.check(ask("")).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    publisher.publish(vec![backend.instance.clone()], Instant::now());
    assert_eq!(waiting.await.unwrap().unwrap().into_inner().status, 7);
}

#[tokio::test]
async fn a_backend_that_is_killed_fails_what_it_has_and_then_one_call_a_rest() {
    let registry = Registry::new();
    let mut backends = fleet(&registry);
    let set = Endpointer::services(registry, channel);
    let client = client(&set, RoundRobin::new());
    assert_eq!(served(&client, 30).await.len(), 3);
    let address = backends[0].instance.address.clone();
    backends[0].kill();
    // Discovery knows nothing of it. tonic finds the broken connection, then that nobody is there, and then it rests.
    let begun = Instant::now();
    let (mut calls, mut failed, mut rested) = (0, Vec::new(), false);
    while begun.elapsed() < Duration::from_millis(500) || calls < 30 {
        failed.extend(check(&client).await.err());
        rested |= set.snapshot().members[0].resting;
        calls += 1;
    }
    let codes: Vec<_> = failed.iter().map(Status::code).collect();
    // One or two broke off; the rests after those that were refused last at least 50, 100, 200, 400 ms and so on.
    let refused = 1 + (begun.elapsed().as_millis() / 50 + 1).ilog2() as usize;
    assert!((1..=2 + refused).contains(&codes.len()), "{codes:?} of {calls}, and at most {refused} refused");
    assert!(codes.contains(&Code::Unavailable), "{failed:?}");
    assert!(rested && set.snapshot().members[0].failures == codes.len() as u64, "{:?}", set.snapshot());
    assert!(set.snapshot().members[1..].iter().all(|member| member.failures == 0 && !member.resting));
    // Once it is back, so is its share.
    let _again = Backend::start_at(0, &address);
    let back = async { while !matches!(check(&client).await, Ok(0)) {} };
    timeout(HANGS, back).await.expect("it is called again");
}

#[tokio::test]
async fn without_by_cause_a_backend_that_is_down_fails_its_share() {
    let registry = Registry::new();
    let mut backends = fleet(&registry);
    let set = Endpointer::new(registry, |instance: &Instance| channel(instance).map(FromService::new));
    let client = HealthClient::new(set.balanced_by(RoundRobin::new()).into_http_service());
    backends[0].kill();
    let mut failed = 0;
    for _ in 0..90 {
        failed += usize::from(check(&client).await.is_err());
    }
    assert_eq!(failed, 30);
}

#[tokio::test]
async fn a_backend_that_is_busy_is_no_failure_and_its_status_arrives() {
    let registry = Registry::new();
    let _backends = fleet(&registry);
    let set = Endpointer::services(registry, channel);
    let status = client(&set, RoundRobin::new()).check(ask("busy")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "as told"));
    assert_eq!(set.snapshot().members[0].failures, 0);
}

#[tokio::test]
async fn settings_and_services_go_together() {
    let registry = Registry::new();
    let _backends = fleet(&registry);
    let settings = Settings::new().first_wait(Duration::from_secs(1));
    let connect = |instance: &Instance| channel(instance).map(FromService::new);
    let set: Set = Endpointer::with(settings, ByCause, registry, connect);
    assert_eq!(served(&client(&set, RoundRobin::new()), 3).await.len(), 3);
}
