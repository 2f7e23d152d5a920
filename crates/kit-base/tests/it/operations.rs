//! Operations: names, identity, and what transports call them.

use std::collections::HashSet;

use kit_base::{Operation, OperationInfo};

static SUM: OperationInfo =
    OperationInfo::new("addsvc", "sum").idempotent(true).named(&[("http", "POST /sum"), ("grpc", "pb.Add/Sum")]);

#[test]
fn a_static_and_a_shared_operation_of_one_name_are_the_same() {
    let fixed = Operation::from_static(&SUM);
    let shared = Operation::new("addsvc".to_owned(), "sum");
    assert_eq!(fixed, shared);
    assert_eq!(HashSet::from([fixed.clone(), shared]).len(), 1);
    for other in [Operation::new("addsvc", "concat"), Operation::new("other", "sum"), Operation::UNMATCHED] {
        assert_ne!(fixed, other);
    }
    // Where the service ends and the method begins makes a difference.
    assert_ne!(Operation::new("a", "bc"), Operation::new("ab", "c"));
    assert_eq!(HashSet::from([Operation::new("a", "bc"), Operation::new("ab", "c")]).len(), 2);
}

#[test]
fn an_operation_says_service_method_and_idempotence() {
    let sum = Operation::from_static(&SUM);
    assert_eq!((sum.service(), sum.method(), sum.is_idempotent()), ("addsvc", "sum", true));
    let new = Operation::new("addsvc", "sum");
    assert!(!new.is_idempotent());
    assert!(new.with_idempotent(true).is_idempotent());
    let not = sum.with_idempotent(false);
    assert!(!not.is_idempotent());
    assert_eq!(not.name_for("grpc"), Some("pb.Add/Sum"));
}

#[test]
fn transports_have_names_of_their_own_for_it() {
    let sum = Operation::from_static(&SUM);
    assert_eq!(sum.name_for("http"), Some("POST /sum"));
    assert_eq!(sum.name_for("grpc"), Some("pb.Add/Sum"));
    assert_eq!(sum.name_for("nats"), None);
    assert_eq!(Operation::new("a", "b").name_for("http"), None);
}

#[test]
fn calls_that_match_no_operation_share_one_name() {
    assert_eq!(Operation::UNMATCHED.to_string(), "unmatched");
    assert_eq!(Operation::UNMATCHED.service(), "");
    assert!(!Operation::UNMATCHED.is_idempotent());
    assert_eq!(Operation::from_static(&SUM).to_string(), "addsvc/sum");
    assert_eq!(format!("{:?}", Operation::from_static(&SUM)), "Operation(addsvc/sum)");
}

#[test]
fn an_operation_is_two_words_and_its_clone_copies_no_text() {
    assert_eq!(size_of::<Operation>(), 16);
    assert_eq!(size_of::<Option<Operation>>(), 16);
    let shared = Operation::new("addsvc".to_owned(), "sum".to_owned());
    assert!(std::ptr::eq(shared.service(), shared.clone().service()));
}
