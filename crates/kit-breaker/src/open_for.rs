//! How long a circuit stays open.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kit_base::Backoff;

/// How long a circuit stays open: the same time each time, or longer as long as its probes fail.
///
/// A [`Duration`] is one, and so is a [`Backoff`], which grows and has jitter. What a back-off or an iterator says is cut to 1 ms to
/// 30 days; one that panics counts as 60 s.
#[derive(Clone)]
pub struct OpenFor(Kind);

type Times = Box<dyn Iterator<Item = Duration> + Send>;

#[derive(Clone)]
enum Kind {
    Fixed(Duration),
    Growing(Backoff),
    Each(Arc<dyn Fn() -> Times + Send + Sync>),
}

impl OpenFor {
    /// The times of an iterator, which begins anew once the circuit has closed; when it ends, its last one stays. The
    /// back-off strategies of the crate `failsafe` are such iterators.
    pub fn each<I>(times: I) -> Self
    where
        I: Iterator<Item = Duration> + Clone + Send + Sync + 'static,
    {
        Self(Kind::Each(Arc::new(move || Box::new(times.clone()))))
    }

    pub(crate) fn fixed(&self) -> Option<Duration> {
        if let Kind::Fixed(time) = self.0 { Some(time) } else { None }
    }

    /// Whether these are the very times of the other.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Fixed(one), Kind::Fixed(other)) => one == other,
            (Kind::Growing(one), Kind::Growing(other)) => one == other,
            (Kind::Each(one), Kind::Each(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    fn begin(&self) -> Times {
        match &self.0 {
            Kind::Fixed(time) => Box::new(std::iter::repeat(*time)),
            Kind::Growing(backoff) => Box::new(backoff.pauses()),
            Kind::Each(times) => times(),
        }
    }
}

impl From<Duration> for OpenFor {
    fn from(time: Duration) -> Self {
        Self(Kind::Fixed(time))
    }
}

impl From<Backoff> for OpenFor {
    fn from(backoff: Backoff) -> Self {
        Self(Kind::Growing(backoff))
    }
}

impl fmt::Debug for OpenFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fixed(time) => f.debug_tuple("OpenFor").field(time).finish(),
            Kind::Growing(backoff) => f.debug_tuple("OpenFor").field(backoff).finish(),
            Kind::Each(_) => f.debug_tuple("OpenFor").finish_non_exhaustive(),
        }
    }
}

/// The shortest time that a circuit is open, whatever an iterator says.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);
/// The longest.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Where a circuit is in the times for which it opens.
pub(crate) struct OpenTimes(Mutex<Option<(Times, Duration)>>);

impl OpenTimes {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The next time. Only whoever has tripped the circuit asks.
    pub(crate) fn next(&self, open_for: &OpenFor) -> Duration {
        let time = open_for.fixed().unwrap_or_else(|| {
            let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let next = AssertUnwindSafe(|| {
                let (iterator, last) = times.get_or_insert_with(|| (open_for.begin(), crate::settings::OPEN_FOR));
                *last = iterator.next().unwrap_or(*last);
                *last
            });
            // An iterator is the user's; if it panics, the circuit must open all the same.
            catch_unwind(next).unwrap_or(crate::settings::OPEN_FOR)
        });
        time.clamp(SHORTEST, LONGEST)
    }

    /// The circuit has closed.
    pub(crate) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl fmt::Debug for OpenTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTimes").finish_non_exhaustive()
    }
}
