//! The future of a call with a fallback: the inner call, and then perhaps the answer of the fallback.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

/// What becomes of an outcome.
pub(crate) enum Step<Out, H> {
    Passes(Out),
    Asks(H),
}

pin_project! {
    /// Written by hand, since an `async` block would keep the inner call twice: as it was made, and as it is waited for.
    #[project = Projection]
    pub(crate) enum Falling<F, G, H> {
        Calls { #[pin] call: F, judge: Option<G> },
        Asks { #[pin] answer: H },
    }
}

impl<F, G, H> Future for Falling<F, G, H>
where
    F: Future,
    G: FnOnce(F::Output) -> Step<H::Output, H>,
    H: Future,
{
    type Output = H::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<H::Output> {
        loop {
            let answer = match self.as_mut().project() {
                Projection::Asks { answer } => return answer.poll(cx),
                Projection::Calls { call, judge } => {
                    let outcome = ready!(call.poll(cx));
                    match judge.take().expect("a future is not polled after it has completed")(outcome) {
                        Step::Passes(outcome) => return Poll::Ready(outcome),
                        Step::Asks(answer) => answer,
                    }
                }
            };
            self.set(Self::Asks { answer });
        }
    }
}
