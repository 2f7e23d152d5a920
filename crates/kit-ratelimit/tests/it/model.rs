//! Histories by chance, against a model that counts tokens in whole numbers and knows nothing of times to be full.

use std::ops::Range;
use std::time::{Duration, Instant};

use kit_base::{End, Error, Gate, Judgement, Kind, Now, Origin};
use kit_ratelimit::{Keyed, Limited, Quota, RateLimit, Standing};

use crate::kinds::Chance;
use crate::support::nz;

/// A key and a cost.
type Req = (u8, u32);

const KEYS: u8 = 4;

/// So far may a reading be old before it is a new beginning, in quarters of a nanosecond.
const JUMP: i128 = 60 * 4_000_000_000;

/// A quota as the model reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plain {
    /// Parts of a token, one of which comes in with each quarter of a nanosecond.
    token: i128,
    burst: i128,
}

impl Plain {
    fn of(quota: Quota) -> Self {
        let rate = i128::from(quota.rate().get());
        let token = (quota.period().as_nanos() as i128 * 4 + rate - 1) / rate;
        Self { token, burst: quota.burst().get().into() }
    }

    fn full(self) -> i128 {
        self.token * self.burst
    }
}

/// A bucket: what was in it when something was last taken.
#[derive(Clone, Copy, Debug)]
struct Model {
    plain: Plain,
    parts: i128,
    at: i128,
    /// Which of all writes was the last.
    write: u64,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    at: i128,
    before: Model,
    write: u64,
    full_at: i128,
    cost: i128,
    changes: u32,
}

impl Model {
    fn new(quota: Quota) -> Self {
        let plain = Plain::of(quota);
        Self { plain, parts: plain.full(), at: i128::MIN / 4, write: 0 }
    }

    /// What is in it at a moment; less than nothing where others have taken at later ones.
    fn parts_at(&self, now: i128) -> i128 {
        let parts = (self.parts + now - self.at).min(self.plain.full());
        if parts < -JUMP { 0 } else { parts }
    }

    fn take(&mut self, now: i128, cost: u32, write: u64) -> Result<(), Option<i128>> {
        if self.parts + now - self.at < -JUMP {
            (self.parts, self.at, self.write) = (0, now, write);
        }
        let price = self.plain.token * i128::from(cost);
        let parts = self.parts_at(now);
        if price > self.plain.full() {
            return Err(None);
        }
        if price > parts {
            return Err(Some(price - parts));
        }
        (self.parts, self.at, self.write) = (parts - price, now, write);
        Ok(())
    }

    /// When it is full.
    fn full_at(&self) -> i128 {
        self.at + self.plain.full() - self.parts
    }

    fn change(&mut self, quota: Quota, now: i128, write: u64, by_key: bool) {
        let (plain, was_full_at) = (Plain::of(quota), self.full_at());
        let parts = self.parts_at(now);
        if by_key && parts == self.plain.full() {
            // As one that is not there.
            (self.parts, self.at) = (plain.full(), was_full_at);
        } else {
            let kept = parts.max(0) * plain.token / self.plain.token;
            (self.parts, self.at) = (kept.min(plain.full()), now - parts.min(0));
        }
        (self.plain, self.write) = (plain, write);
    }

    fn give_back(&mut self, taken: &Taken, by_key: bool) {
        if by_key {
            if self.full_at() != taken.full_at {
                return;
            }
            self.parts += self.plain.token * taken.cost;
            // More than full is full since then.
            let over = self.parts - self.plain.full();
            if over > 0 {
                (self.parts, self.at) = (self.plain.full(), self.at - over);
            }
        } else if self.write == taken.write {
            *self = taken.before;
        }
    }

    fn check(&self, now: i128, stands: Standing) {
        let parts = self.parts_at(now);
        let reset = self.plain.full() - parts;
        assert_eq!(i128::from(stands.limit.get()), self.plain.burst);
        assert_eq!(stands.window.as_nanos() as i128, up(self.plain.full()));
        assert_eq!(i128::from(stands.remaining), parts.max(0) / self.plain.token);
        assert_eq!(stands.reset.as_nanos() as i128, up(reset));
    }
}

/// In nanoseconds, rounded up.
fn up(quarters: i128) -> i128 {
    (quarters + 3) / 4
}

/// What is put to the test.
trait Subject: Gate<Req, (), Error, Permit: Copy> {
    const BY_KEY: bool;
    fn make(quota: Quota) -> Self;
    fn standing(&self, key: u8, now: Instant) -> Standing;
    fn change(&self, quota: Quota, now: Instant);
    fn check_at_the_end(&self, _now: Instant) {}
}

type Cost = fn(&Req) -> u32;
type Key = fn(&Req) -> Option<u8>;

impl Subject for RateLimit<Cost> {
    const BY_KEY: bool = false;

    fn make(quota: Quota) -> Self {
        RateLimit::new(quota).costing((|request: &Req| request.1) as Cost)
    }

    fn standing(&self, _: u8, now: Instant) -> Standing {
        self.standing_at(now)
    }

    fn change(&self, quota: Quota, now: Instant) {
        self.change_at(quota, now);
    }
}

impl Subject for Keyed<u8, Key, Cost> {
    const BY_KEY: bool = true;

    fn make(quota: Quota) -> Self {
        let keyed = Keyed::by(quota, (|request: &Req| Some(request.0)) as Key);
        keyed.places(256.try_into().unwrap()).costing((|request: &Req| request.1) as Cost)
    }

    fn standing(&self, key: u8, now: Instant) -> Standing {
        self.standing_at(&key, now)
    }

    fn change(&self, quota: Quota, now: Instant) {
        self.change_at(quota, now);
    }

