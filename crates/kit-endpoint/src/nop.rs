//! The endpoint that does nothing.

use std::fmt;
use std::marker::PhantomData;

use kit_base::{Endpoint, Error, Request, Response};

/// An endpoint that takes messages of type `T`, and answers the default of `Res`, at once. For tests and benchmarks.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use kit_endpoint::{Endpoint, Request, nop};
///
/// let answer = nop::<&str, u32>().call(Request::new("anything")).await.unwrap();
/// assert_eq!(answer.into_message(), 0);
/// # });
/// ```
#[must_use]
pub const fn nop<T, Res: Default>() -> Nop<T, Res> {
    Nop { _messages: PhantomData }
}

/// The endpoint that does nothing; see [`nop`].
pub struct Nop<T = (), Res = ()> {
    _messages: PhantomData<fn(T) -> Res>,
}

impl<T, Res> Clone for Nop<T, Res> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, Res> Copy for Nop<T, Res> {}

impl<T, Res> fmt::Debug for Nop<T, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nop")
    }
}

impl<T: Send, Res: Default + Send> Endpoint<Request<T>> for Nop<T, Res> {
    type Response = Response<Res>;
    type Error = Error;

    async fn call(&self, _: Request<T>) -> Result<Response<Res>, Error> {
        Ok(Response::new(Res::default()))
    }
}
