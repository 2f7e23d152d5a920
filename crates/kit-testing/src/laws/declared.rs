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

/// The largest limit that can be declared. A check fills a limit up many times, and small ones show the same.
const MOST: usize = 64;
/// The longest time.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    PassThrough,
    Refusing,
    Waiting,
    /// With `overlapping`, another attempt is made while the first is under way.
    Retrying {
        attempts: usize,
        overlapping: bool,
    },
    Selecting {
        weights: Vec<u32>,
    },
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
            skips_unready: false,
        }
    }

    /// What was declared that nothing could keep, or that nothing could be seen of.
    pub(crate) fn nonsense(&self, tower: bool) -> Option<String> {
        let weights_are_none = |weights: &[u32]| weights.iter().all(|&weight| weight == 0);
        match &self.kind {
            Kind::Retrying { attempts, .. } if !(2..=MOST).contains(attempts) => {
                return Some(format!("{attempts} attempts cannot be checked: declare 2 to {MOST}"));
            }
            Kind::Selecting { weights } if weights_are_none(weights) => {
                return Some(format!("there is nothing to select with the weights {weights:?}: declare one over 0"));
            }
            Kind::Selecting { weights } if weights.iter().map(|&weight| weight as usize).sum::<usize>() > MOST => {
                return Some(format!(
                    "the weights {weights:?} are over {MOST} in all: declare the same in smaller numbers"
                ));
            }
            Kind::PassThrough if self.at_most.is_some() || self.quota.is_some() || self.breaker.is_some() => {
                return Some("what passes through limits nothing: declare `refusing` or `waiting` too".to_owned());
            }
            _ => {}
        }
        let number = |number: usize| (1..=MOST).contains(&number);
        let time = |time: Duration| !time.is_zero() && time <= LONGEST;
        if let Some(most) = self.at_most.filter(|&most| !number(most)) {
            return Some(format!("`at_most({most})` cannot be checked: declare 1 to {MOST}"));
        }
        if let Some((calls, period)) = self.quota.filter(|&(calls, period)| !number(calls) || !time(period)) {
            let found = format!("a quota of {calls} calls per {period:?} cannot be checked");
            return Some(format!("{found}: declare 1 to {MOST} calls, and up to a day"));
        }
        let wrong = |it: &Breaker| !number(it.failures) || !number(it.probes) || !time(it.open_for);
        if let Some(breaker) = self.breaker.filter(wrong) {
            return Some(format!("{breaker:?} cannot be checked: declare numbers of 1 to {MOST}, and up to a day"));
        }
        if let Some(limit) = self.gives_up.filter(|&limit| !time(limit)) {
            return Some(format!("`gives_up_after({limit:?})` cannot be checked: declare more than 0, up to a day"));
        }
        let limits = [self.at_most.is_some(), self.quota.is_some(), self.breaker.is_some()];
        if limits.into_iter().filter(|&limit| limit).count() > 1 {
            let limits = "`at_most`, `quota` and `breaks` are checked one at a time";
            return Some(format!("{limits}: check the layers of a stack apart, and the stack with one of them"));
        }
        let many = matches!(self.kind, Kind::Retrying { .. } | Kind::Selecting { .. });
        if many && limits.contains(&true) {
            let stack = "a limit around or inside of what retries or selects cannot be told apart from it";
            return Some(format!("{stack}: check the two layers apart, and the stack without the limit"));
        }
        let usable = |weights: &[u32]| weights.iter().filter(|&&weight| weight > 0).count();
        if self.skips_unready && !matches!(&self.kind, Kind::Selecting { weights } if usable(weights) > 1) {
            return Some(
                "`skips_unready` needs others to choose: declare `selecting` with two weights over 0".to_owned(),
            );
        }
        if self.sheds && !tower {
            return Some(
                "an endpoint has no readiness that `sheds` could see: declare it of a tower service".to_owned(),
            );
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
            Kind::Retrying { attempts, .. } if idempotent => attempts,
            _ => 1,
        }
    }

    pub(crate) fn retries(&self) -> bool {
        matches!(self.kind, Kind::Retrying { .. })
    }

    pub(crate) fn hedges(&self) -> bool {
        matches!(self.kind, Kind::Retrying { overlapping: true, .. })
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
