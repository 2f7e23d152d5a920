//! An instance that is registered, and stays so.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use kit_base::{Backoff, Error, Instance, Kind, Pauses};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::Consul;
use crate::call::Answer;
use crate::keeper::{Command, Keeper};
use crate::passing::{again, asked_pause, passes};
use crate::plan::{LONGEST, Plan};
use crate::service::Service;

/// How long `deregister` tries.
const DEREGISTER: Duration = Duration::from_secs(10);

/// The time that a watcher leaves between its queries, unless set otherwise, in this crate; and time for its answer.
const WATCHERS: Duration = Duration::from_millis(1_500);

/// How the registration fares.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RegistrationState {
    /// Since when the agent knows the instance, as far as is known; nothing while it does not. Stays where the agent
    /// cannot be asked.
    pub registered_since: Option<std::time::Instant>,
    /// When the agent last said that it knows it.
    pub confirmed: Option<std::time::Instant>,
    /// Why the last try failed; nothing while all is well.
    pub error: Option<Arc<Error>>,
}

/// An instance that is registered, and stays so: its task sends the heartbeat, or asks the agent whether it still knows the
/// instance, and registers it again where it does not.
///
/// *Drop* ends the task and its open request at once, and then tries for at most 2 s, in the background, to
/// deregister. Only a registration that is on its way has half of that for its answer, lest the agent take it after
/// the deregistration. Where the runtime ends before, or the agent does not answer, the instance stays until Consul finds it
/// critical for as long as the registrar says. To know, call [`deregister`](kit_base::Registration::deregister).
#[derive(Debug)]
#[must_use = "dropping it deregisters"]
pub struct ConsulRegistration {
    consul: Consul,
    plan: Plan,
    service: Service,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<RegistrationState>,
}

impl ConsulRegistration {
    pub(crate) fn begin(consul: &Consul, plan: &Plan, pauses: Pauses, service: Service) -> Result<Self, Error> {
        let runtime = Handle::try_current()
            .map_err(|_| Error::failed_precondition("a registration needs a tokio runtime, and there is none here"))?;
        let (commands, received) = mpsc::channel(1);
        let (publish, state) = watch::channel(RegistrationState::default());
        let keeper = Keeper::new(consul.clone(), plan.clone(), pauses, service.clone(), publish);
        runtime.spawn(keeper.run(received));
        Ok(Self { consul: consul.clone(), plan: plan.clone(), service, commands, state })
    }

    /// How it fares now.
    pub fn state(&self) -> RegistrationState {
        self.state.borrow().clone()
    }

    /// How it fares at the next news: after each heartbeat or question to the agent, and when the instance was lost.
    /// Nothing when its task has ended with its runtime.
    ///
    /// *Cancellation:* nothing is lost.
    pub async fn changed(&mut self) -> Option<RegistrationState> {
        self.state.changed().await.ok()?;
        Some(self.state.borrow_and_update().clone())
    }

    /// Changes the instance in place: its address, weight, tags and the rest, but not its id. The checks keep their state,
    /// so that watchers see the change and no gap. Answers when the agent has taken it.
    ///
    /// # Errors
    /// - `InvalidArgument`: a field makes no sense, to this crate or to Consul; the instance stays as it was.
    /// - Else the agent cannot be reached, or refuses it: it is tried again until the agent takes it, or until the
    ///   next update.
    ///
    /// *Cancellation:* the change is made all the same.
    pub async fn update(&mut self, instance: Instance) -> Result<(), Error> {
        if instance.id != self.service.id {
            let message = format!("an update cannot change the id {:?} to {:?}", self.service.id, instance.id);
            return Err(Error::invalid_argument(message));
        }
        let service = Service::new(&self.plan, instance)?;
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Update(Box::new(service.clone()), reply)).await.map_err(|_| ended())?;
        let before = std::mem::replace(&mut self.service, service);
        let result = answer.await.map_err(|_| ended())?;
        if result.as_ref().is_err_and(|error| error.kind() == Kind::InvalidArgument) {
            self.service = before;
        }
        result
    }

    /// Ends the registration as [`deregister`](kit_base::Registration::deregister) does, and then waits until watchers can
    /// have seen it: until Consul's catalog no longer lists the instance, and for 1.5 s more, since a watcher of this crate
    /// leaves up to 1 s between two queries.
    ///
    /// A program that stops calls this first, goes on serving meanwhile, and stops serving then: so a rolling restart loses
    /// no request. A watcher whose set would be empty without this instance keeps it for longer
    /// ([`empty_after`](crate::ServiceQuery::empty_after)). With ACLs, a token without `node:read` sees nothing in the catalog, so
    /// that only the 1.5 s are waited.
    ///
    /// # Errors
    /// `DeadlineExceeded`: the limit has passed first, the instance may still be seen. Else as `deregister`; and the catalog
    /// cannot be read.
    ///
    /// *Cancellation:* as a drop.
    pub async fn deregister_and_wait(self, limit: Duration) -> Result<(), Error> {
        let begun = Instant::now();
        let until = begun.checked_add(limit).unwrap_or(begun + LONGEST);
        let (consul, service) = (self.consul.clone(), self.service.clone());
        self.deregister_until(until).await?;
        let seen = async {
            gone(&consul, &service).await?;
            sleep(WATCHERS).await;
            Ok(())
        };
        let late = |_| {
            let id = &service.id;
            Error::deadline_exceeded(format!("{id:?} is deregistered, and watchers may still see it after {limit:?}"))
        };
        timeout_at(until, seen).await.map_err(late)?
    }

    async fn deregister_until(self, until: Instant) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Deregister(until, reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Why it is not registered, after a time without success.
    pub(crate) fn why_not(&self) -> Error {
        let late = || Error::deadline_exceeded(format!("{:?} was not registered in time", self.service.id));
        self.state().error.as_ref().map_or_else(late, again)
    }
}

impl kit_base::Registration for ConsulRegistration {
    /// Ends the registration, and says whether the agent knows of it. Tries for up to 10 s.
    ///
    /// # Errors
    /// The agent did not answer, or refused. The instance stays until Consul finds it critical for as long as the registrar
    /// says.
    ///
    /// *Cancellation:* as a drop.
    async fn deregister(self) -> Result<(), Error> {
        self.deregister_until(Instant::now() + DEREGISTER).await
    }
}

pub(crate) fn ended() -> Error {
    Error::unavailable("the task of the registration has ended with its runtime")
}

/// An entry of `/v1/catalog/service`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(rename = "ServiceID")]
    service_id: String,
    service_address: String,
    service_port: i64,
}

/// Waits until the catalog no longer lists it. The agent writes to it at once, as a rule.
async fn gone(consul: &Consul, service: &Service) -> Result<(), Error> {
    let pauses = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
    let pauses = pauses.and_then(|pauses| pauses.with_jitter(0.5));
    let mut pauses = pauses.map_err(|error| Error::internal(error.to_string()))?.pauses();
    // Ids are unique on an agent only; at one address there is one instance.
    let same = |entry: &Entry| {
        entry.service_id == service.id
            && entry.service_address == service.address
            && entry.service_port == i64::from(service.port)
    };
    loop {
        let call = consul.call(Method::GET, &["v1", "catalog", "service", &service.name]);
        match call.send().await.and_then(Answer::ok) {
            Ok(answer) if !answer.json::<Vec<Entry>>()?.iter().any(same) => return Ok(()),
            Ok(_) => sleep(pauses.next().unwrap_or_default()).await,
            Err(error) if passes(&error) => sleep(pauses.next().unwrap_or_default().max(asked_pause(&error))).await,
            Err(error) => return Err(error),
        }
    }
}
