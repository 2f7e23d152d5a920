//! What is declared of a layer.

use std::time::Duration;

/// What a layer does with the readiness of the service inside, on the tower face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// It is ready exactly when the inner service is. What was ready is what is called.
    Passed,
    /// It is always ready, and waits for the inner service in the call, or refuses.
    AtOnce,
    /// It has conditions of its own, such as a free place, or the inner service only while a circuit is closed.
    Own,
}

/// What a circuit breaker promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a literal with three names reads best")]
pub struct Breaker {
    /// This many failures, with nothing between them, open it.
    pub failures: usize,
    /// How long it stays open before it is half-open. The first time, if that grows.
    pub open_for: Duration,
    /// How many calls it lets through at the same time while it is half-open.
    pub probes: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    PassThrough,
    Refusing,
    Waiting,
    Retrying { attempts: usize },
    Selecting { weights: Vec<u32> },
}

#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) kind: Kind,
    pub(crate) at_most: Option<usize>,
    pub(crate) quota: Option<(usize, Duration)>,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) gives_up: Option<Duration>,
    pub(crate) readiness: Option<Readiness>,
    pub(crate) sheds: bool,
    pub(crate) holds_bodies: bool,
    pub(crate) wraps_errors: bool,
    pub(crate) state_per_service: bool,
    pub(crate) tells_ends: bool,
    pub(crate) keeps_deadlines: bool,
    pub(crate) grpc: bool,
    /// The attempts overlap: another is made while the first is under way.
    pub(crate) hedges: bool,
    pub(crate) skips_unready: bool,
}

impl Declared {
    pub(crate) fn new() -> Self {
        Self {
            kind: Kind::PassThrough,
            at_most: None,
            quota: None,
            breaker: None,
            gives_up: None,
            readiness: None,
            sheds: false,
            holds_bodies: false,
            wraps_errors: false,
            state_per_service: false,
            tells_ends: false,
            keeps_deadlines: false,
            grpc: false,
            hedges: false,
            skips_unready: false,
        }
    }

    /// What was declared that nothing could keep, or that nothing could be seen of.
    pub(crate) fn nonsense(&self) -> Option<String> {
        let weights_are_none = |weights: &[u32]| weights.iter().all(|&weight| weight == 0);
        match &self.kind {
            Kind::Retrying { attempts } if *attempts < 2 => {
                return Some(format!("{attempts} attempts are no retry: declare 2 or more"));
            }
            Kind::Selecting { weights } if weights_are_none(weights) => {
                return Some(format!("there is nothing to select with the weights {weights:?}: declare one over 0"));
            }
            _ => {}
        }
        if self.at_most == Some(0) {
            return Some("`at_most(0)` lets nobody in: declare 1 or more".to_owned());
        }
        if let Some((calls, period)) = self.quota.filter(|(calls, period)| *calls == 0 || period.is_zero()) {
            return Some(format!("a quota of {calls} calls per {period:?} is none: declare both over 0"));
        }
        if let Some(breaker) = self.breaker.filter(|it| it.failures == 0 || it.probes == 0 || it.open_for.is_zero()) {
            return Some(format!("{breaker:?} is no circuit breaker: declare all three over 0"));
        }
        if self.gives_up.is_some_and(|limit| limit.is_zero()) {
            return Some("`gives_up_after` no time is no call at all: declare more than 0".to_owned());
        }
        None
    }

    /// What the tower face does with readiness: as declared, or as usual for its kind.
    pub(crate) fn readiness(&self) -> Readiness {
        self.readiness.unwrap_or(match self.kind {
            Kind::PassThrough | Kind::Retrying { .. } => Readiness::Passed,
            Kind::Refusing => Readiness::AtOnce,
            Kind::Waiting | Kind::Selecting { .. } => Readiness::Own,
        })
    }

    /// How often the inner service may be called for one call.
    pub(crate) fn attempts(&self, idempotent: bool) -> usize {
        match self.kind {
            Kind::Retrying { attempts } if idempotent => attempts,
            _ => 1,
        }
    }

    pub(crate) fn may_refuse(&self) -> bool {
        self.kind != Kind::PassThrough || self.sheds
    }

    /// How many services are inside.
    pub(crate) fn nodes(&self) -> usize {
        match &self.kind {
            Kind::Selecting { weights } => weights.len(),
            _ => 1,
        }
    }

    /// How much time makes a layer forget what was, and let calls in again.
    pub(crate) fn recovery(&self) -> Duration {
        let breaker = self.breaker.map_or(Duration::ZERO, |breaker| breaker.open_for);
        let quota = self.quota.map_or(Duration::ZERO, |(_, period)| period);
        breaker.max(quota) + Duration::from_millis(2)
    }
}
