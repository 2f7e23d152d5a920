//! The ticket of a running call: it holds the permits until the outcome is known, in the future and then in what streams.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::guard::Shared;
use crate::{Call, Cause, Classify, Clock, End, Gate, Hold, Judgement, Kind, Now, StreamEnd};

/// The permits of a call while its future runs. Dropped, it tells the gates that the caller left.
pub(crate) struct Ticket<'a, Req, Res, Err, G: Gate<Req, Res, Err>, C, K: Clock> {
    shared: &'a Arc<Shared<G, C, K>>,
    permit: Option<G::Permit>,
    _call: PhantomData<fn(Req, Res, Err)>,
}

/// The permits of a call whose answer streams; see [`Call::Held`]. Dropped, it tells the gates that the reader left.
pub struct OwnedTicket<Req, Res, Err, G: Gate<Req, Res, Err>, C, K: Clock> {
    shared: Arc<Shared<G, C, K>>,
    permit: Option<G::Permit>,
    /// What the head has told of the answer.
    head: Judgement,
    cause: Cause,
    _call: PhantomData<fn(Req, Res, Err)>,
}

/// An answer of type `Res`, with the permits of its call in it where it streams.
pub(crate) type Held<Req, Res, Err, G, C, K> = <Req as Call<Res>>::Held<OwnedTicket<Req, Res, Err, G, C, K>>;

impl<'a, Req, Res: 'static, Err: 'static, G, C, K> Ticket<'a, Req, Res, Err, G, C, K>
where
    Req: Call<Res> + 'static,
    G: Gate<Req, Res, Err>,
    C: Classify<Req, Res, Err> + 'static,
    K: Clock + 'static,
{
    #[inline]
    pub(crate) fn new(shared: &'a Arc<Shared<G, C, K>>, permit: G::Permit) -> Self {
        Self { shared, permit: Some(permit), _call: PhantomData }
    }

    /// The call has panicked, and the panic is passing through.
    #[cold]
    pub(crate) fn panicked(&mut self) {
        abandon(self.shared, &mut self.permit, &FAULT, Cause::Panicked);
    }

    /// The call has returned. What streams on takes the permit with it.
    ///
    /// Inlined at any price, and the failure apart: so the polls of a stack become one straight run, and an answer
    /// passes through it in registers.
    #[inline(always)]
    pub(crate) fn answered(&mut self, outcome: Result<Res, Err>) -> Result<Held<Req, Res, Err, G, C, K>, Err> {
        match outcome {
            Ok(answer) => self.settle(Ok(answer)),
            Err(error) => self.failed(error),
        }
    }

    #[cold]
    #[inline(never)]
    fn failed(&mut self, error: Err) -> Result<Held<Req, Res, Err, G, C, K>, Err> {
        self.settle(Err(error))
    }

    #[inline(always)]
    fn settle(&mut self, mut outcome: Result<Res, Err>) -> Result<Held<Req, Res, Err, G, C, K>, Err> {
        let Shared { gate, classify, clock } = &**self.shared;
        let mut judgement = classify.judge(&outcome);
        if let Some(permit) = &mut self.permit {
            gate.answer(permit, &mut outcome, &judgement);
        }
        let permit = self.permit.take();
        let answer = match outcome {
            Ok(answer) if Req::streams(&answer) => {
                let shared = Arc::clone(self.shared);
                let cause = if judgement.status_due { Cause::Left } else { Cause::Answered };
                let hold = OwnedTicket { shared, permit, head: judgement, cause, _call: PhantomData };
                return Ok(Req::hold(answer, Some(hold)));
            }
            outcome => outcome.map(|answer| Req::hold(answer, None)),
        };
        if judgement.status_due {
            judgement = Judgement::of_kind(Kind::Unknown);
        }
        if let Some(permit) = permit {
            gate.finish(permit, &End::answered(&judgement, &Now::new(clock)));
        }
        answer
    }
}

impl<Req: 'static, Res: 'static, Err: 'static, G, C, K> Hold for OwnedTicket<Req, Res, Err, G, C, K>
where
    G: Gate<Req, Res, Err>,
    C: Classify<Req, Res, Err> + 'static,
    K: Clock + 'static,
{
    fn on_drop(&mut self, cause: Cause) {
        self.cause = cause;
    }

    fn end(mut self, end: &StreamEnd<'_>) {
        if let Some(permit) = self.permit.take() {
            let Shared { gate, classify, clock } = &*self.shared;
            let judgement = classify.judge_end(&self.head, end);
            let trailers = if let StreamEnd::Complete(trailers) = end { *trailers } else { None };
            gate.finish(permit, &End { trailers, ..End::answered(&judgement, &Now::new(clock)) });
        }
    }
}

impl<Req, Res, Err, G: Gate<Req, Res, Err>, C, K: Clock> Drop for Ticket<'_, Req, Res, Err, G, C, K> {
    #[inline]
    fn drop(&mut self) {
        if self.permit.is_some() {
            abandon(self.shared, &mut self.permit, &Judgement::LEFT, Cause::Left);
        }
    }
}

impl<Req, Res, Err, G: Gate<Req, Res, Err>, C, K: Clock> Drop for OwnedTicket<Req, Res, Err, G, C, K> {
    fn drop(&mut self) {
        let (judgement, cause) = match self.cause {
            Cause::Panicked => (FAULT, Cause::Panicked),
            // The head alone has told that the call failed; that nobody reads on does not change it.
            Cause::Left if self.head.kind.is_none() => (Judgement::LEFT, Cause::Left),
            Cause::Left | Cause::Answered => (self.head, Cause::Answered),
        };
        abandon(&self.shared, &mut self.permit, &judgement, cause);
    }
}

const FAULT: Judgement = Judgement::of_kind(Kind::Internal);

/// Finishes a permit whose call nobody waits for any more. A panic of the gate ends here, reported by the panic hook: in a
/// drop it could abort the process.
#[cold]
#[inline(never)]
fn abandon<Req, Res, Err, G: Gate<Req, Res, Err>, C, K: Clock>(
    shared: &Shared<G, C, K>,
    permit: &mut Option<G::Permit>,
    judgement: &Judgement,
    cause: Cause,
) {
    let finish = AssertUnwindSafe(|| {
        if let Some(permit) = permit.take() {
            shared.gate.finish(permit, &End { cause, ..End::answered(judgement, &Now::new(&shared.clock)) });
        }
    });
    drop(catch_unwind(finish));
}

impl<Req, Res, Err, G: Gate<Req, Res, Err>, C, K: Clock> fmt::Debug for OwnedTicket<Req, Res, Err, G, C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedTicket").field("head", &self.head).finish_non_exhaustive()
    }
}
