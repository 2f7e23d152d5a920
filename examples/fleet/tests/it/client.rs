//! A whole client of the fleet over either transport, and what it tried at each instance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use addsvc::{Add, AddEndpoints, ConcatReply, ConcatRequest, Replies, SumReply, SumRequest, decode_error};
use fleet::Backend;
use kit_base::{Connect, Error, Instance, Instancer, Origin, Unary};
use kit_lb::{Endpointer, Member};
use kit_transport_grpc::{Connections, GrpcClient, Prost};
use kit_transport_http::HttpClient;

/// What must come is waited for this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What was tried at the instances and failed there; the balancer may have taken the call to another one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tries {
    failed: Arc<Mutex<Vec<Try>>>,
}

/// A try that failed.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    /// The instance.
    pub(crate) id: String,
    pub(crate) origin: Origin,
    #[expect(dead_code, reason = "for who reads why a test failed")]
    pub(crate) why: String,
}

impl Tries {
    /// Notes what fails at an instance.
    fn at(&self, id: &str) -> impl Fn(Option<&Error>) + Send + Sync + 'static {
        let (failed, id) = (Arc::clone(&self.failed), id.to_owned());
        move |error| {
            if let Some(error) = error {
                let (origin, why) = (error.origin(), format!("{error:?}"));
                failed.lock().unwrap().push(Try { id: id.clone(), origin, why });
            }
        }
    }

    pub(crate) fn failed(&self) -> Vec<Try> {
        self.failed.lock().unwrap().clone()
    }

    /// Those that had been sent, so that nobody knows whether they were done.
    pub(crate) fn broken(&self) -> Vec<Try> {
        self.failed().into_iter().filter(|one| one.origin != Origin::NotSent).collect()
    }
}

/// The connections that there are, by their instances' ids.
type Alive = Arc<Mutex<BTreeMap<String, Weak<()>>>>;

/// A transport to one instance.
pub(crate) trait Transport:
    Connect<Unary, SumRequest, SumReply> + Connect<Unary, ConcatRequest, ConcatReply> + Send + Sync + 'static
{
    fn to(url: &str, finished: impl Fn(Option<&Error>) + Send + Sync + 'static) -> Self;
}

pub(crate) type Http = HttpClient;
pub(crate) type Grpc = GrpcClient<Connections, (Prost, Replies)>;

impl Transport for Http {
    fn to(url: &str, finished: impl Fn(Option<&Error>) + Send + Sync + 'static) -> Self {
        HttpClient::new(url).unwrap().error_decoder(decode_error).finalizer(move |call| finished(call.error))
    }
}

impl Transport for Grpc {
    fn to(url: &str, finished: impl Fn(Option<&Error>) + Send + Sync + 'static) -> Self {
        GrpcClient::new(url).unwrap().codec((Prost, Replies)).finalizer(move |call| finished(call.error))
    }
}

pub(crate) struct Client<C> {
    endpointer: Endpointer<C>,
    alive: Alive,
    pub(crate) tries: Tries,
}

impl<C: Transport> Client<C> {
    pub(crate) fn new(instancer: impl Instancer + 'static) -> Self {
        let (alive, tries) = (Alive::default(), Tries::default());
        let (known, noting) = (Arc::clone(&alive), tries.clone());
        let factory = move |instance: &Instance| {
            let living = Arc::new(());
            known.lock().unwrap().insert(instance.id.clone(), Arc::downgrade(&living));
            let note = noting.at(&instance.id);
            Ok::<_, Error>(C::to(&format!("http://{}", instance.address), move |error| {
                let _living = &living;
                note(error);
            }))
        };
        Self { endpointer: Endpointer::new(instancer, factory), alive, tries }
    }

    /// The service, balanced.
    pub(crate) fn service(&self) -> impl Add + use<C> {
        AddEndpoints::connect(&self.endpointer.balancer())
    }

    /// What the set knows of an instance.
    pub(crate) fn member(&self, id: &str) -> Option<Member> {
        self.endpointer.snapshot().members.into_iter().find(|member| member.instance.id == id)
    }

    /// Waits until an instance has answered so many more calls.
    pub(crate) async fn until_answers(&self, id: &str, calls: u64) {
        let answered = || self.member(id).map_or(0, |member| member.calls - member.failures - member.in_flight);
        let wanted = answered() + calls;
        until(&format!("{calls} answers of {id}"), || answered() >= wanted).await;
    }

    /// Waits until the set has let go of an instance: no call goes there, and none is there any more.
    pub(crate) async fn until_gone(&self, id: &str) {
        until(&format!("{id} to leave the set"), || self.member(id).is_none()).await;
        let lives = || self.alive.lock().unwrap().get(id).is_some_and(|living| living.strong_count() > 0);
        until(&format!("the connection to {id} to be dropped"), || !lives()).await;
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A backend as discovery knows it.
pub(crate) fn instance(backend: &Backend) -> Instance {
    Instance::new(backend.name(), backend.addr().to_string())
}
