//! The ticket of a running call: it holds the permits until the outcome is known, in the future and then in what streams.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::guard::Shared;
use crate::{Call, Cause, Classify, Clock, End, Gate, Hold, Judgement, Kind, Now, StreamEnd};

type Types<Req, Res, Err, C, K> = PhantomData<fn(Req, Res, Err, C, K)>;

/// The permits of a call. Dropped, it tells the gates that the caller left.
///
/// It borrows the gates (`S` is a reference) while the future runs, and owns them when it rides in a body or stream.
pub struct Ticket<S, Req, Res, Err, G: Gate<Req, Res, Err>, C, K: Clock>
where
    S: Borrow<Arc<Shared<G, C, K>>>,
{
    shared: S,
    permit: Option<G::Permit>,
    /// What the head has told of an answer that streams.
    head: Judgement,
    _call: Types<Req, Res, Err, C, K>,
}

/// The permits of a call whose answer streams; see [`Call::Held`].
pub type OwnedTicket<Req, Res, Err, G, C, K> = Ticket<Arc<Shared<G, C, K>>, Req, Res, Err, G, C, K>;

/// An answer of type `Res`, with the permits of its call in it where it streams.
pub(crate) type Held<Req, Res, Err, G, C, K> = <Req as Call<Res>>::Held<OwnedTicket<Req, Res, Err, G, C, K>>;

impl<'a, Req, Res, Err, G, C, K> Ticket<&'a Arc<Shared<G, C, K>>, Req, Res, Err, G, C, K>
where
    G: Gate<Req, Res, Err>,
    C: Classify<Req, Res, Err> + 'static,
    K: Clock + 'static,
{
    #[inline]
    pub(crate) fn new(shared: &'a Arc<Shared<G, C, K>>, permit: G::Permit) -> Self {
        Self { shared, permit: Some(permit), head: Judgement::LEFT, _call: PhantomData }
    }

    /// The call has returned. What streams on takes the permit with it.
    #[inline]
    pub(crate) fn answered(&mut self, mut outcome: Result<Res, Err>) -> Result<Held<Req, Res, Err, G, C, K>, Err>
    where
        Req: Call<Res> + 'static,
        Res: 'static,
        Err: 'static,
    {
        let Shared { gate, classify, clock } = &**self.shared;
        let judgement = classify.judge(&outcome);
        if let Some(permit) = &mut self.permit {
            gate.answer(permit, &mut outcome, &judgement);
        }
        let permit = self.permit.take();
        let answer = match outcome {
            Ok(answer) if Req::streams(&answer) => {
                let shared = Arc::clone(self.shared);
                return Ok(Req::hold(answer, Some(Ticket { shared, permit, head: judgement, _call: PhantomData })));
            }
            outcome => outcome.map(|answer| Req::hold(answer, None)),
        };
        if let Some(permit) = permit {
            gate.finish(permit, &End::answered(&judgement, &Now::new(clock)));
        }
        answer
    }
}

impl<Req, Res, Err, G, C, K> Hold for OwnedTicket<Req, Res, Err, G, C, K>
where
    Req: 'static,
    Res: 'static,
    Err: 'static,
    G: Gate<Req, Res, Err>,
    C: Classify<Req, Res, Err> + 'static,
    K: Clock + 'static,
{
    fn end(mut self, end: &StreamEnd<'_>) {
        if let Some(permit) = self.permit.take() {
            let Shared { gate, classify, clock } = &*self.shared;
            let judgement = classify.judge_end(&self.head, end);
            let trailers = match end {
                StreamEnd::Complete(trailers) => *trailers,
                StreamEnd::Failed(_) => None,
            };
            gate.finish(permit, &End { trailers, ..End::answered(&judgement, &Now::new(clock)) });
        }
    }
}

impl<S, Req, Res, Err, G: Gate<Req, Res, Err>, C, K: Clock> Drop for Ticket<S, Req, Res, Err, G, C, K>
where
    S: Borrow<Arc<Shared<G, C, K>>>,
{
    #[inline]
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let Shared { gate, clock, .. } = &**self.shared.borrow();
            abandon(gate, permit, clock, &self.head);
        }
    }
}

/// Finishes a permit whose call nobody waits for any more. A head that has told a failure stands: that nobody reads on
/// does not change it.
#[cold]
fn abandon<Req, Res, Err, G: Gate<Req, Res, Err>>(gate: &G, permit: G::Permit, clock: &dyn Clock, head: &Judgement) {
    let (judgement, cause) = match head.kind {
        _ if std::thread::panicking() => (Judgement::of_kind(Kind::Internal), Cause::Panicked),
        Some(_) if *head != Judgement::LEFT => (*head, Cause::Answered),
        _ => (Judgement::LEFT, Cause::Left),
    };
    gate.finish(permit, &End { cause, ..End::answered(&judgement, &Now::new(clock)) });
}

impl<S, Req, Res, Err, G: Gate<Req, Res, Err>, C, K: Clock> fmt::Debug for Ticket<S, Req, Res, Err, G, C, K>
where
    S: Borrow<Arc<Shared<G, C, K>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("head", &self.head).finish_non_exhaustive()
    }
}
