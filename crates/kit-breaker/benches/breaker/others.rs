//! Other circuit breakers, by their own interfaces: failsafe and recloser around a future, tower-resilience around a service.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use failsafe::futures::CircuitBreaker;
use failsafe::{Config, FailurePolicy, Instrument, StateMachine, backoff, failure_policy};
use kit_base::Endpoint;
use recloser::{AsyncRecloser, Recloser};
use tower::service_fn;
use tower_layer::Layer;
use tower_resilience::circuitbreaker::CircuitBreakerLayer;

use crate::harness::Bound;
use crate::rows::{BARE, Rows, SERVICE, answer, ask};
use crate::subjects::{Ask, Failing, Leaf, leaf};

const FREE: Bound = Bound { allocations: None, over: None };
const OPEN_FOR: Duration = Duration::from_secs(60 * 60);

pub(crate) fn add(rows: &mut Rows) {
    let in_a_row = || failure_policy::consecutive_failures(6, backoff::constant(OPEN_FOR));
    let window = Duration::from_secs(10);
    let rate = failure_policy::success_rate_over_time_window(0.5, 20, window, backoff::constant(OPEN_FOR));
    let failsafe = |policy| Config::new().failure_policy(policy).build();
    by_failsafe(rows, "failsafe: closed, failures in a row", failsafe(in_a_row()));
    by_failsafe(rows, "failsafe: closed, success rate of 10 s", Config::new().failure_policy(rate).build());
    let open = failsafe(in_a_row());
    (0..6).for_each(|_| open.on_error());
    assert!(!open.is_call_permitted(), "it is open");
    by_failsafe(rows, "failsafe: open", open);

    let recloser = || Recloser::custom().error_rate(0.5).closed_len(100).open_wait(OPEN_FOR).build().into();
    by_recloser(rows, "recloser: closed, failure rate of 100 calls", recloser());
    let open: AsyncRecloser = recloser();
    (0..101).for_each(|number| drop(answer(pin!(open.call(Failing::<true>.call(ask(number)))))));
    by_recloser(rows, "recloser: open", open);

    let layer = || CircuitBreakerLayer::builder().wait_duration_in_open(OPEN_FOR);
    let in_a_row = layer().consecutive_failures(6).build().expect("settings that make sense").layer(service_fn(leaf));
    rows.service("tower-resilience: closed, failures in a row", Some(SERVICE), FREE, in_a_row);
    let rate = layer().failure_rate_threshold(0.5).sliding_window_size(100).build().expect("settings that make sense");
    rows.service(
        "tower-resilience: closed, failure rate of 100 calls",
        Some(SERVICE),
        FREE,
        rate.layer(service_fn(leaf)),
    );
    let (open, handle) = layer().build_with_handle().expect("settings that make sense");
    answer(pin!(handle.force_open()));
    let title = "tower-resilience: open";
    rows.service(title, Some(SERVICE), FREE, open.layer(service_fn(leaf)));
    // Where two threads meet at the lock of an open one, it sleeps on a runtime.
    rows.alone([title]);
}

fn by_failsafe<P, I>(rows: &mut Rows, title: &'static str, breaker: StateMachine<P, I>)
where
    P: FailurePolicy + Send + Sync + 'static,
    I: Instrument + Send + Sync + 'static,
{
    rows.row(title, Some(BARE), FREE, move |calls| {
        for number in 0..calls {
            drop(answer(pin!(guarded_by_failsafe(&breaker, ask(number)))));
        }
    });
}

fn by_recloser(rows: &mut Rows, title: &'static str, breaker: AsyncRecloser) {
    rows.row(title, Some(BARE), FREE, move |calls| {
        for number in 0..calls {
            drop(answer(pin!(guarded_by_recloser(&breaker, ask(number)))));
        }
    });
}

#[inline(never)]
fn guarded_by_failsafe<P, I>(
    breaker: &StateMachine<P, I>,
    request: Ask,
) -> impl Future<Output = Result<kit_base::Response<u64>, failsafe::Error<kit_base::Error>>>
where
    P: FailurePolicy + Send + Sync,
    I: Instrument + Send + Sync,
{
    breaker.call(Leaf.call(request))
}

#[inline(never)]
fn guarded_by_recloser(
    breaker: &AsyncRecloser,
    request: Ask,
) -> impl Future<Output = Result<kit_base::Response<u64>, recloser::Error<kit_base::Error>>> {
    breaker.call(Leaf.call(request))
}
