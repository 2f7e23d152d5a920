//! The one verdict on an outcome, which every policy shares.

use crate::{Failure, Kind, Origin, RetryHint};

/// How an outcome counts. Retry, breaker, ejection, budget, log level and span status all follow from it.
///
/// | verdict | retry | breaker, ejection | budget | log level | span |
/// |---|---|---|---|---|---|
/// | `Success` | - | success | pays in | info | unset |
/// | `Caller` | no | not counted | - | info | unset |
/// | `Transient` | if idempotent, or not started | failure | pays out | warn | error |
/// | `Overloaded` | after the hint, elsewhere | not counted | pays out | warn | error |
/// | `Expired` | if only the attempt's own limit passed | failure | pays out | warn | error |
/// | `Fault` | if idempotent and asked for | failure | pays out | error | error |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "every policy must decide on every verdict")]
pub enum Verdict {
    /// It worked.
    Success,
    /// The caller's own doing: a wrong request, a conflict, or the caller left.
    Caller,
    /// The peer cannot serve now; the next try may work.
    Transient,
    /// The peer has too much to do, or a quota is used up: `ResourceExhausted`, or `Unavailable` with a time to wait.
    Overloaded,
    /// The time has passed.
    Expired,
    /// Something is broken.
    Fault,
}

impl Verdict {
    /// A stable lower-case name for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Caller => "caller",
            Self::Transient => "transient",
            Self::Overloaded => "overloaded",
            Self::Expired => "expired",
            Self::Fault => "fault",
        }
    }
}

/// A verdict, and what led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judgement {
    /// How the outcome counts.
    pub verdict: Verdict,
    /// The kind of failure; nothing for a success.
    pub kind: Option<Kind>,
    /// Where a failure arose.
    pub origin: Origin,
    /// What the failing side says about another try.
    pub retry_hint: RetryHint,
    /// A head of gRPC without a status: what ends without one has failed.
    pub(crate) status_due: bool,
}

impl Judgement {
    /// A success.
    pub const SUCCESS: Self = Self { verdict: Verdict::Success, kind: None, ..Self::of_kind(Kind::Unknown) };

    /// The caller left before the outcome was known: its future, body or stream was dropped.
    pub const LEFT: Self = Self::of_parts(Kind::Cancelled, Origin::LocalRefusal, RetryHint::None);

    /// The judgement on a kind of failure that the peer, or the service itself, reported.
    pub const fn of_kind(kind: Kind) -> Self {
        Self::of_parts(kind, Origin::Remote, RetryHint::None)
    }

    /// The judgement on any error that kit can read.
    pub fn of<E: Failure + ?Sized>(error: &E) -> Self {
        Self::of_parts(error.kind(), error.origin(), error.retry_hint())
    }

    /// The judgement on a failure of this kind, origin and hint.
    pub const fn of_parts(kind: Kind, origin: Origin, retry_hint: RetryHint) -> Self {
        let verdict = match kind {
            // A push-back: the peer says when it wants to be asked again, so it lives and has too much to do.
            Kind::Unavailable if matches!(retry_hint, RetryHint::After(_)) => Verdict::Overloaded,
            Kind::Unavailable => Verdict::Transient,
            // A peer that cancels unasked is going away; what we cancelled ourselves says nothing of the peer.
            Kind::Cancelled if matches!(origin, Origin::Remote) => Verdict::Transient,
            Kind::ResourceExhausted => Verdict::Overloaded,
            Kind::DeadlineExceeded => Verdict::Expired,
            Kind::Internal | Kind::Unknown | Kind::DataLoss => Verdict::Fault,
            _ => Verdict::Caller,
        };
        Self { verdict, kind: Some(kind), origin, retry_hint, status_due: false }
    }

    /// Whether breakers and outlier ejection count it as a failure of the peer. What was refused on this side, or was
    /// too late before it was sent, says nothing of the peer.
    pub fn is_failure(&self) -> bool {
        let failed = matches!(self.verdict, Verdict::Transient | Verdict::Expired | Verdict::Fault);
        let asked =
            self.origin == Origin::Remote || (self.origin == Origin::NotSent && self.verdict != Verdict::Expired);
        failed && asked
    }
}
