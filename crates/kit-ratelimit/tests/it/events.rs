//! What limits tell: each refusal, each one that would have been, each place that was given up, and nothing of what passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use kit_base::{Event, Observer};
use kit_ratelimit::{Keyed, RateLimit};

use crate::support::{ByHand, Told, ms, quota};

/// So many times that, of the limit of this name.
fn told(name: &str, what: &'static str, times: usize) -> Vec<(String, &'static str, f64)> {
    vec![(name.to_owned(), what, 1.0); times]
}

fn by_key(key: &u32) -> Option<u32> {
    Some(*key)
}

#[test]
fn a_limit_tells_each_refusal_under_its_name() {
    let all = Told::default();
    let limit = ByHand::over(RateLimit::new(quota(5, 5)).named("orders").observed_by(all.clone()));
    assert_eq!(limit.pass_of(5), 5);
    assert_eq!(all.take(), []);
    assert_eq!(limit.pass_of(3), 0);
    assert_eq!(all.take(), told("orders", "refused", 3));
    limit.advance(ms(1_000));
    assert_eq!(limit.pass_of(5), 5);
    assert_eq!(all.take(), []);
}

#[test]
fn a_limit_without_a_name_tells_an_empty_key() {
    let all = Told::default();
    let limit = ByHand::over(RateLimit::new(quota(1, 1)).observed_by(all.clone()));
    assert_eq!(limit.pass_of(2), 1);
    assert_eq!(all.take(), told("", "refused", 1));
}

/// One event a call, of one call, whatever it costs; and what costs more than the burst is refused as well.
#[test]
fn a_costly_call_is_one_refusal() {
    let all = Told::default();
    let limit = RateLimit::new(quota(5, 5)).costing(|cost: &u32| *cost).named("pages").observed_by(all.clone());
    let limit = ByHand::over(limit);
    assert!(limit.ask(4).is_ok() && limit.ask(2).is_err() && limit.ask(6).is_err() && limit.ask(0).is_ok());
    assert_eq!(all.take(), told("pages", "refused", 2));
}

#[test]
fn a_limit_that_only_observes_tells_what_it_would_refuse() {
    let all = Told::default();
    let limit = ByHand::over(RateLimit::new(quota(2, 2)).named("trial").observed_by(all.clone()).observe_only());
    assert_eq!(limit.pass_of(2), 2);
    assert_eq!(all.take(), []);
    assert_eq!(limit.pass_of(4), 4);
    assert_eq!(all.take(), told("trial", "would_refuse", 4));
    // What it would refuse takes nothing.
    limit.advance(ms(500));
    assert_eq!(limit.pass_of(2), 2);
    assert_eq!(all.take(), told("trial", "would_refuse", 1));
}

#[test]
fn a_limit_by_key_tells_its_own_name_and_not_the_key() {
    let all = Told::default();
    let limit = ByHand::over(Keyed::by(quota(1, 1), by_key).named("tenants").observed_by(all.clone()));
    assert!(limit.ask(1).is_ok() && limit.ask(2).is_ok());
    assert_eq!(all.take(), []);
    assert!(limit.ask(1).is_err() && limit.ask(2).is_err());
    assert_eq!(all.take(), told("tenants", "refused", 2));
    let limit = ByHand::over(Keyed::by(quota(1, 1), by_key).named("trial").observed_by(all.clone()).observe_only());
    assert!((0..3).all(|_| limit.ask(1).is_ok()));
    assert_eq!(all.take(), told("trial", "would_refuse", 2));
}

#[test]
fn a_place_that_is_given_up_is_told_and_counted() {
    let all = Told::default();
    let limit = Keyed::by(quota(1, 2), by_key).places(8.try_into().unwrap()).named("small").observed_by(all.clone());
    let limit = ByHand::over(limit);
    assert!((0..8).all(|key| limit.ask(key).is_ok()));
    assert_eq!((all.take(), limit.gate.displaced()), (vec![], 0));
    assert!(limit.ask(8).is_ok() && limit.ask(9).is_ok());
    assert_eq!((all.take(), limit.gate.displaced()), (told("small", "displaced", 2), 2));
    // A full bucket has nothing to lose.
    limit.advance(ms(2_000));
    assert!(limit.ask(10).is_ok());
    assert_eq!((all.take(), limit.gate.displaced()), (vec![], 2));
}

/// In a strict one a newcomer is refused rather than given a token that nobody has: nothing is displaced then.
#[test]
fn what_is_refused_displaces_nothing() {
    let all = Told::default();
    let limit = Keyed::by(quota(1, 1), by_key).places(8.try_into().unwrap()).strict().observed_by(all.clone());
    let limit = ByHand::over(limit);
    assert!((0..8).all(|key| limit.ask(key).is_ok()));
    assert!(limit.ask(8).is_err());
    assert_eq!((all.take(), limit.gate.displaced()), (told("", "refused", 1), 0));
}

#[test]
fn looking_changing_and_giving_back_tell_nothing() {
    let all = Told::default();
    let limit = ByHand::over(RateLimit::new(quota(1, 1)).observed_by(all.clone()));
    let permit = limit.ask(()).unwrap();
    limit.gate.standing_at(limit.now());
    limit.gate.change_at(quota(2, 2), limit.now());
    limit.not_made::<()>(permit);
    let _ = limit.gate.fresh();
    assert_eq!(all.take(), []);
}

#[test]
fn a_closure_observes_and_a_fresh_limit_has_the_same_observer() {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = {
        let refused = Arc::clone(&refused);
        move |event: &Event<'_>| {
            assert_eq!((event.source, event.what, event.key, event.amount), ("ratelimit", "refused", "all", 1.0));
            refused.fetch_add(1, SeqCst);
        }
    };
    fn observes<O: Observer>(observer: O) -> O {
        observer
    }
    let limit = ByHand::over(RateLimit::new(quota(1, 1)).named("all").observed_by(observes(count)));
    assert_eq!(limit.pass_of(10), 1);
    let fresh = ByHand::over(limit.gate.fresh());
    assert_eq!(fresh.pass_of(4), 1);
    assert_eq!(refused.load(SeqCst), 9 + 3);
}
