//! What the tests share: an endpoint that answers as told, on tokio's clock.

use std::time::Instant;

use kit_base::{Endpoint, Error, Guard, Guarded, Request, Standard};
use kit_breaker::{Breaker, Settings};
use tower_layer::Layer;

/// tokio's clock, which tests pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// An endpoint whose requests say how they end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsTold;

/// How a call is to end.
#[derive(Debug)]
pub(crate) enum Ask {
    Succeed,
    Fail(Error),
    Panic,
    Hang,
}

impl Endpoint<Request<Ask>> for AsTold {
    type Response = ();
    type Error = Error;

    async fn call(&self, request: Request<Ask>) -> Result<(), Error> {
        match request.into_message() {
            Ask::Succeed => Ok(()),
            Ask::Fail(error) => Err(error),
            Ask::Panic => panic!("as told"),
            Ask::Hang => std::future::pending().await,
        }
    }
}

/// A guard on tokio's clock, to look at its breaker.
pub(crate) type OnTokiosClock = Guard<Breaker, Standard, fn() -> Instant>;

/// [`AsTold`] behind such a guard.
pub(crate) type Guarding = Guarded<AsTold, Breaker, Standard, fn() -> Instant>;

/// The guard, for the breaker's state, and the endpoint behind it.
pub(crate) fn guarding(settings: Settings) -> (OnTokiosClock, Guarding) {
    let guard =
        Guard::with(Breaker::new(settings).expect("settings that make sense"), Standard, now as fn() -> Instant);
    let endpoint = guard.layer(AsTold);
    (guard, endpoint)
}

pub(crate) async fn succeed(endpoint: &Guarding) -> Result<(), Error> {
    endpoint.call(Request::new(Ask::Succeed)).await
}

pub(crate) async fn fail(endpoint: &Guarding) -> Result<(), Error> {
    endpoint.call(Request::new(Ask::Fail(Error::unavailable("as told")))).await
}
