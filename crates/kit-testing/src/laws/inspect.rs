//! What must hold after every step.

use super::bench::Bench;
use super::declared::Kind;
use super::law::{Law, Step};
use super::outer::{End, Outer};
use super::subject::Failed;
use super::world::ReplyEnd;

impl Bench<'_> {
    /// Looks at all laws that can be seen to be broken at any time. `polled` is the call whose turn it was.
    pub(crate) fn inspect(&mut self, polled: Option<usize>) -> Step {
        if let Some(broken) = self.world.lock().broken.take() {
            return Err(broken);
        }
        self.admitted()?;
        if let Some(call) = polled {
            self.outcome(call)?;
        }
        self.attempts()?;
        self.nothing_goes_on()?;
        self.seen = self.world.lock().arrived.len();
        self.ends()
    }

    /// No more calls inside than the layer allows.
    fn admitted(&self) -> Step {
        let state = self.world.lock();
        if let Some(most) = self.declared.at_most {
            let (inside, what) = match self.declared.holds_bodies {
                true => (state.open.len(), "calls or answers under way"),
                false => (state.running, "calls"),
            };
            if inside > most {
                return Law::Bound.broken(format!("{inside} {what} are inside, {most} are allowed"));
            }
        }
        if let Some((calls, period)) = self.declared.quota {
            let Some(last) = state.arrived.len().checked_sub(1).filter(|&last| last >= self.seen) else {
                return Ok(());
            };
            let now = state.arrived[last].at;
            // A bucket that starts full and refills evenly, since the beginning; from any moment on, one that may have been
            // full then, or a fixed period that ends in between, when as many calls again get in.
            let whole = (self.began, 1.0);
            let parts = state.arrived.iter().map(|arrived| (arrived.at, 2.0));
            for (first, (since, full)) in std::iter::once((0, whole)).chain((0..).zip(parts)) {
                let (inside, time) = (state.arrived.len() - first, now - since);
                let allowed = (calls as f64 * (full + time.as_secs_f64() / period.as_secs_f64())).ceil();
                if inside as f64 > allowed {
                    let found = format!("{inside} calls got in within {time:?}, {calls} per {period:?} are allowed");
                    return Law::Bound.broken(found);
                }
            }
        }
        Ok(())
    }

    /// The caller gets what the inner service said.
    fn outcome(&self, call: usize) -> Step {
        let outer = &self.calls[call];
        let id = outer.ask.id;
        let state = self.world.lock();
        let told = |number: usize, end: ReplyEnd| {
            let inner = state.arrived.get(number);
            inner.is_some_and(|inner| inner.outer == id && inner.reply.is_some_and(|reply| reply.end == end))
        };
        let gave_up = self.declared.gives_up.is_some_and(|limit| outer.began.elapsed() >= limit);
        match outer.end() {
            None | Some(End::Left) => {}
            Some(End::Answered) => {
                // A stream of messages does not say whose it is.
                let ok = match outer.answered_by {
                    Some(usize::MAX) => state.reached_by(id).any(|(number, _)| told(number, ReplyEnd::Ok)),
                    Some(number) => told(number, ReplyEnd::Ok),
                    None => false,
                };
                if !ok {
                    return Law::Unchanged.broken(format!("call {id} got an answer that no inner service gave to it"));
                }
            }
            Some(End::Failed(Failed::Inner { call: number, put_into })) => {
                if number.is_some_and(|number| !told(number, ReplyEnd::Fail)) {
                    return Law::Unchanged.broken(format!("call {id} got an error that no inner service gave to it"));
                }
                if let Some(name) = put_into.filter(|_| !self.declared.wraps_errors) {
                    return Law::Unchanged.broken(format!("the inner error was put into another type, `{name}`"));
                }
            }
            Some(End::Failed(Failed::Refused(text))) if !gave_up => {
                let reached: Vec<usize> = state.reached_by(id).map(|(number, _)| number).collect();
                let failed = reached.iter().any(|&number| told(number, ReplyEnd::Fail));
                if failed {
                    return Law::Unchanged.broken(format!("the inner error of call {id} became another: {text}"));
                }
                let panicked = reached.iter().any(|&number| told(number, ReplyEnd::Panic));
                let past_deadline = outer.ask.deadline.is_some_and(|deadline| deadline.has_passed(self.now()));
                if !reached.is_empty() && !panicked && !past_deadline {
                    if let Some(limit) = self.declared.gives_up {
                        let took = outer.began.elapsed();
                        let found = format!("call {id} was given up after {took:?}, the limit is {limit:?}");
                        return Law::Clock.broken(found);
                    }
                    return Law::RefusedStayOut.broken(format!("call {id} was refused ({text}), and was inside"));
                }
                if !self.declared.may_refuse() && !panicked && !past_deadline {
                    return Law::Unchanged.broken(format!("call {id} was refused by what refuses nothing: {text}"));
                }
            }
            Some(End::Failed(Failed::Refused(_))) => {}
            Some(End::Panicked) => {
                let panicked = state.reached_by(id).any(|(number, _)| told(number, ReplyEnd::Panic));
                if !panicked {
                    return Law::NoPanic.broken(format!("call {id} panicked, and the inner service had not"));
                }
            }
        }
        Ok(())
    }

    /// What arrived anew is not too much for its call.
    fn attempts(&self) -> Step {
        let state = self.world.lock();
        for arrived in &state.arrived[self.seen..] {
            let Some(ask) = self.call_of(arrived.outer).map(|outer| outer.ask) else { continue };
            let reached = state.reached_by(ask.id).count();
            let allowed = self.declared.attempts(ask.idempotent);
            if reached > allowed {
                let found = format!("call {} reached the inner service {reached} times, {allowed} are allowed", ask.id);
                return match self.declared.kind {
                    Kind::Retrying { .. } if ask.idempotent => Law::Attempts.broken(found),
                    _ => Law::Unasked.broken(found),
                };
            }
        }
        Ok(())
    }

    /// What is over is over inside too.
    fn nothing_goes_on(&self) -> Step {
        let state = self.world.lock();
        for &number in &state.open {
            let Some(outer) = self.call_of(state.arrived[number].outer) else { continue };
            let id = outer.ask.id;
            if outer.is_over() {
                return Law::Cancelled.broken(format!("call {id} is over, and inner call {number} goes on"));
            }
            if outer.answered_by.is_some_and(|answering| answering != number && answering != usize::MAX) {
                return Law::Cancelled.broken(format!("call {id} has its answer, and inner call {number} goes on"));
            }
        }
        Ok(())
    }

    /// Calls are numbered from 1, in the order in which they are made.
    fn call_of(&self, outer: u64) -> Option<&Outer> {
        self.calls.get(usize::try_from(outer).ok()?.checked_sub(1)?)
    }

    /// Each end was seen once.
    fn ends(&self) -> Step {
        if !self.declared.tells_ends {
            return Ok(());
        }
        let told = self.setup.ends().count();
        let over = self.calls.iter().filter(|call| call.is_over() && call.was_called).count();
        if told < over || told > over + self.unpolled {
            return Law::FinishOnce.broken(format!("{over} calls are over, {told} ends were told"));
        }
        Ok(())
    }
}
