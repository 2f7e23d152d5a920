//! One connection an instance: kept, tried again, and let go when its last call has ended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit_base::{Backoff, Endpoint, Error, Event, Instance, Instancer, Publisher, Request, Response, Subscription};
use kit_lb::{Endpointer, Fixed, Registry, RoundRobin, Settings};
use kit_testing::mock::MockEndpoint;
use tokio::time::Instant;

use crate::support::{Alive, Named, call, settled};

type Mock = MockEndpoint<Request<()>, Response<String>, Error>;

/// Go kit's SD-1.
#[tokio::test]
async fn an_instance_that_stays_keeps_its_connection_and_its_record_whatever_else_is_said_of_it() {
    let (registry, made) = (Registry::new(), Arc::new(Mutex::new(Vec::new())));
    let factory = {
        let (made, named) = (made.clone(), Named::factory(&Arc::default()));
        move |instance: &Instance| {
            made.lock().unwrap().push(instance.address.clone());
            named(instance)
        }
    };
    registry.insert(Instance::new("a", "a:1"));
    let set = Endpointer::new(registry.clone(), factory);
    let balancer = set.balanced_by(RoundRobin::new());
    call(&balancer).await;

    let mut told = Instance::new("a", "a:1");
    (told.weight, told.zone, told.tags) = (7, Some("eu".into()), vec!["new".into()]);
    told.metadata.insert("k".into(), "v".into());
    registry.insert(told.clone());
    registry.insert(Instance::new("b", "b:1"));
    settled().await;
    call(&balancer).await;
    let members = set.snapshot().members;
    assert_eq!((&*members[0].instance, members[0].calls), (&told, 1));
    assert_eq!(*made.lock().unwrap(), ["a:1", "b:1"]);

    // Another address is another instance under the old name.
    told.address = "c:1".into();
    registry.insert(told.clone());
    settled().await;
    assert_eq!(set.snapshot().members[0].calls, 0);
    told.scheme = Some("https".into());
    registry.insert(told.clone());
    settled().await;
    told.server_name = Some("c.example".into());
    registry.insert(told);
    settled().await;
    assert_eq!(*made.lock().unwrap(), ["a:1", "b:1", "c:1", "c:1", "c:1"]);
}

