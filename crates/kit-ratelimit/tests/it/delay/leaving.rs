//! Whoever leaves leaves no gap, whenever that is.

use std::future::Future;

use kit_base::{Endpoint, Request};
use kit_ratelimit::{Delay, Layer};

use super::{Call, Notes, pass, poll_woken};
use crate::support::{ms, now, quota};

#[tokio::test(start_paused = true)]
async fn of_ten_the_middle_five_leave_and_the_rest_move_up() {
    let (delay, notes) = (Delay::new(quota(10, 1)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    let mut calls: Vec<_> = (1..=10).map(|n| Call::begun(&endpoint, n)).collect();
    tokio::time::advance(ms(50)).await;
    calls.drain(3..8);
    assert_eq!(delay.waiting(), 5);
    pass(ms(450), &mut calls).await;
    let went = [(0, 0), (1, 100), (2, 200), (3, 300), (9, 400), (10, 500)];
    assert_eq!(notes.seen(), went.map(|(n, at)| (n, ms(at))));
}

#[tokio::test(start_paused = true)]
async fn who_is_not_the_first_wakes_nobody_by_leaving() {
    let delay = Delay::new(quota(10, 1));
    let endpoint = delay.layer(Notes::new());
    endpoint.call(Request::new(0)).await.unwrap();
    let calls: Vec<_> = (1..4).map(|n| Call::begun(&endpoint, n)).collect();
    for n in 4..100 {
        drop(Call::begun(&endpoint, n));
    }
    assert!(!calls.iter().any(Call::is_woken));
}

#[tokio::test(start_paused = true)]
async fn the_first_gives_its_turn_to_the_next_whenever_it_leaves() {
    // Before its time, at its time when it has been woken, and long after, when it should have run and did not.
    for (left, then) in [(50, 100), (100, 100), (105, 105), (350, 350)] {
        let (delay, notes) = (Delay::new(quota(10, 1)), Notes::new());
        let endpoint = delay.layer(notes.clone());
        endpoint.call(Request::new(0)).await.unwrap();
        let first = Call::begun(&endpoint, 1);
        let mut calls = vec![Call::begun(&endpoint, 2), Call::begun(&endpoint, 3)];
        pass(ms(left), &mut calls).await;
        assert_eq!((notes.seen().len(), delay.waiting()), (1, 3));
        drop(first);
        poll_woken(&mut calls);
        pass(ms(then - left), &mut calls).await;
        assert_eq!(notes.seen()[1..], [(2, ms(then))], "left after {left} ms");
        assert_eq!(delay.waiting(), 1);
        // No tokens are lost, but for what a bucket of one cannot hold: of lateness, 10 ms.
        pass(ms(100), &mut calls).await;
        let late = (then - 100).min(10);
        assert_eq!(notes.seen()[2..], [(3, ms(then + 100 - late))], "left after {left} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_leaves_when_its_turn_was_just_handed_on_to_it_hands_it_on() {
    let (delay, notes) = (Delay::new(quota(10, 1)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    let mut first = Call::begun(&endpoint, 1);
    let (second, third) = (Call::begun(&endpoint, 2), Call::begun(&endpoint, 3));
    tokio::time::advance(ms(100)).await;
    assert!(first.poll().is_ready() && second.is_woken() && !third.is_woken());
    drop(second);
    assert!(third.is_woken());
    let mut calls = vec![third];
    poll_woken(&mut calls);
    pass(ms(100), &mut calls).await;
    assert_eq!(notes.seen()[1..], [(1, ms(100)), (3, ms(200))]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_calls_that_leave_costs_nobody_a_token_or_a_place() {
    let (delay, notes) = (Delay::new(quota(10, 1)).at_most(ms(300)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    let mut calls = vec![Call::begun(&endpoint, 1)];
    for n in 0..10_000 {
        let flood = [Call::begun(&endpoint, n), Call::begun(&endpoint, n)];
        assert_eq!(delay.waiting(), 3);
        assert!(Call::new(&endpoint, Request::new(n)).poll().is_ready(), "refused");
        drop(flood);
    }
    assert_eq!(delay.waiting(), 1);
    calls.push(Call::begun(&endpoint, 2));
    pass(ms(200), &mut calls).await;
    assert_eq!(notes.seen()[1..], [(1, ms(100)), (2, ms(200))]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_leaves_inside_has_spent_its_tokens() {
    struct Hangs;

    impl Endpoint<Request<u32>> for Hangs {
        type Response = u32;
        type Error = kit_base::Error;

        async fn call(&self, _: Request<u32>) -> Result<u32, kit_base::Error> {
            std::future::pending().await
        }
    }

    let delay = Delay::new(quota(10, 2));
    let endpoint = delay.layer(Hangs);
    drop(Call::new(&endpoint, Request::new(1)));
    assert_eq!(delay.standing_at(now()).remaining, 2, "it was never polled");
    drop(Call::begun(&endpoint, 2));
    assert_eq!((delay.standing_at(now()).remaining, delay.waiting()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_race_and_leave_and_change_the_quota_lose_no_wake_up_and_no_place() {
    let delay = Delay::new(quota(20_000, 3)).at_most(ms(60_000));
    let callers: Vec<_> = (0..16)
        .map(|caller| {
            let endpoint = delay.layer(crate::support::Echo::default());
            tokio::spawn(async move {
                for n in 0..200 {
                    if (n + caller) % 3 == 0 {
                        let _ = Call::new(&endpoint, Request::new(n)).poll();
                    } else if (n + caller) % 7 == 0 {
                        let _ = tokio::time::timeout(ms(1), endpoint.call(Request::new(n))).await;
                    } else {
                        endpoint.call(Request::new(n)).await.unwrap();
                    }
                }
            })
        })
        .collect();
    let changing = delay.clone();
    let changes = tokio::spawn(async move {
        for n in 0..100 {
            changing.change_at(quota(10_000 + n % 3 * 10_000, 1 + n % 4), now());
            tokio::time::sleep(ms(1)).await;
        }
    });
    for caller in callers {
        tokio::time::timeout(ms(30_000), caller).await.expect("a lost wake-up").unwrap();
    }
    changes.await.unwrap();
    assert_eq!(delay.waiting(), 0);
}

/// A waker is code of others: the last one of a task may drop all that the task holds.
#[test]
fn wakers_are_dropped_and_woken_outside_of_the_lock() {
    struct Asks(Delay, std::sync::mpsc::Sender<usize>);

    impl std::task::Wake for Asks {
        fn wake(self: std::sync::Arc<Self>) {
            let _ = self.0.waiting();
        }
    }

    impl Drop for Asks {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.waiting());
        }
    }

    let (asked, answers) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _runs = runtime.enter();
        let delay = Delay::new(quota(1, 1));
        let endpoint = delay.layer(crate::support::Echo::default());
        let mut calls: Vec<_> = (0..4).map(|n| Box::pin(endpoint.call(Request::new(n)))).collect();
        for call in &mut calls {
            for _ in 0..2 {
                let waker = std::sync::Arc::new(Asks(delay.clone(), asked.clone())).into();
                let _ = call.as_mut().poll(&mut std::task::Context::from_waker(&waker));
                if delay.waiting() == 0 {
                    break;
                }
            }
        }
        delay.change_at(quota(2, 1), now());
        // The last first: their wakers are still there.
        while calls.pop().is_some() {}
    });
    // One of the call that need not wait, and two of each of the others.
    for _ in 0..7 {
        answers.recv_timeout(ms(20_000)).expect("it hangs");
    }
}
