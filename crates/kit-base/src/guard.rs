//! The layer that puts gates over an endpoint, and the one flat future that runs them.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_layer::Layer;

use crate::panic::OnDrop;
use crate::ticket::{Held, Ticket};
use crate::{Call, Classify, Clock, Endpoint, Error, Gate, Monotonic, Now, Standard};

/// A layer that guards endpoints with a gate, or with a tuple of gates, outermost first.
///
/// The state lives in the layer: layering twice, or cloning the layer or the endpoint, shares it.
///
/// ```
/// use kit_base::{End, Error, Gate, Guard, Now};
/// use tower_layer::Layer;
///
/// struct Closed;
///
/// impl<Req, Res, Err> Gate<Req, Res, Err> for Closed {
///     type Permit = ();
///     fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
///         Err(Error::unavailable("closed for today"))
///     }
///     fn finish(&self, (): (), _: &End<'_>) {}
/// }
///
/// # struct Inner;
/// # impl kit_base::Endpoint<kit_base::Request<u8>> for Inner {
/// #     type Response = u8;
/// #     type Error = Error;
/// #     async fn call(&self, _: kit_base::Request<u8>) -> Result<u8, Error> { Ok(1) }
/// # }
/// let guarded = Guard::new(Closed).layer(Inner);
/// # let _ = kit_base::Endpoint::call(&guarded, kit_base::Request::new(1));
/// ```
///
/// Over tower services (an axum router, a tonic server or channel) the same layer goes into [`Tower`](crate::Tower).
#[derive(Debug)]
pub struct Guard<G, C = Standard, K = Monotonic> {
    shared: Arc<Shared<G, C, K>>,
}

#[derive(Debug)]
pub(crate) struct Shared<G, C, K> {
    pub(crate) gate: G,
    pub(crate) classify: C,
    pub(crate) clock: K,
}

impl<G> Guard<G> {
    /// Guards with this gate or tuple of gates, the standard judgement and the standard clock.
    pub fn new(gate: G) -> Self {
        Self::with(gate, Standard, Monotonic)
    }
}

impl<G, C, K> Guard<G, C, K> {
    /// Guards with this gate, this way of judging and this clock.
    pub fn with(gate: G, classify: C, clock: K) -> Self {
        Self { shared: Arc::new(Shared { gate, classify, clock }) }
    }

    /// The gate, to read its state or change its settings.
    pub fn gate(&self) -> &G {
        &self.shared.gate
    }
}

impl<G, C, K> Clone for Guard<G, C, K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<E, G, C, K> Layer<E> for Guard<G, C, K> {
    type Service = Guarded<E, G, C, K>;

    fn layer(&self, inner: E) -> Guarded<E, G, C, K> {
        Guarded { inner, shared: Arc::clone(&self.shared) }
    }
}

/// An endpoint behind gates; see [`Guard`].
#[derive(Debug)]
pub struct Guarded<E, G, C = Standard, K = Monotonic> {
    inner: E,
    shared: Arc<Shared<G, C, K>>,
}

impl<E: Clone, G, C, K> Clone for Guarded<E, G, C, K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<Req, E, G, C, K> Endpoint<Req> for Guarded<E, G, C, K>
where
    E: Endpoint<Req, Response: 'static, Error: From<Error> + 'static>,
    Req: Call<E::Response> + 'static,
    G: Gate<Req, E::Response, E::Error>,
    C: Classify<Req, E::Response, E::Error> + 'static,
    K: Clock + 'static,
{
    type Response = Held<Req, E::Response, E::Error, G, C, K>;
    type Error = E::Error;

    const PASSES_READINESS: bool = !G::REFUSES && E::PASSES_READINESS;

    #[inline]
    fn call(&self, mut req: Req) -> impl Future<Output = Result<Self::Response, Self::Error>> + Send {
        let now = Now::new(&self.shared.clock);
        match self.shared.gate.enter(&mut req, &now) {
            Ok(permit) => {
                let mut ticket = Ticket::new(&self.shared, permit);
                let watch = OnDrop(&mut ticket, |ticket| ticket.panicked());
                let inner = self.inner.call(req);
                mem::forget(watch);
                Flat::Admitted { inner, ticket }
            }
            Err(refused) => {
                Flat::Refused { outcome: refused.outcome.map(|outcome| outcome.map(|answer| Req::hold(answer, None))) }
            }
        }
    }
}

pin_project! {
    /// The future of a guarded call. The ticket comes last: a call that is dropped gives its permits back when the work
    /// below has ended, so that no limit is ever passed, and inner gates finish before outer ones as they always do.
    #[project = FlatProjection]
    enum Flat<T, F, H, Err> {
        Admitted { #[pin] inner: F, ticket: T },
        Refused { outcome: Option<Result<H, Err>> },
    }
}

impl<Req, Res: 'static, Err: 'static, F, G, C, K> Future
    for Flat<Ticket<'_, Req, Res, Err, G, C, K>, F, Held<Req, Res, Err, G, C, K>, Err>
where
    F: Future<Output = Result<Res, Err>>,
    Req: Call<Res> + 'static,
    G: Gate<Req, Res, Err>,
    C: Classify<Req, Res, Err> + 'static,
    K: Clock + 'static,
{
    type Output = Result<Held<Req, Res, Err, G, C, K>, Err>;

    // Each layer has one place that polls it, so this grows no code; left to itself, the compiler stops after a few.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            FlatProjection::Admitted { inner, ticket } => {
                let watch = OnDrop(ticket, |ticket| ticket.panicked());
                let poll = inner.poll(cx).map(|outcome| watch.0.answered(outcome));
                mem::forget(watch);
                poll
            }
            FlatProjection::Refused { outcome } => {
                Poll::Ready(outcome.take().expect("a future is not polled after it has completed"))
            }
        }
    }
}
