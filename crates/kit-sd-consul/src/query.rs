//! What to watch, and how.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kit_base::{Backoff, InvalidBackoff, Observer};

use crate::consul::{fits_into_a_path, misfit};
use crate::plan::LONGEST;
use crate::{Consul, ConsulInstancer, InvalidSetting};

/// The longest that Consul lets a query wait.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// A service to watch, made by [`Consul::service`]. [`watch`](Self::watch) begins.
#[doc(alias = "NewInstancer")]
#[derive(Clone)]
#[must_use = "nothing is asked until `watch`"]
pub struct ServiceQuery {
    pub(crate) consul: Consul,
    pub(crate) service: String,
    pub(crate) tags: Vec<String>,
    pub(crate) passing_only: bool,
    pub(crate) stale: bool,
    pub(crate) filter: Option<String>,
    pub(crate) wait: Duration,
    pub(crate) min_interval: Duration,
    pub(crate) empty_after: Duration,
    pub(crate) max_staleness: Option<Duration>,
    pub(crate) backoff: Result<Backoff, InvalidBackoff>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl ServiceQuery {
    pub(crate) fn new(consul: Consul, service: String) -> Self {
        let pauses = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));
        Self {
            consul,
            service,
            tags: Vec::new(),
            passing_only: true,
            stale: false,
            filter: None,
            wait: Duration::from_secs(60),
            min_interval: Duration::from_secs(1),
            empty_after: Duration::from_secs(10),
            max_staleness: None,
            backoff: pauses.and_then(|pauses| pauses.with_jitter(0.5)),
            observer: Arc::new(()),
        }
    }

    /// Only instances with this tag; of several, all must be there. Case does not matter, as in Consul. Tags are looked at
    /// on this side, so that a service without such an instance is known and empty, not absent.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into().to_lowercase());
        self
    }

    /// Only instances whose checks, and whose node's checks, all pass; true unless set. Otherwise those with a warning
    /// come too, with the weight that they have for it, and those that are critical, with weight 0, as Consul's DNS
    /// weighs them.
    pub fn passing_only(mut self, passing_only: bool) -> Self {
        self.passing_only = passing_only;
        self
    }

    /// Lets any server answer, not only the leader: cheaper for Consul, goes on while there is no leader, and may be
    /// behind. [`since`](kit_base::Snapshot::since) takes off by how much; an answer without a leader comes with an error.
    pub fn stale(mut self) -> Self {
        self.stale = true;
        self
    }

    /// Only instances of which this expression is true, in Consul's language, for instance `Service.Meta.v == "2"`. It
    /// is worked out by the agent, so the answers are smaller; but an empty one is then
    /// [`Known`](kit_base::Instances::Known) and empty, even where the service does not exist.
    pub fn filter(mut self, expression: impl Into<String>) -> Self {
        self.filter = Some(expression.into());
        self
    }

    /// How long a query waits for a change; 60 s unless set, at most 10 minutes. A silent connection is noticed after
    /// this time, a sixteenth of it, and the [head_timeout](Consul::head_timeout).
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The time between queries in the long run, whatever the agent answers; 1 s unless set. Up to 5 queries may
    /// follow each other at once after a rest. So there are at most 60 a minute, and 65 in the first one.
    pub fn min_interval(mut self, interval: Duration) -> Self {
        self.min_interval = interval;
        self
    }

    /// How long a set that had instances outlives answers without any; 10 s unless set. Meanwhile it stays, with an error
    /// that says so, and the agent is asked again; an answer with instances ends the doubt, and so does an error, after
    /// which it begins anew. Zero believes the first answer.
    ///
    /// An agent that has just lost its data, or a token that has just lost its rights, looks exactly as a service that
    /// is gone.
    pub fn empty_after(mut self, time: Duration) -> Self {
        self.empty_after = time;
        self
    }

    /// How old a set may become while Consul cannot be asked; then it is forgotten, and
    /// [`Pending`](kit_base::Instances::Pending). No limit unless set: instances that were there a while ago are more than
    /// none.
    ///
    /// The age counts from the last answer, and at rest that is up to `wait` and a sixteenth ago: 64 s unless set. So it must
    /// be at least that, and only what is above it is sure to be left for an outage.
    pub fn max_staleness(mut self, age: Duration) -> Self {
        self.max_staleness = Some(age);
        self
    }

    /// The pauses between failed queries; unless set, from 200 ms to 15 s, growing by 2, up to half of each left to
    /// chance. A success begins anew. The longest one bounds how late a return of the agent is noticed, unless the agent
    /// asks for more by `Retry-After`, which is kept up to a minute. A new token ends a pause.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Ok(backoff);
        self
    }

    /// Is told the events of the crate's front page. A panic in it is caught.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Begins to watch, in a task of the current tokio runtime. It does not wait for the first answer; whoever wants to
    /// calls [`changed`](kit_base::Subscription::changed) on a subscription until it is there.
    ///
    /// # Errors
    /// The name or a tag is empty, the name cannot stand in a path, a time is out of range, or there is no tokio runtime
    /// here.
    pub fn watch(self) -> Result<ConsulInstancer, InvalidSetting> {
        if !fits_into_a_path(&self.service) {
            return Err(InvalidSetting::new(misfit("name of the service", &self.service)));
        }
        if self.tags.iter().any(String::is_empty) {
            return Err(InvalidSetting::new("a tag is empty, and no instance has such a one"));
        }
        let shortest = Duration::from_millis(1);
        within("wait", self.wait, shortest, LONGEST_WAIT)?;
        within("min_interval", self.min_interval, shortest, LONGEST)?;
        within("empty_after", self.empty_after, Duration::ZERO, LONGEST)?;
        if let Some(age) = self.max_staleness {
            // A set that is as old as it gets while all is well must not be forgotten at the first failure.
            let at_rest = (self.wait + self.wait / 16).max(self.min_interval);
            within("max_staleness", age, at_rest, LONGEST)?;
        }
        let pauses = self.backoff.as_ref().map_err(|error| InvalidSetting::new(error.to_string()))?.pauses();
        ConsulInstancer::begin(self, pauses)
    }
}

fn within(name: &str, value: Duration, least: Duration, most: Duration) -> Result<(), InvalidSetting> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(InvalidSetting::new(format!("{name} must be from {least:?} to {most:?}, got {value:?}")))
}

impl fmt::Debug for ServiceQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceQuery")
            .field("consul", &self.consul)
            .field("service", &self.service)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}
