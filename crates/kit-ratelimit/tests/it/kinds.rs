//! Limits of each kind behind one face, for what must hold of them all; and chance.

use std::time::Instant;

use kit_base::{End, Error, Gate, Now};
use kit_ratelimit::{Keyed, KeyedPermit, Permit, Quota, RateLimit, Standing};

use crate::support::{ByHand, Told};

type Cost = fn(&u32) -> u32;
type Key = fn(&u32) -> Option<u8>;

/// A limit of any kind. A request is what it costs; `()` costs one. All have one key.
#[derive(Debug)]
pub(crate) enum Any {
    One(RateLimit<Cost, Told>),
    Keyed(Keyed<u8, Key, Cost, Told>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum AnyPermit {
    One(Permit),
    Keyed(KeyedPermit),
}

/// A limit for all, a limit by key, and a strict one.
pub(crate) fn kinds(quota: Quota) -> [ByHand<Any>; 3] {
    [one(quota), keyed(quota, false), keyed(quota, true)].map(ByHand::over)
}

pub(crate) fn one(quota: Quota) -> Any {
    Any::One(RateLimit::new(quota).costing((|cost| *cost) as Cost).observed_by(Told::default()))
}

fn keyed(quota: Quota, strict: bool) -> Any {
    let keyed = Keyed::by(quota, (|_| Some(7)) as Key).places(8.try_into().unwrap());
    let keyed = if strict { keyed.strict() } else { keyed };
    Any::Keyed(keyed.costing((|cost| *cost) as Cost).observed_by(Told::default()))
}

impl Any {
    pub(crate) fn standing_at(&self, now: Instant) -> Standing {
        match self {
            Self::One(limit) => limit.standing_at(now),
            Self::Keyed(limit) => limit.standing_at(&7, now),
        }
    }

    pub(crate) fn change_at(&self, quota: Quota, now: Instant) {
        match self {
            Self::One(limit) => limit.change_at(quota, now),
            Self::Keyed(limit) => limit.change_at(quota, now),
        }
    }

    pub(crate) fn quota(&self) -> Quota {
        match self {
            Self::One(limit) => limit.quota(),
            Self::Keyed(limit) => limit.quota(),
        }
    }

    pub(crate) fn fresh(&self) -> Self {
        match self {
            Self::One(limit) => Self::One(limit.fresh()),
            Self::Keyed(limit) => Self::Keyed(limit.fresh()),
        }
    }

    pub(crate) fn observe_only(self) -> Self {
        match self {
            Self::One(limit) => Self::One(limit.observe_only()),
            Self::Keyed(limit) => Self::Keyed(limit.observe_only()),
        }
    }
}

impl Gate<u32, (), Error> for Any {
    type Permit = AnyPermit;

    fn admit(&self, cost: &mut u32, now: &Now<'_>) -> Result<AnyPermit, Error> {
        match self {
            Self::One(limit) => Gate::<_, (), Error>::admit(limit, cost, now).map(AnyPermit::One),
            Self::Keyed(limit) => Gate::<_, (), Error>::admit(limit, cost, now).map(AnyPermit::Keyed),
        }
    }

    fn finish(&self, permit: AnyPermit, end: &End<'_>) {
        match (self, permit) {
            (Self::One(limit), AnyPermit::One(permit)) => Gate::<u32, (), Error>::finish(limit, permit, end),
            (Self::Keyed(limit), AnyPermit::Keyed(permit)) => Gate::<u32, (), Error>::finish(limit, permit, end),
            (_, permit) => panic!("a permit of another limit: {permit:?}"),
        }
    }
}

impl Gate<(), (), Error> for Any {
    type Permit = AnyPermit;

    fn admit(&self, (): &mut (), now: &Now<'_>) -> Result<AnyPermit, Error> {
        Gate::<u32, (), Error>::admit(self, &mut 1, now)
    }

    fn finish(&self, permit: AnyPermit, end: &End<'_>) {
        Gate::<u32, (), Error>::finish(self, permit, end);
    }
}

/// Chance by a seed: `SplitMix64`.
#[derive(Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number under this.
    pub(crate) fn under(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.under(of) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.under(choices.len() as u64) as usize]
    }
}
