//! Histories at random, beside a plain model: a queue, and a bucket that is counted millisecond by millisecond.

use std::collections::VecDeque;
use std::task::Poll;
use std::time::Duration;

use kit_base::{Error, Kind, Request};
use kit_ratelimit::{Delay, Layer, Quota};

use super::{Call, Notes, within};
use crate::kinds::Chance;
use crate::support::{ms, nz};

/// Tokens are counted in parts, of which each millisecond brings one.
struct Model {
    interval: u64,
    burst: u64,
    at_most: u64,
    parts: u64,
    line: VecDeque<(u32, u64)>,
    passed: Vec<u32>,
}

impl Model {
    /// What a call is to see at once: nothing if it waits.
    fn call(&mut self, number: u32, cost: u64, left: Option<u64>) -> Option<Result<(), Kind>> {
        if left == Some(0) {
            return Some(Err(Kind::DeadlineExceeded));
        }
        let price = cost * self.interval;
        if cost > self.burst {
            return Some(Err(Kind::ResourceExhausted));
        }
        let ahead: u64 = self.line.iter().map(|(_, price)| price).sum();
        let wait = (ahead + price).saturating_sub(self.parts);
        if left.is_some_and(|left| left <= wait && left <= self.at_most) {
            return Some(Err(Kind::DeadlineExceeded));
        }
        if wait > self.at_most {
            return Some(Err(Kind::ResourceExhausted));
        }
        if cost > 0 {
            self.line.push_back((number, price));
            if self.line.len() > 1 || price > self.parts {
                return None;
            }
            self.go();
        } else {
            self.passed.push(number);
        }
        Some(Ok(()))
    }

    fn go(&mut self) {
        while let Some((number, price)) = self.line.front().copied().filter(|(_, price)| *price <= self.parts) {
            self.line.pop_front();
            self.parts -= price;
            self.passed.push(number);
        }
    }

    fn pass(&mut self) {
        self.parts = (self.parts + 1).min(self.burst * self.interval);
        self.go();
    }
}

/// Costs are kept in the request: its number, times 8, and the cost.
fn number(n: u32, cost: u64) -> u32 {
    n * 8 + cost as u32
}

async fn history(seed: u64) {
    let mut chance = Chance(seed);
    let (interval, burst, at_most) = (1 + chance.under(30), 1 + chance.under(5), chance.under(400));
    let quota = Quota::per(nz(1), ms(interval)).unwrap().with_burst(nz(burst as u32));
    let delay = Delay::new(quota).at_most(ms(at_most)).costing(|request: &Request<u32>| *request.message() % 8);
    let (notes, began) = (Notes::new(), tokio::time::Instant::now());
    let endpoint = delay.layer(notes.clone());
    let mut model =
        Model { interval, burst, at_most, parts: burst * interval, line: VecDeque::new(), passed: Vec::new() };
    let mut calls: Vec<(u32, Call<'_>)> = Vec::new();
    let outcome = |polled: Poll<Result<u32, Error>>| match polled {
        Poll::Ready(outcome) => Some(outcome.map(drop).map_err(|error| error.kind())),
        Poll::Pending => None,
    };
    for step in 0..300 {
        match chance.under(4) {
            0 | 1 => {
                let cost = if chance.one_in(3) { chance.under(burst + 2) } else { 1 };
                let n = number(step, cost);
                let left = chance.one_in(3).then(|| chance.under(300));
                let request = left.map_or_else(|| Request::new(n), |left| within(ms(left), n));
                // What costs nothing passes, line or no line.
                let expected = if cost == 0 && left != Some(0) {
                    model.passed.push(n);
                    Some(Ok(()))
                } else {
                    model.call(n, cost, left)
                };
                let mut call = Call::new(&endpoint, request);
                assert_eq!(outcome(call.poll()), expected, "seed {seed}, step {step} at {:?}", began.elapsed());
                if expected.is_none() {
                    calls.push((n, call));
                }
            }
            2 if !calls.is_empty() => {
                let (left, _) = calls.remove(chance.under(calls.len() as u64) as usize);
                model.line.retain(|(n, _)| *n != left);
                model.go();
                // Whoever is the first now may have been woken, and runs before anybody else comes.
                run(&mut chance, &mut calls);
            }
            _ => {
                for _ in 0..chance.under(3 * interval) {
                    tokio::time::advance(Duration::from_millis(1)).await;
                    model.pass();
                    run(&mut chance, &mut calls);
                }
            }
        }
        assert_eq!(notes.seen().iter().map(|(n, _)| *n).collect::<Vec<_>>(), model.passed, "seed {seed}, step {step}");
        assert_eq!(delay.waiting(), model.line.len(), "seed {seed}, step {step}");
    }
}

/// Polls those that are woken, in any order, until nobody is.
fn run(chance: &mut Chance, calls: &mut Vec<(u32, Call<'_>)>) {
    loop {
        let woken: Vec<_> = (0..calls.len()).filter(|n| calls[*n].1.is_woken()).collect();
        let Some(n) = (!woken.is_empty()).then(|| woken[chance.under(woken.len() as u64) as usize]) else { return };
        if let Poll::Ready(outcome) = calls[n].1.poll() {
            assert_eq!(outcome.map_err(|error| error.kind()), Ok(calls[n].0));
            calls.remove(n);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn histories_are_those_of_a_queue_before_a_bucket() {
    for seed in 0..40 {
        history(seed).await;
    }
}

#[tokio::test(start_paused = true)]
#[ignore = "takes half a minute"]
async fn many_histories_are_those_of_a_queue_before_a_bucket() {
    for seed in 40..2000 {
        history(seed).await;
    }
}
