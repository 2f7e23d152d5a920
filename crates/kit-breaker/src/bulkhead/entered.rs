//! The future of a call at a bulkhead: it waits for its place, and is the inner call then.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use kit_base::Error;
use pin_project_lite::pin_project;

use super::room::Place;

/// What a call waits for in the queue. In a box, so that those that need not wait do not carry it along.
pub(crate) type Turn<'a> = Pin<Box<dyn Future<Output = Result<Place, Error>> + Send + 'a>>;

pin_project! {
    /// Written by hand, since an `async fn` would keep the request twice beside the inner future.
    #[project = Projection]
    pub(crate) enum Entered<'a, G, F> {
        /// `go_in` makes the inner call, which gives the place back.
        Waits { turn: Turn<'a>, go_in: Option<G> },
        Inside { #[pin] inner: F },
        Refused { error: Option<Error> },
    }
}

impl<G, F, Res, Err> Future for Entered<'_, G, F>
where
    G: FnOnce(Place) -> F,
    F: Future<Output = Result<Res, Err>>,
    Err: From<Error>,
{
    type Output = Result<Res, Err>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const ONCE: &str = "a future is not polled after it has completed";
        loop {
            let inner = match self.as_mut().project() {
                Projection::Inside { inner } => return inner.poll(cx),
                Projection::Refused { error } => return Poll::Ready(Err(error.take().expect(ONCE).into())),
                Projection::Waits { turn, go_in } => match ready!(turn.as_mut().poll(cx)) {
                    Ok(place) => go_in.take().expect(ONCE)(place),
                    Err(error) => return Poll::Ready(Err(error.into())),
                },
            };
            self.set(Self::Inside { inner });
        }
    }
}
