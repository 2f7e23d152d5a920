//! The gate: every middleware that never waits.

use http::HeaderMap;

use crate::{Error, Judgement, Now, Origin};

/// A middleware that never waits: breaker, refusing limiter, metrics, log, trace, finish hook.
///
/// For each call `admit` runs first; it may look at the request, change it, or refuse it. Each permit that it gives out
/// meets [`finish`](Self::finish) exactly once: when the outcome is known, which for an answer that streams is its last
/// frame, or when the caller leaves. In between, [`answer`](Self::answer) may change the head of the answer.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use kit_base::{End, Error, Gate, Now};
///
/// /// At most `max` calls at a time.
/// struct AtMost { max: usize, running: AtomicUsize }
///
/// impl<Req, Res, Err> Gate<Req, Res, Err> for AtMost {
///     type Permit = ();
///
///     fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
///         let room = |n| (n < self.max).then_some(n + 1);
///         self.running.fetch_update(Ordering::AcqRel, Ordering::Acquire, room)
///             .map(|_| ())
///             .map_err(|n| Error::resource_exhausted(format!("{n} calls are running")))
///     }
///
///     fn finish(&self, _: (), _: &End<'_>) {
///         self.running.fetch_sub(1, Ordering::AcqRel);
///     }
/// }
/// ```
///
/// Permits are plain data: they carry what `finish` needs to know of `admit`, and need no `Drop` of their own. A tuple of
/// gates is a gate, outermost first; it reads the clock once for all of them. When a gate refuses, the gates before it
/// are finished with that refusal. None of the three methods may panic or block.
pub trait Gate<Req, Res, Err>: Send + Sync + 'static {
    /// Whether `admit` may refuse. A gate that never does lets the readiness of a tower service through.
    const REFUSES: bool = true;

    /// What is remembered from `admit` to `finish`.
    type Permit: Send + 'static;

    /// Admits a call, or refuses it.
    ///
    /// # Errors
    /// The refusal. Its origin is set to [`Origin::LocalRefusal`] for you, unless it is [`Origin::NotSent`].
    fn admit(&self, request: &mut Req, now: &Now<'_>) -> Result<Self::Permit, Error>;

    /// Sees the outcome when the call returns, and may change it: the result of a unary call, the head of a stream. Not
    /// called when the caller left before.
    fn answer(&self, permit: &mut Self::Permit, outcome: &mut Result<Res, Err>, judgement: &Judgement) {
        let _ = (permit, outcome, judgement);
    }

    /// The call is over.
    fn finish(&self, permit: Self::Permit, end: &End<'_>);

    /// Admits a call through all gates of a stack, or gives the outcome of the refusal. Tuples override it; leave it alone.
    ///
    /// # Errors
    /// The refusal, as the outcome that the caller gets.
    #[doc(hidden)]
    #[inline]
    fn enter(&self, request: &mut Req, now: &Now<'_>) -> Result<Self::Permit, Refused<Res, Err>>
    where
        Err: From<Error>,
    {
        self.admit(request, now).map_err(Refused::new)
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct End<'a> {
    /// The verdict, and what led to it.
    pub judgement: &'a Judgement,
    /// Whether the outcome is known, or the call was broken off on this side.
    pub cause: Cause,
    /// The trailers, where the answer was an HTTP body that had some.
    pub trailers: Option<&'a HeaderMap>,
    /// The moment of the end.
    pub now: &'a Now<'a>,
}

impl<'a> End<'a> {
    /// The end of a call whose outcome is known.
    pub fn answered(judgement: &'a Judgement, now: &'a Now<'a>) -> Self {
        Self { judgement, cause: Cause::Answered, trailers: None, now }
    }
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a call that is over was answered, left, or broken by a panic")]
pub enum Cause {
    /// There is an outcome.
    Answered,
    /// The future, body or stream was dropped: the caller left. The verdict is `Caller`. A body that nobody has begun
    /// to read is [`Answered`](Self::Answered) by its head.
    Left,
    /// A panic came from below. The verdict is `Fault`.
    Panicked,
}

/// The outcome of a refused call, on its way out through the gates that had admitted it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Refused<Res, Err> {
    /// Nothing where a tuple was admitted by hand, and whoever did it makes the outcome.
    pub(crate) outcome: Option<Result<Res, Err>>,
    pub(crate) judgement: Judgement,
}

impl<Res, Err: From<Error>> Refused<Res, Err> {
    #[cold]
    pub(crate) fn new(error: Error) -> Self {
        let unsaid = error.origin() == Origin::Remote;
        let error = if unsaid { error.with_origin(Origin::LocalRefusal) } else { error };
        Self { judgement: Judgement::of(&error), outcome: Some(Err(Err::from(error))) }
    }
}
