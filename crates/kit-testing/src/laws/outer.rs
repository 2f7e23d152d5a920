//! A call from outside: its stages, and how it came out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use kit_base::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::subject::{Ask, Failed, Handle, Outcome, Rest};

/// A call from outside, as far as it has come.
pub(crate) struct Outer {
    pub(crate) ask: Ask,
    pub(crate) began: Instant,
    /// Its own clone of the service, until it is called. Nothing where the service has no clones.
    pub(crate) handle: Option<Box<dyn Handle>>,
    pub(crate) stage: Stage,
    pub(crate) alarm: Arc<Alarm>,
    /// The inner call that answers, once the head is there.
    pub(crate) answered_by: Option<usize>,
    /// Whether the service was called, and not just asked for its readiness.
    pub(crate) was_called: bool,
}

pub(crate) enum Stage {
    /// Waits for the service to be ready.
    Readying,
    /// The service is ready, and not called yet.
    Ready,
    Called(BoxFuture<Outcome>),
    /// The head is there, the rest is to come.
    Rest(Box<dyn Rest>),
    Over(End),
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum End {
    Answered,
    Failed(Failed),
    Left,
    Panicked,
}

/// What a poll came to.
pub(crate) enum Polled {
    Waits,
    Ready,
    /// Answered, with the rest to come or without.
    Head(usize, Option<Box<dyn Rest>>),
    Part,
    Over(End),
}

impl Outer {
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    pub(crate) fn end(&self) -> Option<&End> {
        match &self.stage {
            Stage::Over(end) => Some(end),
            _ => None,
        }
    }

    /// Polls once. `lone` is the service itself where it has no clones.
    pub(crate) fn poll(&mut self, lone: &mut (dyn Handle + 'static)) -> Polled {
        self.alarm.rung.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self.alarm));
        let mut cx = Context::from_waker(&waker);
        let handle = match &mut self.handle {
            Some(handle) => handle.as_mut(),
            None => lone,
        };
        let polled = catch_unwind(AssertUnwindSafe(|| match &mut self.stage {
            Stage::Readying => match handle.poll_ready(&mut cx) {
                Poll::Pending => Polled::Waits,
                Poll::Ready(Ok(())) => Polled::Ready,
                Poll::Ready(Err(failed)) => Polled::Over(End::Failed(failed)),
            },
            Stage::Ready => {
                self.was_called = true;
                let mut future = handle.call(self.ask);
                let polled = of_outcome(future.as_mut().poll(&mut cx));
                if matches!(polled, Polled::Waits) {
                    self.stage = Stage::Called(future);
                }
                polled
            }
            Stage::Called(future) => of_outcome(future.as_mut().poll(&mut cx)),
            Stage::Rest(rest) => match rest.poll_part(&mut cx) {
                Poll::Pending => Polled::Waits,
                Poll::Ready(Ok(true)) => Polled::Part,
                Poll::Ready(Ok(false)) => Polled::Over(End::Answered),
                Poll::Ready(Err(failed)) => Polled::Over(End::Failed(failed)),
            },
            Stage::Over(_) => Polled::Waits,
        }));
        polled.unwrap_or(Polled::Over(End::Panicked))
    }

    /// Drops what is left of it: the handle, the future, or the rest.
    pub(crate) fn leave(&mut self) {
        if !self.is_over() {
            self.stage = Stage::Over(End::Left);
        }
        self.handle = None;
    }
}

fn of_outcome(outcome: Poll<Outcome>) -> Polled {
    match outcome {
        Poll::Pending => Polled::Waits,
        Poll::Ready(Outcome::Answered(call, rest)) => Polled::Head(call, rest),
        Poll::Ready(Outcome::Failed(failed)) => Polled::Over(End::Failed(failed)),
    }
}

/// The waker of a call: it remembers that it rang, and wakes the checker.
#[derive(Debug)]
pub(crate) struct Alarm {
    pub(crate) rung: AtomicBool,
    checker: Arc<Notify>,
}

impl Alarm {
    pub(crate) fn new(checker: &Arc<Notify>) -> Arc<Self> {
        // Nobody was polled yet: the first poll needs no wake-up.
        Arc::new(Self { rung: AtomicBool::new(true), checker: Arc::clone(checker) })
    }

    pub(crate) fn has_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.checker.notify_one();
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}
