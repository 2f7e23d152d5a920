//! A tuple of gates is a gate: one flat future, one reading of the clock.

use std::cell::RefCell;

use crate::gate::Refused;
use crate::{Cause, End, Error, Gate, Judgement, Kind, Now};

/// A permit that is finished when this is dropped, whatever panics meanwhile; unless it is taken.
struct Owed<'a, G, P, F: FnMut(&G, P)> {
    gate: &'a G,
    permit: Option<P>,
    finish: F,
}

impl<'a, G, P, F: FnMut(&G, P)> Owed<'a, G, P, F> {
    fn new(gate: &'a G, permit: P, finish: F) -> Self {
        Self { gate, permit: Some(permit), finish }
    }

    fn taken(mut self) -> P {
        self.permit.take().expect("a permit is taken once")
    }
}

impl<G, P, F: FnMut(&G, P)> Drop for Owed<'_, G, P, F> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            (self.finish)(self.gate, permit);
        }
    }
}

/// Finishes a permit of a tuple that is not entered. Apart, and by value, so that permits stay in registers on the way in.
#[cold]
#[inline(never)]
fn finish_early<Req, Res, Err, G: Gate<Req, Res, Err>>(
    gate: &G,
    mut permit: G::Permit,
    refused: &RefCell<Option<Refused<Res, Err>>>,
    now: &Now<'_>,
) {
    match &mut *refused.borrow_mut() {
        Some(Refused { outcome, judgement }) => {
            if let Some(outcome) = outcome {
                gate.answer(&mut permit, outcome, judgement);
            }
            gate.finish(permit, &End::answered(judgement, now));
        }
        None => {
            let fault = Judgement::of_kind(Kind::Internal);
            gate.finish(permit, &End { cause: Cause::Panicked, ..End::answered(&fault, now) });
        }
    }
}

macro_rules! tuple {
    ($($gate:ident $index:tt $permit:ident),+; $($last:tt),+) => {
        impl<Req, Res, Err, $($gate: Gate<Req, Res, Err>),+> Gate<Req, Res, Err> for ($($gate,)+) {
            const REFUSES: bool = $($gate::REFUSES)||+;
            type Permit = ($($gate::Permit,)+);

            // Stacks go through `enter`. A gate of one's own around a tuple calls this, and makes the outcome of a refusal.
            fn admit(&self, request: &mut Req, now: &Now<'_>) -> Result<Self::Permit, Error> {
                let refused = RefCell::new(None);
                let note = |error: &Error| {
                    *refused.borrow_mut() = Some(Refused { outcome: None, judgement: Judgement::of(error) });
                };
                $(let $permit = Owed::new(
                    &self.$index,
                    self.$index.admit(request, now).inspect_err(note)?,
                    |gate, permit| finish_early::<Req, Res, Err, _>(gate, permit, &refused, now),
                );)+
                Ok(($($permit.taken(),)+))
            }

            #[inline]
            fn answer(&self, permit: &mut Self::Permit, outcome: &mut Result<Res, Err>, judgement: &Judgement) {
                $(self.$last.answer(&mut permit.$last, outcome, judgement);)+
            }

            #[inline]
            fn finish(&self, permit: Self::Permit, end: &End<'_>) {
                let ($($permit,)+) = permit;
                // Dropped from the last to the first.
                $(let $permit = Owed::new(&self.$index, $permit, |gate: &$gate, permit| gate.finish(permit, end));)+
                let _ = ($(&$permit,)+);
            }

            #[inline]
            fn enter(&self, request: &mut Req, now: &Now<'_>) -> Result<Self::Permit, Refused<Res, Err>>
            where
                Err: From<Error>,
            {
                let refused = RefCell::new(None);
                // Within the closure, permits of earlier gates are dropped, innermost first, after the refusal is noted.
                let mut enter = || {
                    $(let $permit = match self.$index.enter(request, now) {
                        Ok(permit) => Owed::new(&self.$index, permit, |gate, permit| {
                            finish_early::<Req, Res, Err, _>(gate, permit, &refused, now);
                        }),
                        Err(refusal) => {
                            *refused.borrow_mut() = Some(refusal);
                            return None;
                        }
                    };)+
                    Some(($($permit.taken(),)+))
                };
                match enter() {
                    Some(permits) => Ok(permits),
                    None => Err(refused.into_inner().expect("a gate that gave no permit has refused")),
                }
            }
        }
    };
}

tuple!(A 0 a; 0);
tuple!(A 0 a, B 1 b; 1, 0);
tuple!(A 0 a, B 1 b, C 2 c; 2, 1, 0);
tuple!(A 0 a, B 1 b, C 2 c, D 3 d; 3, 2, 1, 0);
tuple!(A 0 a, B 1 b, C 2 c, D 3 d, E 4 e; 4, 3, 2, 1, 0);
tuple!(A 0 a, B 1 b, C 2 c, D 3 d, E 4 e, F 5 f; 5, 4, 3, 2, 1, 0);
tuple!(A 0 a, B 1 b, C 2 c, D 3 d, E 4 e, F 5 f, G 6 g; 6, 5, 4, 3, 2, 1, 0);
tuple!(A 0 a, B 1 b, C 2 c, D 3 d, E 4 e, F 5 f, G 6 g, H 7 h; 7, 6, 5, 4, 3, 2, 1, 0);
