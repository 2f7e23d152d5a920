//! HTTP/2 keep-alive: a client that was not heard for a while is sent a PING, and then must be heard.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::link::Link;

/// How long hyper waits for the answer to a PING: for ever, and longer than any interval.
///
/// Its timer knows by it that a PING is sent. hyper must not judge the answer: it would wait to write a GOAWAY first,
/// which the full socket of a dead client never takes, and would cut clients that live, whose answer waits behind a
/// long download or a busy runtime.
pub(crate) const UNJUDGED: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// When PINGs are sent, and for how long they may stay without an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keepalive {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// hyper's timer for one connection. Its clock shows when the client was last heard, so that hyper counts silence from
/// there, and its sleeps last until the client has been silent for long enough.
pub(crate) struct SilenceTimer {
    pub(crate) link: Arc<Link>,
    pub(crate) keepalive: Keepalive,
}

impl Timer for SilenceTimer {
    fn now(&self) -> std::time::Instant {
        self.link.activity.heard().into_std()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        let Keepalive { interval, timeout } = self.keepalive;
        let heard = self.link.activity.heard();
        let asked = deadline > heard.into_std() + interval;
        let (since, length) = if asked { (Instant::now(), timeout) } else { (heard, interval) };
        let timer = tokio::time::sleep_until(since + length);
        Box::pin(Silence { link: Arc::clone(&self.link), since, length, asked, timer })
    }
}

pin_project! {
    /// Waits for a silence of this length. After a PING, it is never ready, but tells the connection.
    struct Silence {
        link: Arc<Link>,
        since: Instant,
        length: Duration,
        asked: bool,
        #[pin]
        timer: tokio::time::Sleep,
    }
}

impl Future for Silence {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            ready!(this.timer.as_mut().poll(cx));
            let activity = &this.link.activity;
            let mut due = activity.heard().max(*this.since) + *this.length;
            let now = Instant::now();
            if due <= now {
                if !*this.asked {
                    return Poll::Ready(());
                }
                activity.set_unanswered();
                due = now + *this.length;
            }
            this.timer.as_mut().reset(due);
        }
    }
}

impl Sleep for Silence {}
