//! How often each instance is chosen: the shares that its choice promises, within five standard deviations.

use std::collections::BTreeMap;
use std::convert::Infallible;

use kit_base::Instance;
use kit_lb::{Choice, Endpointer, Fixed, LeastLoaded, Random, RoundRobin, Weighted};

const PICKS: u32 = 100_000;

/// Picks from so many instances, and checks that each has had its share of the weights.
#[track_caller]
fn shares(choice: impl Choice, count: usize, weight: fn(usize) -> u32) {
    shares_by(choice, count, weight, weight);
}

#[track_caller]
fn shares_by(choice: impl Choice, count: usize, weight: fn(usize) -> u32, share: fn(usize) -> u32) {
    let instances = (0..count).map(|number| {
        let mut instance = Instance::new(format!("{number:04}"), "x:1");
        instance.weight = weight(number);
        instance
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let set =
        Endpointer::new(Fixed::new(instances), |instance| Ok::<_, Infallible>(instance.id.parse::<usize>().unwrap()));
    let balancer = set.balanced_by(choice);
    // The same chances in each run, so that none is too bad.
    fastrand::seed(7);
    let mut picked = BTreeMap::new();
    for _ in 0..PICKS {
        *picked.entry(*balancer.pick().unwrap().connection()).or_insert(0_u32) += 1;
    }
    let total: f64 = (0..count).map(|number| f64::from(share(number))).sum();
    let mut square = 0.0;
    for number in 0..count {
        let part = f64::from(share(number)) / total;
        let expected = part * f64::from(PICKS);
        let had = f64::from(picked.get(&number).copied().unwrap_or(0));
        let deviation = (expected * (1.0 - part)).sqrt();
        assert!((had - expected).abs() <= 5.0 * deviation, "instance {number} of {count}: {had}, expected {expected}");
        square += if expected > 0.0 { (had - expected).powi(2) / expected } else { 0.0 };
    }
    // Chi-square: its mean is the degrees of freedom, its variance twice that.
    let degrees = (0..count).filter(|number| share(*number) > 0).count() as f64 - 1.0;
    assert!(
        square <= degrees + 6.0 * (2.0 * degrees).sqrt() + 12.0,
        "chi-square {square}, degrees of freedom {degrees}"
    );
}

fn alike(_: usize) -> u32 {
    1
}

fn one_two_four(number: usize) -> u32 {
    1 << (number % 3)
}

/// Other chunks have other weights, and some chunks have none.
fn by_chunk(number: usize) -> u32 {
    match number {
        0..64 => 0,
        64..128 => 5,
        _ => one_two_four(number),
    }
}

/// Those of the weight 0 get nothing.
fn or_none(number: usize) -> u32 {
    [0, 1, 2, 4][number % 4]
}

fn if_any(number: usize) -> u32 {
    or_none(number).min(1)
}

#[test]
fn round_robin_gives_each_the_same() {
    shares(RoundRobin::new(), 3, alike);
    shares(RoundRobin::new(), 200, alike);
    shares_by(RoundRobin::new(), 200, or_none, if_any);
}

#[test]
fn random_gives_each_the_same_whatever_its_weight() {
    shares(Random, 3, alike);
    shares(Random, 200, alike);
    shares_by(Random, 200, or_none, if_any);
    shares_by(Random, 200, one_two_four, alike);
}

#[test]
fn weighted_gives_each_its_share_of_the_weights() {
    shares(Weighted, 3, alike);
    shares(Weighted, 3, one_two_four);
    shares(Weighted, 200, one_two_four);
    shares(Weighted, 200, by_chunk);
    shares(Weighted, 200, or_none);
    shares(Weighted, 3, |number| [1, 1_000, u32::MAX][number]);
}

#[test]
fn the_least_loaded_of_an_idle_fleet_is_each_by_its_share_of_the_weights() {
    shares(LeastLoaded, 1, alike);
    shares(LeastLoaded, 2, alike);
    shares(LeastLoaded, 3, alike);
    shares(LeastLoaded, 200, alike);
    shares(LeastLoaded, 3, one_two_four);
    shares(LeastLoaded, 200, one_two_four);
    shares(LeastLoaded, 200, by_chunk);
    shares(LeastLoaded, 200, or_none);
}

/// Calls that run weigh by the weight of their instance: an instance of weight 4 carries four times as many.
#[test]
fn the_least_loaded_carry_calls_by_their_weights() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let instances = (0..3).map(|number| {
        let mut instance = Instance::new(number.to_string(), "x:1");
        instance.weight = one_two_four(number);
        instance
    });
    let set = Endpointer::new(Fixed::new(instances), |_| Ok::<_, Infallible>(()));
    let balancer = set.balancer();
    let running: Vec<_> = (0..7_000).map(|_| balancer.pick().unwrap()).collect();
    for (member, share) in set.snapshot().members.iter().zip([1_000_u64, 2_000, 4_000]) {
        assert!(member.in_flight.abs_diff(share) < 200, "{} of {share}", member.in_flight);
    }
    drop(running);
    assert!(set.snapshot().members.iter().all(|member| member.in_flight == 0));
}
