//! Announces instances of a service to the agent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kit_base::{Backoff, Error, Instance, Observer, Pauses, Readiness};
use tokio::time::{Instant, timeout_at};

use crate::check::{SHORTEST, within};
use crate::passing::{again, passes};
use crate::plan::Plan;
use crate::registration::ended;
use crate::service::Service;
use crate::{Check, Consul, ConsulRegistration};

/// Consul forgets nothing earlier.
const MIN_CRITICAL_AFTER: Duration = Duration::from_secs(60);

/// Announces instances of a service to the agent: the settings of a [`ConsulRegistration`]. Cheap to clone.
///
/// ```no_run
/// use std::time::Duration;
/// use kit_base::{Instance, Readiness, Registrar as _};
/// use kit_sd_consul::{Check, Consul};
///
/// # async fn run(consul: Consul, readiness: Readiness) -> Result<(), kit_base::Error> {
/// let registrar = consul.registrar("addsvc").check(Check::ttl(Duration::from_secs(15))).readiness(readiness.clone());
/// let registration = registrar.register(Instance::new("addsvc-1", "10.0.0.7:8081")).await?;
/// // ... serve until the program is asked to stop ...
/// registration.deregister_and_wait(Duration::from_secs(10)).await?; // from here on, no new requests come
/// # Ok(()) }
/// ```
///
/// | of the instance | at Consul |
/// |---|---|
/// | `id` | `ID`. Unique on its **agent**, over all services: `addsvc-1`, not `1`. Of two registrations of one id, the later one counts, and the end of either takes it away until the other's next heartbeat |
/// | `address` | `Address` and `Port` |
/// | `weight` | `Weights.Passing`, up to 65,535; with a warning the weight is 1. Consul has no weight 0: `Meta.weight` is `0` then, which this crate reads, and other clients see 1 |
/// | `tags`, `metadata` | `Tags`, `Meta` |
/// | `zone`, `scheme`, `server_name` | `Meta.zone`, `Meta.scheme`, `Meta.server_name` |
#[doc(alias = "NewRegistrar")]
#[derive(Clone)]
pub struct ConsulRegistrar {
    consul: Consul,
    plan: Plan,
    wait_for_agent: Duration,
}

impl Consul {
    /// Announces instances of this service to the agent.
    pub fn registrar(&self, service: impl Into<String>) -> ConsulRegistrar {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        let plan = Plan {
            name: service.into(),
            check: Check::ttl(Duration::from_secs(15)),
            critical_after: Some(Duration::from_secs(600)),
            poll: Duration::from_secs(10),
            backoff: backoff.and_then(|backoff| backoff.with_jitter(0.5)),
            readiness: None,
            observer: Arc::new(()),
        };
        ConsulRegistrar { consul: self.clone(), plan, wait_for_agent: Duration::from_secs(30) }
    }
}

impl ConsulRegistrar {
    /// How Consul sees whether the instance can serve; [`Check::ttl`] of 15 s unless set.
    pub fn check(mut self, check: Check) -> Self {
        self.plan.check = check;
        self
    }

    /// Consul forgets an instance that was critical for so long; 10 minutes unless set, `None` for never. Consul's minimum is
    /// 1 minute, and it looks twice a minute. This is what removes an instance whose process has died: a process that lives
    /// is registered again.
    pub fn deregister_critical_after(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.plan.critical_after = after.into();
        self
    }

    /// The heartbeat says that the instance is critical while the process is not ready: within 0.2 s of the change. For
    /// [`Check::ttl`] only; with the others, the address that Consul asks says it.
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.plan.readiness = Some(readiness);
        self
    }

    /// The agent is asked at this interval whether it still knows the instance; 10 s unless set, and 1 s at least. Not for
    /// [`Check::ttl`], whose heartbeat asks.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.plan.poll = interval;
        self
    }

    /// The pauses between tries while the agent fails; 1 s growing to 10 s, each cut at random by up to a half, unless set.
    /// Longer where the agent asks for it by `Retry-After`, which is kept up to a minute. A new token ends a pause.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.plan.backoff = Ok(backoff);
        self
    }

    /// [`register`](kit_base::Registrar::register) tries for so long while the agent cannot be reached, and then fails with
    /// the last error; 30 s unless set, so that a service may start before its agent, and a wrong address does not stay
    /// hidden. With zero the first try decides; with `Duration::MAX` it waits until there is an agent. (Go kit's registrar
    /// tries once, and says nothing.)
    pub fn wait_for_agent(mut self, limit: Duration) -> Self {
        self.wait_for_agent = limit;
        self
    }

    /// Who is told of `registered`, `lost`, `failed`, `updated`, `deregistered` and `abandoned`, with the source `registrar`
    /// and the id of the instance as key. A panic in it is caught.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.plan.observer = Arc::new(observer);
        self
    }

    fn validate(&self) -> Result<Pauses, Error> {
        let Plan { check, critical_after, poll, backoff, readiness, .. } = &self.plan;
        check.validate()?;
        if let Some(after) = critical_after {
            within("time after which consul deregisters what is critical", *after, MIN_CRITICAL_AFTER)?;
        }
        within("poll interval", *poll, SHORTEST)?;
        if readiness.is_some() && check.time_to_live().is_none() {
            return Err(Error::invalid_argument(format!("readiness needs a TTL check to be told by, got {check:?}")));
        }
        let backoff = backoff.as_ref().map_err(|error| Error::invalid_argument(error.to_string()))?;
        Ok(backoff.pauses())
    }
}

impl kit_base::Registrar for ConsulRegistrar {
    type Registration = ConsulRegistration;

    /// Registers the instance, and answers when the agent has taken it.
    ///
    /// # Errors
    /// - `InvalidArgument`: a setting or a field of the instance that makes no sense, with its value, or what the agent says
    ///   of it.
    /// - `PermissionDenied`: the token does not have `service:write`, in Consul's words.
    /// - `Unavailable`, `DeadlineExceeded`: the agent could not be reached for as long as
    ///   [`wait_for_agent`](Self::wait_for_agent) says.
    ///
    /// *Cancellation:* as a drop of the [`ConsulRegistration`]: what may have been registered is deregistered.
    async fn register(&self, instance: Instance) -> Result<ConsulRegistration, Error> {
        let pauses = self.validate()?;
        let service = Service::new(&self.plan, instance)?;
        // Where the time does not fit the clock, there is no end.
        let deadline = Instant::now().checked_add(self.wait_for_agent);
        let mut registration = ConsulRegistration::begin(&self.consul, &self.plan, pauses, service)?;
        // The first try ends by its own limits.
        let mut next = registration.changed().await;
        loop {
            let state = next.ok_or_else(ended)?;
            if state.registered_since.is_some() {
                return Ok(registration);
            }
            if let Some(error) = state.error.filter(|error| !passes(error)) {
                return Err(again(&error));
            }
            next = match deadline {
                None => registration.changed().await,
                Some(deadline) => match timeout_at(deadline, registration.changed()).await {
                    Ok(next) => next,
                    Err(_) => return Err(registration.why_not()),
                },
            };
        }
    }
}

impl fmt::Debug for ConsulRegistrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsulRegistrar")
            .field("consul", &self.consul)
            .field("plan", &self.plan)
            .field("wait_for_agent", &self.wait_for_agent)
            .finish()
    }
}
