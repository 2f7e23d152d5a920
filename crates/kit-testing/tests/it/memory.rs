//! Memory of a process of its own.

use std::hint::black_box;
use std::panic::catch_unwind;

use kit_testing::memory::{Growth, alone};

const MIB: u64 = 1 << 20;

#[test]
fn growth_counts_what_was_held_for_a_while_and_nothing_from_before() {
    if !alone("memory::growth_counts_what_was_held_for_a_while_and_nothing_from_before") {
        return;
    }
    drop(black_box(vec![1_u8; 64 << 20]));
    let growth = Growth::new();
    assert!(growth.most() < 8 * MIB, "{}", growth.most());
    drop(black_box(vec![1_u8; 32 << 20]));
    assert!((31 * MIB..40 * MIB).contains(&growth.most()), "{}", growth.most());
}

#[test]
fn a_test_that_fails_or_is_not_there_fails_whoever_wanted_it_alone() {
    let test = "memory::a_test_that_fails_or_is_not_there_fails_whoever_wanted_it_alone";
    let text = |name| {
        let panic = catch_unwind(|| assert!(!alone(name))).expect_err("a failure");
        panic.downcast_ref::<String>().expect("a text").clone()
    };
    // Only in the process that the call below has started.
    assert!(!catch_unwind(|| alone("memory::no_such_test")).is_ok_and(|alone| alone), "it fails on its own");
    assert!(text("memory::no_such_test").contains("0 passed"));
    let said = text(test);
    assert!(said.contains("it fails on its own") && said.contains(test), "{said}");
}
