//! The laws, each with the bug behind it.

use std::fmt;

/// A law that every middleware keeps. The text of each says what is checked, and the bug that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Law {
    /// Clones share state, and so does layering twice.
    ///
    /// A limit of 5 is 5 for all clones together. axum and tonic clone a service for each connection or call, and axum
    /// layers a handler again for each route: a limit that is not shared is none. Under axum, a limit of 5 a second let
    /// 1,500 of 1,500 calls pass (tokio-rs/axum#3682).
    Shared,
    /// No more calls get in than the layer allows, however they race.
    ///
    /// A limiter that looks, waits and looks again without taking its place admits everybody who waited
    /// (joshrotenberg/tower-resilience#394).
    Bound,
    /// A permit returns when the call's future, body or stream is dropped, at any point, and when a panic ends it.
    ///
    /// Callers leave all the time. A permit that is given back by the code after the `await` is lost with each of them,
    /// until nobody gets in any more (joshrotenberg/tower-resilience#387, #406).
    PermitsReturn,
    /// What is refused never reaches the inner service.
    ///
    /// A call that is refused and yet runs is charged for twice: the caller tries again.
    RefusedStayOut,
    /// What is refused is refused at once, even while the inner service hangs.
    ///
    /// A breaker that asks the inner service for its readiness first waits behind the very backend that it should guard
    /// its callers from (joshrotenberg/tower-resilience#386).
    RefusesAtOnce,
    /// Half-open admits exactly the allowed probes, also when calls race, and is never stuck.
    ///
    /// Admission that counts only finished probes lets everybody in at once (joshrotenberg/tower-resilience#407,
    /// OpenLiberty/open-liberty#7080). A probe that is dropped without a result leaves a breaker half-open for ever
    /// (resilience4j/resilience4j#1389).
    HalfOpen,
    /// A success and an inner error pass through unchanged, the type of the error included.
    ///
    /// A boxed error breaks the layers outside that match on it (tower-rs/tower#131, #794). A layer whose purpose is
    /// another error says so: [`wraps_errors`](super::Laws::wraps_errors).
    Unchanged,
    /// Nothing is called again unless that was declared and the operation is idempotent.
    ///
    /// A hedged order is two orders (dotnet/extensions#5699).
    Unasked,
    /// What is declared to be tried again is, at low traffic too, and not more often than declared.
    ///
    /// A retry that needs a sample of past calls never fires where calls are rare (cloudwego/kitex#181).
    Attempts,
    /// When a call is over, or its caller leaves, nothing of it goes on inside.
    ///
    /// A hedge whose losers go on doubles the load that it should have relieved (joshrotenberg/tower-resilience#393).
    Cancelled,
    /// Time is read from the given clock, or from tokio's, so that paused time works.
    ///
    /// A breaker on the system's clock needs sleeping tests, which are slow and fail on a busy machine.
    Clock,
    /// When the layer and its calls are gone, so are its tasks and its copies of the inner service.
    ///
    /// A watcher that nobody stops holds its connection until the program ends (Go kit's Consul instancer).
    NothingLeft,
    /// A service is called only on the instance that said it was ready, and not any more once it is broken; the layer's
    /// own readiness is what it was declared to be.
    ///
    /// A retry on a clone that was never asked panics over a concurrency limit (joshrotenberg/tower-resilience#392,
    /// tower-rs/tower#547). A reconnect that polls the broken connection never gets a new one
    /// (joshrotenberg/tower-resilience#391).
    Readiness,
    /// No panic, but that of the inner service.
    ///
    /// A poisoned lock takes the whole process's traffic with it.
    NoPanic,
    /// The end of each call is seen exactly once, also when the caller leaves.
    ///
    /// Counters that see only answers show a healthy service while all its callers give up.
    FinishOnce,
    /// Who waits is woken; nobody waits past a deadline.
    ///
    /// A wake-up given to a waiter that has just left wakes nobody. A queue in front of nothing turns a blip into minutes
    /// of time-outs (linkerd/linkerd2#11493).
    NoHang,
    /// The request arrives as it was sent: message, operation, metadata, and a deadline that was not lost or moved out.
    ///
    /// A publisher with a fresh context forgot its caller's deadline (go-kit/kit#869).
    Context,
    /// The calls are spread as declared, also by clones, and away from what is not ready.
    ///
    /// A weighted router whose clones each count from zero sends everything to its first service
    /// (joshrotenberg/tower-resilience#401).
    Spread,
}

impl Law {
    pub(crate) fn broken<T>(self, found: impl Into<String>) -> Step<T> {
        Err(Broken { law: self, found: found.into() })
    }

    /// The same finding under another law, which says more about it.
    pub(crate) fn at(self, broken: Broken) -> Broken {
        Broken { law: self, ..broken }
    }

    /// The law in a sentence, for the report.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Shared => "clones share state, and so does layering twice",
            Self::Bound => "no more calls get in than the layer allows, however they race",
            Self::PermitsReturn => "a permit returns when the call's future, body or stream is dropped or panics",
            Self::RefusedStayOut => "what is refused never reaches the inner service",
            Self::RefusesAtOnce => "what is refused is refused at once, even while the inner service hangs",
            Self::HalfOpen => "half-open admits exactly the allowed probes, and is never stuck",
            Self::Unchanged => "a success and an inner error pass through unchanged, type included",
            Self::Unasked => "nothing is called again unless that was declared and the operation is idempotent",
            Self::Attempts => "what is declared to be tried again is, and not more often than declared",
            Self::Cancelled => "when a call is over, or its caller leaves, nothing of it goes on inside",
            Self::Clock => "time is read from the given clock, or from tokio's",
            Self::NothingLeft => {
                "when the layer and its calls are gone, so are its tasks and its copies of the inner service"
            }
            Self::Readiness => "a service is called only on the instance that said it was ready",
            Self::NoPanic => "no panic, but that of the inner service",
            Self::FinishOnce => "the end of each call is seen exactly once",
            Self::NoHang => "who waits is woken, and nobody waits past a deadline",
            Self::Context => "the request arrives as it was sent",
            Self::Spread => "the calls are spread as declared",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// A law that was seen to be broken.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) law: Law,
    pub(crate) found: String,
}

/// What a step of a run comes to.
pub(crate) type Step<T = ()> = Result<T, Broken>;
