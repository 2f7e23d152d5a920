//! The changes of a set, one by one: for those who balance by other means and want only discovery.

use std::collections::{HashMap, HashSet, VecDeque};
use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use kit_base::{Instance, InstanceSet, Instancer, Instances, Pauses, Snapshot, Subscription};
use tokio::time::{Sleep, sleep};

use crate::Settings;
use crate::keeper::{Factory, make, tell};
use crate::merge::is_same;

/// What has become of one instance; see [`Changes`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an instance comes or goes")]
pub enum Change<C> {
    /// This instance can be called, by this connection.
    Insert(Arc<str>, C),
    /// This one cannot be called any more.
    Remove(Arc<str>),
}

/// What discovery tells, as changes of single instances, each new one with a connection from a factory. For adapters to
/// balancers of others, `kit-lb-tower` and `kit-lb-tonic`; kit's own is [`Endpointer`](crate::Endpointer).
///
/// - An instance that is reached in another way than before (address, scheme, server name) is removed and inserted. What
///   else is said of one changes nothing, but for the weight 0, with which it is removed.
/// - A factory that fails or panics is [tried again](Settings::retry); its instance is not inserted before.
/// - Only the newest set is kept, so who asks seldom gets the sum of the changes, and nothing piles up.
/// - Where the registry fails, the last good set stays, and when the instancer ends, the last one does.
///
/// ```
/// use std::convert::Infallible;
/// use kit_base::Instance;
/// use kit_lb::{Change, Changes, Fixed};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let connect = |instance: &Instance| Ok::<_, Infallible>(format!("to {}", instance.address));
/// let mut changes = Changes::new(Fixed::at(["10.0.0.7:8081"]), connect);
/// assert_eq!(changes.next().await, Change::Insert("10.0.0.7:8081".into(), "to 10.0.0.7:8081".to_owned()));
/// # }
/// ```
///
/// *Dropping* it ends the instancer that was given. It has no task of its own.
pub struct Changes<C> {
    subscription: Subscription,
    /// It lives for as long as it is followed.
    _instancer: Box<dyn Instancer>,
    factory: Factory<C>,
    settings: Settings,
    pauses: Option<Pauses>,
    retry: Option<Pin<Box<Sleep>>>,
    told: Arc<Snapshot>,
    /// What was done of `told`, by id.
    done: HashMap<Arc<str>, Done>,
    /// What is still to be done of it.
    due: VecDeque<Due>,
}

struct Done {
    instance: Arc<Instance>,
    /// Not where the factory has failed.
    inserted: bool,
}

enum Due {
    Insert(Arc<Instance>),
    Remove(Arc<str>),
}

impl<C> Changes<C> {
    /// The changes from nothing to the current set, and then those of that set.
    pub fn new<I, F, E>(instancer: I, factory: F) -> Self
    where
        I: Instancer + 'static,
        F: Fn(&Instance) -> Result<C, E> + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self::with(Settings::default(), instancer, factory)
    }

    /// The same with these settings.
    pub fn with<I, F, E>(settings: Settings, instancer: I, factory: F) -> Self
    where
        I: Instancer + 'static,
        F: Fn(&Instance) -> Result<C, E> + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self {
            subscription: instancer.subscribe(),
            _instancer: Box::new(instancer),
            factory: Box::new(move |instance| factory(instance).map_err(Into::into)),
            pauses: settings.retry.map(|retry| retry.pauses()),
            settings,
            retry: None,
            told: Arc::default(),
            done: HashMap::new(),
            due: VecDeque::new(),
        }
    }

    /// How long calls should wait for the first instance, by the settings; nothing here waits for it.
    pub fn first_wait(&self) -> Duration {
        self.settings.first_wait
    }

    /// What discovery says.
    pub fn told(&self) -> Arc<Snapshot> {
        self.subscription.current()
    }

    /// The next change. Never ends.
    ///
    /// *Cancellation:* nothing is lost when the future is dropped.
    ///
    /// # Panics
    /// Where the factory fails, outside of a tokio runtime with time.
    pub async fn next(&mut self) -> Change<C> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same as a poll.
    ///
    /// # Panics
    /// As [`next`](Self::next).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Change<C>> {
        let mut news = false;
        while let Poll::Ready(Some(told)) = self.subscription.poll_changed(cx) {
            (self.told, news) = (told, true);
        }
        if news {
            self.plan(false);
        }
        loop {
            while let Some(due) = self.due.pop_front() {
                if let Some(change) = self.apply(due) {
                    return Poll::Ready(change);
                }
            }
            match self.retry.as_mut().map(|retry| retry.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => {
                    self.retry = None;
                    self.plan(true);
                }
                Some(Poll::Pending) | None => return Poll::Pending,
            }
        }
    }

    /// Finds what is to be done anew, from what was done and what was told last. What comes goes first, so that a set that is
    /// replaced is never empty in between.
    fn plan(&mut self, retry: bool) {
        let none = InstanceSet::default();
        let known = match &self.told.instances {
            Instances::Known(known) => known,
            Instances::Pending | Instances::Absent => &none,
        };
        self.due.clear();
        let mut stay = HashSet::with_capacity(known.len());
        for instance in known.iter().filter(|instance| instance.weight > 0) {
            stay.insert(&*instance.id);
            match self.done.get_key_value(&*instance.id) {
                Some((_, done)) if is_same(&done.instance, instance) && (done.inserted || !retry) => continue,
                Some((id, _)) => self.due.push_back(Due::Remove(Arc::clone(id))),
                None => {}
            }
            self.due.push_back(Due::Insert(Arc::clone(instance)));
        }
        let gone = self.done.keys().filter(|id| !stay.contains(&***id));
        self.due.extend(gone.cloned().map(Due::Remove));
        if self.done.values().all(|done| done.inserted) {
            self.pauses.iter_mut().for_each(Pauses::reset);
        }
    }

    fn apply(&mut self, due: Due) -> Option<Change<C>> {
        match due {
            Due::Remove(id) => {
                let inserted = self.done.remove(&id)?.inserted;
                inserted.then(|| {
                    self.tell("removed", &id);
                    Change::Remove(id)
                })
            }
            Due::Insert(instance) => {
                let id = Arc::from(&*instance.id);
                let made = make(&self.factory, &instance).ok();
                self.tell(if made.is_some() { "added" } else { "connect_failed" }, &id);
                self.done.insert(Arc::clone(&id), Done { instance, inserted: made.is_some() });
                if made.is_none() && self.retry.is_none() {
                    let pause = self.pauses.as_mut().and_then(Iterator::next);
                    self.retry = pause.map(|pause| Box::pin(sleep(pause)));
                }
                made.map(|connection| Change::Insert(id, connection))
            }
        }
    }

    fn tell(&self, what: &'static str, key: &str) {
        tell(&*self.settings.observer, what, key);
    }
}

impl<C> fmt::Debug for Changes<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { told, settings, .. } = self;
        f.debug_struct("Changes").field("told", told).field("settings", settings).finish_non_exhaustive()
    }
}
