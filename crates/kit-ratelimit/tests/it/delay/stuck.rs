//! What must not stop the line: a clock that goes back, and calls that nobody polls any more.

use std::mem::forget;

use kit_base::{Endpoint, Request};
use kit_ratelimit::{Delay, Layer};

use super::{Call, Notes, is_refused, is_too_late, pass, within};
use crate::support::{ms, quota};
use std::time::Duration;

/// Of two runtimes, each with a paused clock of its own: tests that share a limit do so.
#[test]
fn where_the_clock_has_gone_back_by_more_than_a_minute_the_bucket_begins_again_and_fills() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let delay = Delay::new(quota(10, 2));
    runtime().block_on(async {
        tokio::time::advance(Duration::from_secs(7200)).await;
        delay.layer(Notes::new()).call(Request::new(0)).await.unwrap();
    });
    runtime().block_on(async {
        let notes = Notes::new();
        let endpoint = delay.layer(notes.clone());
        for n in 1..4 {
            endpoint.call(Request::new(n)).await.unwrap();
        }
        assert_eq!(notes.seen(), [(1, ms(100)), (2, ms(200)), (3, ms(300))]);
    });
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_neither_polled_nor_dropped_holds_up_nobody_after_its_time_is_over() {
    let (delay, notes) = (Delay::new(quota(10, 1)).at_most(ms(1000)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    forget(Call::begun(&endpoint, 1));
    tokio::time::advance(ms(500)).await;
    let mut calls = vec![Call::begun(&endpoint, 2), Call::begun(&endpoint, 3)];
    pass(ms(500), &mut calls).await;
    assert_eq!((notes.seen().len(), delay.waiting()), (1, 3));
    // Its time is over at 1010 ms, and the next that comes puts it out.
    pass(ms(11), &mut calls).await;
    calls.push(Call::begun(&endpoint, 4));
    super::poll_woken(&mut calls);
    pass(ms(300), &mut calls).await;
    assert_eq!(notes.seen()[1..], [(2, ms(1011)), (3, ms(1101)), (4, ms(1201))]);
    assert_eq!(delay.waiting(), 0);
}

/// Where nobody comes any more, the first whose own time is over puts it out.
#[tokio::test(start_paused = true)]
async fn behind_a_call_that_is_neither_polled_nor_dropped_the_first_that_gives_up_makes_room() {
    let (delay, notes) = (Delay::new(quota(10, 1)).at_most(ms(1000)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    let mut stuck = Call::begun(&endpoint, 1);
    tokio::time::advance(ms(500)).await;
    let mut gives_up = Call::new(&endpoint, within(ms(900), 2));
    assert!(gives_up.poll().is_pending());
    let mut calls = vec![Call::begun(&endpoint, 3)];
    tokio::time::advance(ms(901)).await;
    assert!(gives_up.is_woken() && !calls[0].is_woken());
    let std::task::Poll::Ready(outcome) = gives_up.poll() else { panic!("its time is over") };
    is_too_late(&outcome.unwrap_err());
    super::poll_woken(&mut calls);
    assert_eq!((notes.seen()[1..].to_vec(), delay.waiting()), (vec![(3, ms(1401))], 0));
    // It is told why, should it be polled after all.
    let std::task::Poll::Ready(outcome) = stuck.poll() else { panic!("its time is over") };
    is_refused(&outcome.unwrap_err(), Some(ms(0)));
    assert_eq!(notes.seen().len(), 2);
}
