//! The future of a call that may have to wait: it asks whether it must, waits its turn, and is the inner call then.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use kit_base::{Error, Origin};
use pin_project_lite::pin_project;

/// What a call waits for. In a box, so that those that need not wait do not carry it along.
pub(crate) type Turn<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

pin_project! {
    /// Written by hand, since an `async fn` would keep the request twice beside the inner future. Nothing is asked for before
    /// the first poll: a call that nobody polls yet takes no turn, and holds up nobody.
    #[project = Projection]
    pub(crate) enum Passage<'a, Req, A, G, F> {
        Before { req: Option<Req>, ask: A, go_in: G, turn: Option<Turn<'a>> },
        Inside { #[pin] inner: F },
    }
}

impl<Req, A, G, F> Passage<'_, Req, A, G, F> {
    pub(crate) const fn new(req: Req, ask: A, go_in: G) -> Self {
        Self::Before { req: Some(req), ask, go_in, turn: None }
    }
}

impl<'a, Req, A, G, F, Res, Err> Future for Passage<'a, Req, A, G, F>
where
    Req: Send + 'static,
    A: Fn(&Req) -> Result<Option<Turn<'a>>, Error>,
    G: Fn(Req) -> F,
    F: Future<Output = Result<Res, Err>>,
    Err: From<Error>,
{
    type Output = Result<Res, Err>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const ONCE: &str = "a future is not polled after it has completed";
        loop {
            let inner = match self.as_mut().project() {
                Projection::Inside { inner } => return inner.poll(cx),
                Projection::Before { req, ask, go_in, turn } => {
                    let turned = match turn {
                        Some(turn) => ready!(turn.as_mut().poll(cx)),
                        None => match ask(req.as_ref().expect(ONCE)) {
                            Ok(None) => Ok(()),
                            Ok(waits) => {
                                *turn = waits;
                                continue;
                            }
                            Err(error) => Err(error),
                        },
                    };
                    let req = req.take().expect(ONCE);
                    match turned {
                        Ok(()) => go_in(req),
                        Err(error) => return Poll::Ready(Err(give_back(error, req).into())),
                    }
                }
            };
            self.set(Self::Inside { inner });
        }
    }
}

/// The refusal with the request in it: around one instance of a balancer, another may let it pass.
#[cold]
fn give_back<Req: Send + 'static>(error: Error, req: Req) -> Error {
    match error.origin() {
        Origin::LocalRefusal => error.with_unsent(req).with_origin(Origin::LocalRefusal),
        _ => error,
    }
}
