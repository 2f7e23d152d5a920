//! A breaker for each instance, in the factory of a live set: one of three instances answers UNAVAILABLE, and gets well again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use addsvc::{Add, AddEndpoints, AddError, Adder, ConcatReply, ConcatRequest, Replies, SumReply, SumRequest};
use kit_base::{Connect, Context, Error, FromService, Guard, Instance, Kind, Origin, Unary};
use kit_breaker::{Breaker, Settings, State};
use kit_lb::{ByCause, Endpointer, Fixed, PerInstance, RoundRobin};
use kit_transport_grpc::{BuildError, Connections, GrpcClient, Prost};
use outgoing::Services;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower_layer::Layer;

use crate::registry::serve_add;

const OPEN_FOR: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

/// Adds, unless it is ill.
#[derive(Clone, Default)]
struct Patient {
    ill: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Patient {
    fn called(&self) -> Result<(), AddError> {
        self.calls.fetch_add(1, SeqCst);
        match self.ill.load(SeqCst) {
            true => Err(AddError::Other(Error::unavailable("out for lunch"))),
            false => Ok(()),
        }
    }
}

impl Add for Patient {
    async fn sum(&self, cx: &Context, req: SumRequest) -> Result<SumReply, AddError> {
        self.called()?;
        Adder.sum(cx, req).await
    }