/// Go kit never tried again until the set changed, and the set did not change.
#[tokio::test(start_paused = true)]
async fn a_connection_that_could_not_be_made_is_tried_again_and_the_others_serve_meanwhile() {
    let tries = Arc::new(Mutex::new(Vec::new()));
    let factory = {
        let (tries, named, begun) = (tries.clone(), Named::factory(&Arc::default()), Instant::now());
        move |instance: &Instance| {
            if instance.id == "bad:1" {
                let count = {
                    let mut tries = tries.lock().unwrap();
                    tries.push(begun.elapsed());
                    tries.len()
                };
                match count {
                    1 => return Err("no route".to_owned()),
                    2 => panic!("the factory is broken"),
                    3 => return Err("no route still".to_owned()),
                    _ => {}
                }
            }
            named(instance).map_err(|never| match never {})
        }
    };
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10)).unwrap().with_jitter(0.0).unwrap();
    let settings = Settings::new().retry(backoff);
    let set = Endpointer::with(settings, kit_base::Standard, Fixed::at(["bad:1", "good:1"]), factory);
    let balancer = set.balanced_by(RoundRobin::new());
    for _ in 0..3 {
        assert_eq!(call(&balancer).await, "good:1");
    }
    assert!(!set.snapshot().members[0].connected);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(*tries.lock().unwrap(), [0, 1, 3, 7].map(Duration::from_secs));
    assert!(set.snapshot().members[0].connected);
    assert_ne!(call(&balancer).await, call(&balancer).await);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(tries.lock().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn when_no_connection_can_be_made_calls_fail_with_the_reason() {
    let set = Endpointer::new(Fixed::at(["a:1"]), |_: &Instance| Err::<Named, _>("certificate expired"));
    let error = set.balancer().call(Request::new(())).await.unwrap_err();
    assert_eq!(error.message(), "no endpoints available: no instance can be connected");
    let failure = std::error::Error::source(&error).unwrap();
    assert_eq!(failure.source().unwrap().to_string(), "certificate expired");
}

/// An endpoint that answers when told, and is counted while it lives.
struct Slow {
    inner: Mock,
    _alive: Alive,
}

impl Endpoint<Request<()>> for Slow {
    type Response = Response<String>;
    type Error = Error;

    async fn call(&self, request: Request<()>) -> Result<Response<String>, Error> {
        self.inner.call(request).await
    }
}

/// Go kit closed the connection under the calls that ran on it.
#[tokio::test]
async fn the_connection_of_an_instance_that_is_gone_is_dropped_when_its_last_call_has_ended() {
    let (registry, alive) = (Registry::new(), Arc::new(AtomicUsize::new(0)));
    let (inner, mut handle) = Mock::pair();
    let factory = {
        let alive = alive.clone();
        move |_: &Instance| Ok::<_, std::io::Error>(Slow { inner: inner.clone(), _alive: Alive::new(&alive) })
    };
    registry.insert(Instance::new("a", "a:1"));
    let set = Endpointer::new(registry.clone(), factory);
    let running = tokio::spawn({
        let balancer = set.balancer();
        async move { balancer.call(Request::new(())).await.map(Response::into_message) }
    });
    settled().await;
    assert_eq!(set.snapshot().members[0].in_flight, 1);
    registry.remove("a");
    settled().await;
    assert_eq!((set.snapshot().members.len(), alive.load(SeqCst)), (0, 1));
    handle.try_next().expect("the call").ok("late".to_owned().into_response());
    assert_eq!(running.await.unwrap().unwrap(), "late");
    settled().await;
    assert_eq!(alive.load(SeqCst), 0);
}

trait IntoResponse {
    fn into_response(self) -> Response<String>;
}

impl IntoResponse for String {
    fn into_response(self) -> Response<String> {
        Response::new(self)
    }
}

/// An instancer that tells when it is dropped.
struct Telling(Publisher, #[expect(dead_code, reason = "its drop is seen")] Alive);

impl Instancer for Telling {
    fn subscribe(&self) -> Subscription {
        self.0.subscribe()
    }
}

#[tokio::test]
async fn the_last_handle_ends_the_task_the_instancer_and_the_connections() {
    let (instancers, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let publisher = Publisher::new();
    publisher.publish(vec![Instance::new("a", "a:1")], std::time::Instant::now());
    let instancer = Telling(publisher, Alive::new(&instancers));
    let set = Endpointer::new(instancer, Named::factory(&connections));
    let balancer = set.balancer();
    let clone = balancer.clone();
    drop((set, balancer));
    settled().await;
    assert_eq!((instancers.load(SeqCst), connections.load(SeqCst)), (1, 1));
    assert_eq!(call(&clone).await, "a");
    drop(clone);
    settled().await;
    assert_eq!((instancers.load(SeqCst), connections.load(SeqCst)), (0, 0));
}

#[tokio::test]
async fn what_is_picked_counts_as_a_call_while_it_is_held() {
    let set = Endpointer::new(Fixed::at(["a:1"]), Named::factory(&Arc::default()));
    let picked = set.balancer().pick().unwrap();
    assert_eq!(set.snapshot().members[0].in_flight, 1);
    assert_eq!(call(picked.connection()).await, "a:1");
    drop(picked);
    let member = &set.snapshot().members[0];
    assert_eq!((member.in_flight, member.calls, member.failures), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_the_set_is_told() {
    let told: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let observer = {
        let told = told.clone();
        move |event: &Event<'_>| {
            let line = format!("{} {} {}", event.source, event.what, event.key);
            *told.lock().unwrap().entry(line).or_default() += 1;
        }
    };
    let registry = Registry::new();
    let named = Named::factory(&Arc::default());
    let factory = move |instance: &Instance| match &*instance.id {
        "bad" => Err("no"),
        _ => named(instance).map_err(|never| match never {}),
    };
    let set = Endpointer::with(Settings::new().observer(observer), kit_base::Standard, registry.clone(), factory);
    registry.insert(Instance::new("a", "a:1"));
    registry.insert(Instance::new("bad", "bad:1"));
    settled().await;
    registry.remove("a");
    settled().await;
    let told = told.lock().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(told, ["lb added a", "lb connect_failed bad", "lb removed a"]);
    drop(set);
}
