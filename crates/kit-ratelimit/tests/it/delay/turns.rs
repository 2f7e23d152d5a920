//! Who comes first goes first, and not before its time.

use std::panic::AssertUnwindSafe;

use kit_base::{Endpoint, Request};
use kit_ratelimit::{Delay, Layer};

use super::{Call, Notes, is_refused, pass, poll_woken};
use crate::support::{Told, ms, quota};

#[tokio::test(start_paused = true)]
async fn they_go_in_the_order_in_which_they_came_each_at_its_tick() {
    let (delay, notes) = (Delay::new(quota(10, 2)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    assert_eq!(endpoint.call(Request::new(0)).await.unwrap(), 0);
    assert_eq!(endpoint.call(Request::new(1)).await.unwrap(), 1);
    let mut calls: Vec<_> = (2..7).map(|n| Call::begun(&endpoint, n)).collect();
    assert_eq!(delay.waiting(), 5);
    pass(ms(499), &mut calls).await;
    assert_eq!((delay.waiting(), notes.seen().len()), (1, 6));
    pass(ms(1), &mut calls).await;
    let went = [(0, 0), (1, 0), (2, 100), (3, 200), (4, 300), (5, 400), (6, 500)];
    assert_eq!(notes.seen(), went.map(|(n, at)| (n, ms(at))));
    assert_eq!(delay.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_small_one_waits_behind_a_large_one() {
    let (delay, notes) = (Delay::new(quota(10, 4)).costing(|request: &Request<u32>| *request.message()), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(2)).await.unwrap();
    // There are two: the small one has to wait, since the large one does.
    let mut calls = vec![Call::begun(&endpoint, 4), Call::begun(&endpoint, 1), Call::begun(&endpoint, 3)];
    assert_eq!(delay.standing_at(crate::support::now()).remaining, 2);
    pass(ms(600), &mut calls).await;
    assert_eq!(notes.seen(), [(2, ms(0)), (4, ms(200)), (1, ms(300)), (3, ms(600))]);
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_the_first_while_its_tokens_are_there_and_it_has_not_run_yet() {
    let (delay, notes) = (Delay::new(quota(10, 1)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    let mut calls = vec![Call::begun(&endpoint, 1), Call::begun(&endpoint, 2)];
    tokio::time::advance(ms(100)).await;
    assert!(calls[0].is_woken() && !calls[1].is_woken());
    // It has been woken, and did not get to run yet.
    calls.push(Call::begun(&endpoint, 3));
    assert_eq!(notes.seen().len(), 1);
    poll_woken(&mut calls);
    assert_eq!(notes.seen()[1..], [(1, ms(100))]);
    // It has gone, and whoever is the next has not run yet.
    calls.push(Call::begun(&endpoint, 4));
    pass(ms(300), &mut calls).await;
    assert_eq!(notes.seen()[2..], [(2, ms(200)), (3, ms(300)), (4, ms(400))]);
}

#[tokio::test(start_paused = true)]
async fn nor_while_there_are_tokens_for_both() {
    let (delay, notes) = (Delay::new(quota(10, 5)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    for n in 0..5 {
        endpoint.call(Request::new(n)).await.unwrap();
    }
    let mut calls = vec![Call::begun(&endpoint, 5)];
    tokio::time::advance(ms(300)).await;
    calls.push(Call::begun(&endpoint, 6));
    poll_woken(&mut calls);
    assert_eq!(notes.seen()[5..], [(5, ms(300)), (6, ms(300))]);
}

#[tokio::test(start_paused = true)]
async fn the_estimate_counts_each_of_those_before_it_once() {
    let told = Told::default();
    let delay = Delay::new(quota(10, 1)).at_most(ms(300)).observed_by(told.clone()).named("crawl");
    let endpoint = delay.layer(Notes::new());
    endpoint.call(Request::new(0)).await.unwrap();
    let mut calls: Vec<_> = (1..4).map(|n| Call::begun(&endpoint, n)).collect();
    // To the nanosecond: 400 ms is the wait, and 300 the longest.
    is_refused(&endpoint.call(Request::new(4)).await.unwrap_err(), Some(ms(100)));
    pass(ms(100), &mut calls).await;
    calls.push(Call::begun(&endpoint, 4));
    is_refused(&endpoint.call(Request::new(5)).await.unwrap_err(), Some(ms(100)));
    pass(ms(50), &mut calls).await;
    is_refused(&endpoint.call(Request::new(5)).await.unwrap_err(), Some(ms(50)));
    // Who comes back when it is told to finds a line that is short enough.
    pass(ms(50), &mut calls).await;
    calls.push(Call::begun(&endpoint, 5));
    let told = told.take();
    assert!(told.iter().all(|(name, ..)| name == "crawl"));
    let waits: Vec<_> = told.iter().filter(|(_, what, _)| *what == "delayed").map(|(_, _, amount)| *amount).collect();
    assert_eq!(waits, [0.1, 0.2, 0.3, 0.3, 0.3]);
    assert_eq!(told.iter().filter(|(_, what, amount)| *what == "refused" && *amount == 1.0).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_polls_yet_is_in_nobodys_way() {
    let (delay, notes) = (Delay::new(quota(10, 1)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    let (mut first, mut second) = (Call::new(&endpoint, Request::new(1)), Call::new(&endpoint, Request::new(2)));
    assert_eq!(delay.standing_at(crate::support::now()).remaining, 1);
    assert!(second.poll().is_ready() && first.poll().is_pending());
    assert_eq!(delay.waiting(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_cost_or_in_the_observer_takes_nothing_along() {
    let costs = |request: &Request<u32>| if *request.message() == 13 { panic!("as told") } else { 1 };
    let panics = |event: &kit_base::Event<'_>| {
        if event.what == "delayed" {
            panic!("as told")
        }
    };
    let delay = Delay::new(quota(10, 1)).costing(costs).observed_by(panics);
    let endpoint = delay.layer(Notes::new());
    let call =
        |n| std::panic::catch_unwind(AssertUnwindSafe(|| Call::new(&endpoint, Request::new(n)).poll().is_ready()));
    call(13).unwrap_err();
    assert!(call(1).unwrap());
    call(2).unwrap_err();
    assert_eq!(delay.waiting(), 0);
    tokio::time::advance(ms(100)).await;
    assert!(call(3).unwrap());
}

#[tokio::test(start_paused = true)]
async fn clones_and_repeated_layering_share_the_line_and_a_fresh_one_does_not() {
    let (delay, notes) = (Delay::new(quota(10, 1)).at_most(ms(150)), Notes::new());
    let (a, b) = (delay.layer(notes.clone()).clone(), delay.clone().layer(notes.clone()));
    a.call(Request::new(0)).await.unwrap();
    let mut calls = vec![Call::begun(&a, 1)];
    is_refused(&b.call(Request::new(2)).await.unwrap_err(), Some(ms(50)));
    let fresh = delay.fresh();
    assert_eq!((fresh.waiting(), fresh.quota()), (0, delay.quota()));
    assert!(fresh.layer(notes).call(Request::new(3)).await.is_ok());
    pass(ms(100), &mut calls).await;
    assert!(calls.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_gives_the_request_back_and_tells_how_the_bucket_stands() {
    let delay = Delay::new(quota(10, 1)).at_most(ms(0)).named("crawl");
    let endpoint = delay.layer(Notes::new());
    endpoint.call(Request::new(0)).await.unwrap();
    let mut refusal = endpoint.call(Request::new(7)).await.unwrap_err();
    is_refused(&refusal, Some(ms(100)));
    let told = kit_ratelimit::Limited::of(&refusal).unwrap();
    assert_eq!((&*told.name, told.cost, told.standing.remaining, told.standing.reset), ("crawl", 1, 0, ms(100)));
    let mut headers = http::HeaderMap::new();
    refusal.write_headers(&mut headers);
    assert_eq!(headers["ratelimit"], r#""crawl";r=0;t=1"#);
    assert_eq!(refusal.take_unsent::<Request<u32>>().map(Request::into_message), Some(7));
}

#[test]
fn the_future_is_as_large_as_the_inner_one_and_a_few_words() {
    struct Large;

    impl Endpoint<Request<[u8; 4096]>> for Large {
        type Response = u8;
        type Error = kit_base::Error;

        async fn call(&self, request: Request<[u8; 4096]>) -> Result<u8, kit_base::Error> {
            tokio::task::yield_now().await;
            Ok(request.message()[0])
        }
    }

    let request = || Request::new([0; 4096]);
    let inner = size_of_val(&Large.call(request()));
    let sizes = |layered: usize| assert!(layered <= inner + 64, "{layered} over {inner}");
    sizes(size_of_val(&Delay::new(quota(1, 1)).layer(Large).call(request())));
    let wait = |_: Option<kit_base::Deadline>| std::future::ready(Ok(()));
    sizes(size_of_val(&kit_ratelimit::Delaying::new(wait).layer(Large).call(request())));
}
