//! The tickets of a running call: one that borrows the gates, one that owns them and rides in a body or stream.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::guard::Shared;
use crate::{Call, Cause, Classify, Clock, End, Gate, Hold, Judgement, Kind, Now, StreamEnd};

/// An answer of type `Res`, with the permits of its call in it where it streams.
type Held<Req, Res, Err, G, C, K> = <Req as Call<Res>>::Held<OwnedTicket<Req, Res, Err, G, C, K>>;

/// The permits of a call that runs. Dropped, it tells the gates that the caller left.
pub(crate) struct Ticket<'a, Req, Res, Err, G: Gate<Req, Res, Err>, C: Classify<Req, Res, Err>, K: Clock> {
    shared: &'a Arc<Shared<G, C, K>>,
    permit: Option<G::Permit>,
    _call: PhantomData<fn(Req) -> Result<Res, Err>>,
}

impl<'a, Req, Res, Err, G: Gate<Req, Res, Err>, C: Classify<Req, Res, Err>, K: Clock>
    Ticket<'a, Req, Res, Err, G, C, K>
{
    #[inline]
    pub(crate) fn new(shared: &'a Arc<Shared<G, C, K>>, permit: G::Permit) -> Self {
        Self { shared, permit: Some(permit), _call: PhantomData }
    }

    /// The call has returned. What streams on takes the permit with it.
    #[inline]
    pub(crate) fn answered(
        &mut self,
        mut outcome: Result<Res, Err>,
    ) -> Result<Held<Req, Res, Err, G, C, K>, Err>
    where
        Req: Call<Res> + 'static,
        Res: 'static,
        Err: 'static,
        C: 'static,
        K: 'static,
    {
        let Shared { gate, classify, clock } = &**self.shared;
        let judgement = classify.judge(&outcome);
        if let Some(permit) = &mut self.permit {
            gate.answer(permit, &mut outcome, &judgement);
        }
        let permit = self.permit.take();
        match (outcome, permit) {
            (Ok(answer), Some(permit)) if Req::streams(&answer) => {
                let ticket = OwnedTicket {
                    shared: Arc::clone(self.shared),
                    permit: Some(permit),
                    head: judgement,
                    _call: PhantomData,
                };
                Ok(Req::hold(answer, Some(ticket)))
            }
            (outcome, permit) => {
                if let Some(permit) = permit {
                    gate.finish(permit, &End::answered(&judgement, &Now::new(clock)));
                }
                outcome.map(|answer| Req::hold(answer, None))
            }
        }
    }
}

impl<Req, Res, Err, G: Gate<Req, Res, Err>, C: Classify<Req, Res, Err>, K: Clock> Drop
    for Ticket<'_, Req, Res, Err, G, C, K>
{
    #[inline]
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let Shared { gate, clock, .. } = &**self.shared;
            abandon(gate, permit, clock, None);
        }
    }
}

/// The permits of a call whose answer streams.
pub struct OwnedTicket<Req, Res, Err, G: Gate<Req, Res, Err>, C: Classify<Req, Res, Err>, K: Clock> {
    shared: Arc<Shared<G, C, K>>,
    permit: Option<G::Permit>,
    head: Judgement,
    _call: PhantomData<fn(Req) -> Result<Res, Err>>,
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
            gate.finish(permit, &End::answered(&judgement, &Now::new(clock)).with_trailers(trailers));
        }
    }
}

impl<Req, Res, Err, G: Gate<Req, Res, Err>, C: Classify<Req, Res, Err>, K: Clock> Drop
    for OwnedTicket<Req, Res, Err, G, C, K>
{
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let Shared { gate, clock, .. } = &*self.shared;
            abandon(gate, permit, clock, Some(&self.head));
        }
    }
}

impl<Req, Res, Err, G: Gate<Req, Res, Err>, C: Classify<Req, Res, Err>, K: Clock> fmt::Debug
    for OwnedTicket<Req, Res, Err, G, C, K>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedTicket").field("head", &self.head).finish_non_exhaustive()
    }
}

/// Finishes a permit whose call nobody waits for any more.
#[cold]
fn abandon<Req, Res, Err, G: Gate<Req, Res, Err>>(
    gate: &G,
    permit: G::Permit,
    clock: &dyn Clock,
    head: Option<&Judgement>,
) {
    let now = Now::new(clock);
    if std::thread::panicking() {
        gate.finish(permit, &End::answered(&Judgement::of_kind(Kind::Internal), &now).because(Cause::Panicked));
        return;
    }
    match head {
        // The head alone has told that the call failed; that nobody reads on does not change it.
        Some(head) if head.kind.is_some() => gate.finish(permit, &End::answered(head, &now)),
        _ => gate.finish(permit, &End::answered(&Judgement::LEFT, &now).because(Cause::Left)),
    }
}