    async fn concat(&self, cx: &Context, req: ConcatRequest) -> Result<ConcatReply, AddError> {
        self.called()?;
        Adder.concat(cx, req).await
    }
}

/// The breakers that there are, by their instances.
type Circuits<G> = Arc<Mutex<HashMap<String, G>>>;

fn breaker(instance: &Instance) -> Breaker {
    Breaker::new(Settings::gobreaker().open_for(OPEN_FOR)).unwrap().named(instance.id.clone())
}

/// Calls one method after the other, and counts those that were lost.
async fn lost(add: &impl Add, calls: u32) -> u32 {
    let mut lost = 0;
    for n in 0..calls {
        let answered = match n % 2 {
            0 => add.sum(&Context::new(), SumRequest { a: 1, b: 2 }).await.map(|reply| assert_eq!(reply.v, 3)),
            _ => {
                let req = ConcatRequest { a: "a".to_owned(), b: "b".to_owned() };
                add.concat(&Context::new(), req).await.map(|reply| assert_eq!(reply.v, "ab"))
            }
        };
        lost += u32::from(answered.is_err());
    }
    lost
}

/// One of three falls ill, is left alone, and gets well; all of its methods share the breaker. A rest of it begins with so many
/// refusals that are lost calls.
async fn one_of_three_falls_ill<C, G>(
    refusals: u32,
    make: impl Fn(&Instance) -> Result<(C, G), BuildError> + Send + Sync + 'static,
    state: impl Fn(&G) -> State,
) where
    C: Connect<Unary, SumRequest, SumReply> + Connect<Unary, ConcatRequest, ConcatReply> + Send + Sync + 'static,
    G: Send + 'static,
{
    let patient = Patient::default();
    let ill = serve_add(patient.clone()).await;
    let instances = [serve_add(Adder).await, ill.clone(), serve_add(Adder).await];
    let circuits = Circuits::default();
    let set = {
        let circuits = Arc::clone(&circuits);
        Endpointer::new(Fixed::new(instances), move |instance: &Instance| {
            let (client, circuit) = make(instance)?;
            circuits.lock().unwrap().insert(instance.id.clone(), circuit);
            Ok::<_, BuildError>(client)
        })
    };
    let add = AddEndpoints::connect(&set.balanced_by(RoundRobin::new()));
    let state = || state(&circuits.lock().unwrap()[&ill.id]);
    assert_eq!(lost(&add, 6).await, 0);
    assert_eq!(patient.calls.load(SeqCst), 2);

    // Six are lost to it, until its circuit opens.
    patient.ill.store(true, SeqCst);
    assert_eq!((lost(&add, 18).await, state()), (6, State::Open));
    let begun = Instant::now();
    let lost_to_refusals = lost(&add, 60).await;
    // Later, a call that tries may be among them.
    if begun.elapsed() < OPEN_FOR {
        assert_eq!((lost_to_refusals, patient.calls.load(SeqCst)), (refusals, 8));
    }

    // It gets well, one call finds out, and it has its share again.
    patient.ill.store(false, SeqCst);
    let (before, begun) = (patient.calls.load(SeqCst), Instant::now());
    while patient.calls.load(SeqCst) < before + 10 {
        assert!(lost(&add, 1).await <= refusals);
        assert!(begun.elapsed() < PATIENCE, "{set:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(state(), State::Closed);
}

fn client(instance: &Instance) -> Result<GrpcClient<Connections, (Prost, Replies)>, BuildError> {
    Ok(GrpcClient::new(format!("http://{}", instance.address))?.codec((Prost, Replies)))
}

#[tokio::test]
async fn around_kits_client_no_call_is_lost_to_an_open_circuit() {
    let make = |instance: &Instance| {
        let circuit = PerInstance::new(breaker(instance));
        Ok((circuit.layer(client(instance)?), circuit))
    };
    one_of_three_falls_ill(0, make, |circuit| circuit.gate().state_at(Instant::now())).await;
}

/// It judges by the grpc-status then. What it refuses there does not come back.
#[tokio::test]
async fn below_kits_client_an_open_circuit_costs_a_call_a_rest() {
    let make = |instance: &Instance| {
        let (url, circuit) = (format!("http://{}", instance.address), Guard::new(breaker(instance)));
        Ok((GrpcClient::over(url, circuit.layer(Connections::new()))?.codec((Prost, Replies)), circuit))
    };
    one_of_three_falls_ill(1, make, |circuit| circuit.gate().state_at(Instant::now())).await;
}

/// Over tower services the request does not come back, so each rest of the instance begins with a call that is lost.
#[tokio::test]
async fn around_stock_tonics_channels_an_open_circuit_costs_a_call_a_rest_and_no_more() {
    let services =
        [Services::start().await.unwrap(), Services::start().await.unwrap(), Services::start().await.unwrap()];
    let addresses = services.each_ref().map(|service| service.health.strip_prefix("http://").unwrap().to_owned());
    let set = Endpointer::with(kit_lb::Settings::new(), ByCause, Fixed::at(addresses), |instance: &Instance| {
        let circuit = Guard::new(Breaker::default().named(instance.id.clone()));
        let channel = Channel::from_shared(format!("http://{}", instance.address))?.connect_lazy();
        Ok::<_, http::uri::InvalidUri>(circuit.layer(FromService::new(channel)))
    });
    let client = HealthClient::new(set.balanced_by(RoundRobin::new()).into_http_service());
    let check = || async { client.clone().check(HealthCheckRequest::default()).await.err() };
    services[1].ill.store(true, SeqCst);
    let mut errors = Vec::new();
    for _ in 0..100 {
        errors.extend(check().await);
    }
    assert_eq!(services[1].calls.load(SeqCst), 6);
    assert_eq!(errors.len(), 7, "{errors:?}");
    assert!(errors.iter().all(|status| status.code() == Code::Unavailable), "{errors:?}");
    assert_eq!(errors[6].message(), "circuit breaker is open");
    assert!(set.snapshot().members.iter().filter(|member| member.resting).count() == 1);
}

#[tokio::test]
async fn where_all_circuits_are_open_the_caller_is_told_when_to_come_back() {
    let patient = Patient::default();
    patient.ill.store(true, SeqCst);
    let instances = [serve_add(patient.clone()).await, serve_add(patient.clone()).await];
    let set = Endpointer::new(Fixed::new(instances), |instance: &Instance| {
        Ok::<_, BuildError>(PerInstance::new(Breaker::default().named(instance.id.clone())).layer(client(instance)?))
    });
    let add = AddEndpoints::connect(&set.balancer());
    let begun = Instant::now();
    while set.snapshot().members.iter().any(|member| !member.resting) {
        assert!(begun.elapsed() < PATIENCE, "{set:?}");
        lost(&add, 1).await;
    }
    let reached = patient.calls.load(SeqCst);
    assert_eq!(reached, 12);
    let Err(AddError::Other(error)) = add.sum(&Context::new(), SumRequest { a: 1, b: 2 }).await else {
        panic!("no refusal");
    };
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::LocalRefusal));
    assert!(error.retry_after().is_some_and(|after| after <= Duration::from_secs(60)), "{error:?}");
    assert_eq!(patient.calls.load(SeqCst), reached);
}
