//! The verdict table of the design, row by row.

use std::time::Duration;

use kit_base::{Error, Judgement, Kind, Origin, RetryHint, Verdict};

fn verdict(kind: Kind, origin: Origin) -> Verdict {
    Judgement::of_parts(kind, origin, RetryHint::None).verdict
}

#[test]
fn each_kind_of_a_peer_has_its_verdict() {
    for kind in Kind::ALL {
        let want = match kind {
            Kind::Unavailable | Kind::Cancelled => Verdict::Transient,
            Kind::ResourceExhausted => Verdict::Overloaded,
            Kind::DeadlineExceeded => Verdict::Expired,
            Kind::Internal | Kind::Unknown | Kind::DataLoss => Verdict::Fault,
            _ => Verdict::Caller,
        };
        assert_eq!(verdict(kind, Origin::Remote), want, "{kind}");
        assert_eq!(Judgement::of_kind(kind).verdict, want, "{kind}");
        assert_eq!(Judgement::of(&Error::new(kind, "x")).verdict, want, "{kind}");
    }
}

#[test]
fn aborted_and_unimplemented_are_the_callers_own_doing() {
    for kind in [Kind::Aborted, Kind::Unimplemented, Kind::InvalidArgument, Kind::NotFound, Kind::Unauthenticated] {
        assert_eq!(Judgement::of_kind(kind).verdict, Verdict::Caller, "{kind}");
    }
}

#[test]
fn what_we_cancelled_is_the_callers_doing_and_what_the_peer_cancelled_unasked_is_transient() {
    assert_eq!(verdict(Kind::Cancelled, Origin::LocalRefusal), Verdict::Caller);
    assert_eq!(verdict(Kind::Cancelled, Origin::NotSent), Verdict::Caller);
    assert_eq!(verdict(Kind::Cancelled, Origin::Remote), Verdict::Transient);
    assert_eq!(Judgement::LEFT.verdict, Verdict::Caller);
    assert_eq!(Judgement::LEFT.kind, Some(Kind::Cancelled));
}

#[test]
fn the_origin_changes_the_verdict_of_no_other_kind() {
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Cancelled) {
        for origin in [Origin::NotSent, Origin::LocalRefusal] {
            assert_eq!(verdict(kind, origin), verdict(kind, Origin::Remote), "{kind}");
        }
    }
}

#[test]
fn unavailable_with_a_push_back_is_overloaded() {
    let after = RetryHint::After(Duration::from_secs(1));
    assert_eq!(Judgement::of_parts(Kind::Unavailable, Origin::Remote, after).verdict, Verdict::Overloaded);
    // "Never" says nothing about load: a tier that has retried already passes up a failure of what lies below it.
    assert_eq!(Judgement::of_parts(Kind::Unavailable, Origin::Remote, RetryHint::Never).verdict, Verdict::Transient);
    // Other kinds stay what they are.
    assert_eq!(Judgement::of_parts(Kind::Internal, Origin::Remote, after).verdict, Verdict::Fault);
    assert_eq!(Judgement::of_parts(Kind::NotFound, Origin::Remote, after).verdict, Verdict::Caller);
}

#[test]
fn breakers_count_transient_expired_and_fault() {
    let failures = [Kind::Unavailable, Kind::DeadlineExceeded, Kind::Internal, Kind::Unknown, Kind::DataLoss];
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Cancelled) {
        let judgement = Judgement::of_kind(kind);
        assert_eq!(judgement.is_failure(), failures.contains(&kind), "{kind}");
        let verdict = judgement.verdict;
        assert_eq!(verdict.as_str(), format!("{verdict:?}").to_lowercase());
    }
    assert!(!Judgement::SUCCESS.is_failure());
}

#[test]
fn a_refusal_of_this_side_is_no_failure_of_the_peer() {
    for kind in Kind::ALL {
        assert!(!Judgement::of_parts(kind, Origin::LocalRefusal, RetryHint::None).is_failure(), "{kind}");
    }
    // A peer that cannot be connected to has failed; a call that was late before it was sent has not.
    assert!(Judgement::of_parts(Kind::Unavailable, Origin::NotSent, RetryHint::None).is_failure());
    assert!(!Judgement::of_parts(Kind::DeadlineExceeded, Origin::NotSent, RetryHint::None).is_failure());
}

#[test]
fn a_judgement_says_kind_origin_and_hint_of_the_error() {
    let error = Error::unavailable("x").with_origin(Origin::NotSent).with_retry_after(Duration::from_secs(3));
    let judgement = Judgement::of(&error);
    assert_eq!(judgement.kind, Some(Kind::Unavailable));
    assert_eq!(judgement.origin, Origin::NotSent);
    assert_eq!(judgement.retry_hint, RetryHint::After(Duration::from_secs(3)));

    let never = Judgement::of(&Error::unavailable("x").with_retry_hint(RetryHint::Never));
    assert_eq!(never.retry_hint, RetryHint::Never);
    assert_eq!(Judgement::SUCCESS.kind, None);
}
