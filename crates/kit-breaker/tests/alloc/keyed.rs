//! What a breaker by key allocates.

use std::time::Instant;

use kit_base::{End, Error, Gate, Judgement, Now, Operation, Request};
use kit_breaker::{Keyed, Settings};
use kit_testing::alloc;

pub(crate) fn a_call_under_a_known_key_allocates_nothing() {
    let keyed = Keyed::per_operation(Settings::gobreaker()).expect("settings that make sense");
    let operation = Operation::new("add", "sum");
    let context = kit_base::Context::new().with_operation(operation);
    let mut request = Request::<u64>::from_parts(context, 1);
    let begin = Instant::now();
    let clock = || begin;
    let mut call = |judgement: &Judgement| {
        let permit = Gate::<Request<u64>, (), Error>::admit(&keyed, &mut request, &Now::new(&clock));
        let permit = permit.expect("a closed circuit");
        Gate::<Request<u64>, (), Error>::finish(&keyed, permit, &End::answered(judgement, &Now::new(&clock)));
    };
    call(&Judgement::SUCCESS);
    let counts = alloc::count(|| (0..100).for_each(|_| call(&Judgement::SUCCESS)));
    assert_eq!(counts.allocations, 0);
}