    fn check_at_the_end(&self, now: Instant) {
        assert_eq!(self.displaced(), 0);
        assert!(self.in_use_at(now) <= usize::from(KEYS));
    }
}

fn quota(chance: &mut Chance) -> Quota {
    let rate = chance.of(&[1, 2, 3, 7, 10, 100, 1_000, 1_000_003, 30_000_000, u32::MAX]);
    let period = chance.of(&[1, 1_000, 1_000_000_000, 1_000_000_000, 60_000_000_000, 3_600_000_000_000]);
    let burst = chance.of(&[1, 1, 2, 3, 5, 10, 100, 1_000_000, u32::MAX]);
    Quota::per(nz(rate), Duration::from_nanos(period)).unwrap().with_burst(nz(burst))
}

fn history<S: Subject>(seed: u64) {
    let mut chance = Chance(seed);
    let first = quota(&mut chance);
    let (subject, began) = (S::make(first), Instant::now() + Duration::from_secs(400 * 24 * 3_600));
    let keys = if S::BY_KEY { KEYS } else { 1 };
    let mut models: Vec<_> = (0..keys).map(|_| Model::new(first)).collect();
    let mut given: Vec<(u8, S::Permit, Taken)> = Vec::new();
    // In nanoseconds.
    let mut now = 0_i128;
    let mut of_now = first;
    for step in 0..120_u64 {
        let write = step + 1;
        let at = moment(began, now);
        // Each key has its place before anything else happens.
        let key = if step < keys.into() { step as u8 } else { chance.under(keys.into()) as u8 };
        let model = &mut models[usize::from(key)];
        let quarters = now * 4;
        match if step < keys.into() { 0 } else { chance.under(12) } {
            0..5 => {
                let burst = model.plain.burst as u32;
                let cost = chance.of(&[1, 1, 1, 2, burst, burst.div_ceil(2), burst.saturating_add(1), 0]);
                let cost = if step < keys.into() { 1 } else { cost };
                let before = *model;
                let expected = if cost == 0 { Ok(()) } else { model.take(quarters, cost, write) };
                let clock = move || at;
                match (subject.admit(&mut (key, cost), &Now::new(&clock)), expected) {
                    (Ok(permit), Ok(())) if cost > 0 => {
                        let (full_at, cost) = (model.full_at(), cost.into());
                        given.push((key, permit, Taken { at: quarters, before, write, full_at, cost, changes: 0 }));
                    }
                    (Ok(_), Ok(())) => {}
                    (Err(refusal), Err(short)) => {
                        let after = refusal.retry_after().map(|after| after.as_nanos() as i128);
                        assert_eq!(after, short.map(up), "step {step}");
                        model.check(quarters, Limited::of(&refusal).unwrap().standing);
                    }
                    (got, expected) => panic!("step {step}: {:?}, {expected:?}", got.map(|_| ())),
                }
            }
            5 if !given.is_empty() => {
                let (key, permit, taken) = given.swap_remove(chance.under(given.len() as u64) as usize);
                let mut judgement = Judgement::of_kind(chance.of(&[Kind::Unavailable, Kind::NotFound]));
                judgement.origin = chance.of(&[Origin::LocalRefusal, Origin::LocalRefusal, Origin::Remote]);
                let refused = (judgement.kind, judgement.origin) == (Some(Kind::Unavailable), Origin::LocalRefusal);
                if refused && taken.at == quarters {
                    models[usize::from(key)].give_back(&taken, S::BY_KEY);
                }
                let clock = move || at;
                subject.finish(permit, &End::answered(&judgement, &Now::new(&clock)));
            }
            6 => {
                of_now = if chance.under(4) == 0 { of_now } else { quota(&mut chance) };
                subject.change(of_now, at);
                for model in &mut models {
                    model.change(of_now, quarters, write, S::BY_KEY);
                }
                // Changes are counted up to four.
                given.iter_mut().for_each(|(_, _, taken)| taken.changes += 1);
                given.retain(|(_, _, taken)| taken.changes < 4);
            }
            7 => now += i128::from(chance.under(4)),
            8 => now += chance_under(&mut chance, up(model.plain.token) + 1),
            9 => now += chance_under(&mut chance, up(model.plain.full()).min(1 << 50) + 1),
            // Back by a little, and now and then by a lot.
            10 if chance.under(3) == 0 => now -= chance_under(&mut chance, 50_000_000_000),
            11 if chance.under(9) == 0 => now -= 60_000_000_001 + chance_under(&mut chance, 1 << 50),
            _ => {}
        }
        // There are moments of two years before the first.
        now = now.max(-365 * 24 * 3_600_000_000_000);
        let at = moment(began, now);
        models[usize::from(key)].check(now * 4, subject.standing(key, at));
    }
    for key in 0..keys {
        models[usize::from(key)].check(now * 4, subject.standing(key, moment(began, now)));
    }
    subject.check_at_the_end(moment(began, now));
}

fn moment(began: Instant, now: i128) -> Instant {
    let away = Duration::from_nanos(now.unsigned_abs() as u64);
    if now < 0 { began - away } else { began + away }
}

fn chance_under(chance: &mut Chance, most: i128) -> i128 {
    chance.under(most as u64).into()
}

fn histories(seeds: Range<u64>) {
    for seed in seeds {
        let told = std::panic::catch_unwind(|| {
            history::<RateLimit<Cost>>(seed);
            history::<Keyed<u8, Key, Cost>>(seed);
        });
        assert!(told.is_ok(), "the history of seed {seed}, which has failed above");
    }
}

#[test]
fn histories_by_chance_are_as_the_model_says() {
    histories(0..800);
}

#[test]
#[ignore = "takes minutes: runs with --deep"]
fn many_histories_by_chance_are_as_the_model_says() {
    histories(800..100_000);
}
