//! The endpoint that does nothing.

use std::fmt;
use std::marker::PhantomData;

use kit_base::{Endpoint, Error, Request, Response};

/// An endpoint that takes any request and answers the default of `Res`, at once. For tests and benchmarks.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use kit_endpoint::{Endpoint, Request, nop};
///
/// let answer = nop::<u32>().call(Request::<_>::new("anything")).await.unwrap();
/// assert_eq!(answer.into_message(), 0);
/// # });
/// ```
#[must_use]
pub const fn nop<Res: Default>() -> Nop<Res> {
    Nop { _response: PhantomData }
}

/// The endpoint that does nothing; see [`nop`].
pub struct Nop<Res = ()> {
    _response: PhantomData<fn() -> Res>,
}

impl<Res> Clone for Nop<Res> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Res> Copy for Nop<Res> {}

impl<Res> fmt::Debug for Nop<Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nop")
    }
}

impl<T: Send, S: Send, Res: Default + Send> Endpoint<Request<T, S>> for Nop<Res> {
    type Response = Response<Res>;
    type Error = Error;

    async fn call(&self, _: Request<T, S>) -> Result<Response<Res>, Error> {
        Ok(Response::new(Res::default()))
    }
}
