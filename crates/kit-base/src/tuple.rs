//! A tuple of gates is a gate: one flat future, one reading of the clock.

use std::cell::RefCell;

use crate::gate::Refused;
use crate::panic::OnDrop;
use crate::{Cause, End, Error, Gate, Judgement, Kind, Now};

/// A permit that is finished when this is dropped, whatever panics meanwhile; unless it is taken.
#[inline(always)]
fn owed<P>(permit: P, mut finish: impl FnMut(P)) -> OnDrop<Option<P>, impl FnMut(&mut Option<P>)> {
    OnDrop(Some(permit), move |permit| {
        if let Some(permit) = permit.take() {
            finish(permit);
        }
    })
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
                $(let mut $permit = owed(
                    self.$index.admit(request, now).inspect_err(note)?,
                    |permit| finish_early::<Req, Res, Err, _>(&self.$index, permit, &refused, now),
                );)+
                Ok(($($permit.0.take().expect("a permit is taken once"),)+))
            }

            #[inline]
            fn answer(&self, permit: &mut Self::Permit, outcome: &mut Result<Res, Err>, judgement: &Judgement) {
                $(self.$last.answer(&mut permit.$last, outcome, judgement);)+
            }

            #[inline]
            fn finish(&self, permit: Self::Permit, end: &End<'_>) {
                let ($($permit,)+) = permit;
                // Dropped from the last to the first.
                $(let $permit = owed($permit, |permit| self.$index.finish(permit, end));)+
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
                    $(let mut $permit = owed(
                        self.$index.enter(request, now).map_err(|refusal| *refused.borrow_mut() = Some(refusal)).ok()?,
                        |permit| finish_early::<Req, Res, Err, _>(&self.$index, permit, &refused, now),
                    );)+
                    Some(($($permit.0.take().expect("a permit is taken once"),)+))
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
