//! Drives one connection to its end, and decides when that is.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::activity::Next;
use crate::alarm::Alarm;
use crate::error::BoxError;
use crate::events::Why;
use crate::limits::Limits;
use crate::link::Link;
use crate::pace::Pace;

/// A connection of hyper that can be told to end.
pub(crate) trait Connection: Future<Output = Result<(), BoxError>> {
    fn graceful_shutdown(self: Pin<&mut Self>);
}

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) why: Why,
    pub(crate) how: How,
}

/// What is to be done about a connection's last bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// They may be on their way: it ended after an answer, or with an error.
    Spoken,
    /// There are none: it was idle, or its client was too slow.
    Silent,
    /// They do not matter: an answer was broken off.
    Cut,
}

/// Where a connection is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// The connection is to end. What the operating system holds for it is read first, so that a request which was
    /// here before is answered, even if the runtime has not heard of it yet.
    LastLook(Why),
    /// The connection is to end, since this point, but a request is on its way: its client has connected just now, or has
    /// sent a part of a head.
    LastWord(Why, Instant),
    Closing(Why, How),
}

pub(crate) async fn drive(
    mut connection: Pin<&mut impl Connection>,
    link: &Link,
    mut stop: watch::Receiver<bool>,
) -> End {
    let limits = &link.shared.limits;
    // An error means that the server is gone, and this task with it.
    let mut stop = pin!(async move { stop.wait_for(|stop| *stop).await.is_ok() });
    let mut age = Age::new(limits, link.activity.opened());
    let first_look = link.activity.opened() + limits.look();
    let mut timer = pin!(sleep_until(age.due.map_or(first_look, |due| due.min(first_look))));
    let mut stage = Stage::Serving;
    let mut closing = None;
    let mut taking = limits.answer_rate.map(|rate| Taking::new(Pace::new(rate)));
    let mut alarm = Alarm::new();
    let mut looked_again = false;
    poll_fn(|cx| {
        let rung = alarm.has_rung(cx.waker());
        loop {
            // First of all, so that whatever the client did is known when the rest is judged.
            if let Poll::Ready(_closed) = connection.as_mut().poll(cx) {
                // An error is the client's doing (it broke off, or was refused), and has been answered if it could be.
                let (why, how) =
                    if let Stage::Closing(why, how) = stage { (why, how) } else { (Why::Ended, How::Spoken) };
                return Poll::Ready(End { why, how });
            }
            if link.activity.is_unanswered() {
                if !looked_again {
                    // Its answer may be here already, if the runtime was too busy to notice.
                    looked_again = true;
                    link.set_probing(true);
                    continue;
                }
                let (why, now) = (Why::PingTimeout, Instant::now());
                if closing.is_some() || link.activity.is_answering() || link.activity.is_upgraded() {
                    return Poll::Ready(End { why, how: How::Cut });
                }
                // Some clients read nothing while they are idle. One that does not read this before it sends a request
                // will read it after, and knows that it may send the request again.
                stage = Stage::Closing(why, How::Silent);
                closing = Some(now);
                connection.as_mut().graceful_shutdown();
                link.activity.forget_unanswered();
                timer.as_mut().reset(now);
                continue;
            }
            if looked_again {
                looked_again = false;
                link.set_probing(false);
            }
            if stage == Stage::Serving && !rung {
                return Poll::Pending;
            }
            let cx = &mut Context::from_waker(alarm.waker());
            if stage == Stage::Serving && stop.as_mut().poll(cx).is_ready() {
                stage = Stage::LastLook(Why::Stopped);
                link.set_probing(true);
                continue;
            }
            if let Stage::LastLook(why) = stage {
                link.set_probing(false);
                stage = Stage::LastWord(why, Instant::now());
            }
            if let Stage::LastWord(why, told) = stage {
                if let Some(until) = link.activity.awaited_until(Instant::now(), told, limits) {
                    timer.as_mut().reset(until);
                    ready!(timer.as_mut().poll(cx));
                    continue;
                }
                if link.activity.has_begun_head() {
                    return Poll::Ready(End { why, how: How::Silent });
                }
                stage = Stage::Closing(why, if link.activity.is_quiet() { How::Silent } else { How::Spoken });
                connection.as_mut().graceful_shutdown();
                let now = Instant::now();
                closing = Some(now);
                timer.as_mut().reset(now);
                continue;
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            match age.next(now, stage == Stage::Serving) {
                Aged::Young => {}
                Aged::End => {
                    stage = Stage::LastLook(Why::Aged);
                    link.set_probing(true);
                    continue;
                }
                Aged::Cut => return Poll::Ready(End { why: Why::Aged, how: How::Cut }),
            }
            if taking.as_mut().is_some_and(|taking| taking.is_too_slow(link, now)) {
                return Poll::Ready(End { why: Why::AnswerSlow, how: How::Cut });
            }
            match link.activity.next(now, limits, closing) {
                Next::Wait(until) => {
                    let due = taking.as_ref().and_then(|taking| taking.due(now));
                    let until = [due, age.due].into_iter().flatten().fold(until, Instant::min);
                    timer.as_mut().reset(until);
                }
                Next::Idle => {
                    stage = Stage::Closing(Why::Idle, How::Silent);
                    closing = Some(now);
                    connection.as_mut().graceful_shutdown();
                }
                Next::Late => {
                    let why = if let Stage::Closing(why, _) = stage { why } else { Why::HeadLate };
                    return Poll::Ready(End { why, how: How::Silent });
                }
            }
        }
    })
    .await
}

/// When a connection is too old.
#[derive(Debug)]
struct Age {
    /// The next point at which something is due: the end, then the cut.
    due: Option<Instant>,
    grace: Option<Duration>,
    told: bool,
}

enum Aged {
    Young,
    End,
    Cut,
}

impl Age {
    fn new(limits: &Limits, opened: Instant) -> Self {
        // Connections that were opened together, as after a start, should not come back together.
        let due = limits.connection_age.map(|age| opened + age.mul_f64(1.0 - 0.1 * fastrand::f64()));
        Self { due, grace: limits.age_grace, told: false }
    }

    fn next(&mut self, now: Instant, serving: bool) -> Aged {
        if self.due.is_none_or(|due| now < due) {
            return Aged::Young;
        }
        self.due = None;
        if self.told {
            return Aged::Cut;
        }
        if !serving {
            // It ends already, in the time that it has for that.
            return Aged::Young;
        }
        self.told = true;
        self.due = self.grace.map(|grace| now + grace);
        Aged::End
    }
}

/// How the client takes its answers, looked at from time to time.
#[derive(Debug)]
struct Taking {
    pace: Pace,
    /// When bytes were seen to wait, and how many had been taken by then.
    waiting: Option<(Instant, u64)>,
}

impl Taking {
    fn new(pace: Pace) -> Self {
        Self { pace, waiting: None }
    }

    fn is_too_slow(&mut self, link: &Link, now: Instant) -> bool {
        if link.activity.is_grpc() {
            self.waiting = None;
            return false;
        }
        let taken = link.activity.taken();
        let (waits, still_waits) = link.activity.has_unsent();
        let mut enough = true;
        match self.waiting {
            Some((since, before)) if still_waits => {
                self.pace.earn(taken.wrapping_sub(before));
                enough = self.pace.spend(now - since);
            }
            // The client had taken everything in between: it keeps up.
            _ => self.pace.reset(),
        }
        self.waiting = waits.then_some((now, taken));
        !enough
    }

    /// When to look again.
    fn due(&self, now: Instant) -> Option<Instant> {
        // A little later than the credit ends, so that it has.
        self.waiting.map(|_| now + self.pace.left() + Duration::from_millis(1))
    }
}
