//! How a fallback is asked, and what its answers have in common with those of the endpoint.

use std::future::Future;

use kit_base::Request;

use super::FallbackBody;

/// What a fallback asks; see [`Fallback::new`](crate::Fallback::new) and [`Fallback::keeping`](crate::Fallback::keeping).
#[diagnostic::on_unimplemented(
    message = "this fallback cannot answer for a call that answers `{Res}` or fails with `{Err}`",
    note = "its closure takes a `Result<{Res}, {Err}>` and gives a future of a `Result<_, {Err}>`; that is `Send`, and so is the closure"
)]
pub trait Alternative<Req, Res, Err>: Send + Sync {
    /// What is kept of a request.
    type Kept: Send;
    /// What it answers.
    type Answer: Send;

    /// Keeps what is needed of a request.
    fn keep(&self, req: &Req) -> Self::Kept;

    /// The outcome in place of the one that failed.
    fn answer(
        &self,
        kept: Self::Kept,
        failed: Result<Res, Err>,
    ) -> impl Future<Output = Result<Self::Answer, Err>> + Send;
}

/// A closure that gets the failed outcome.
#[derive(Clone, Copy, Debug)]
pub struct Plain<F>(pub(crate) F);

impl<Req, Res, Err, F, Fut, Alt> Alternative<Req, Res, Err> for Plain<F>
where
    F: Fn(Result<Res, Err>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Alt, Err>> + Send,
    Alt: Send,
{
    type Kept = ();
    type Answer = Alt;

    fn keep(&self, _: &Req) {}

    fn answer(&self, (): (), failed: Result<Res, Err>) -> impl Future<Output = Result<Alt, Err>> + Send {
        (self.0)(failed)
    }
}

/// A closure that keeps something of the request, and one that gets it with the failed outcome.
#[derive(Clone, Copy, Debug)]
pub struct Keeping<K, F>(pub(crate) K, pub(crate) F);

impl<Req, Res, Err, K, Kept, F, Fut, Alt> Alternative<Req, Res, Err> for Keeping<K, F>
where
    K: Fn(&Req) -> Kept + Send + Sync,
    Kept: Send,
    F: Fn(Kept, Result<Res, Err>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Alt, Err>> + Send,
    Alt: Send,
{
    type Kept = Kept;
    type Answer = Alt;

    fn keep(&self, req: &Req) -> Kept {
        (self.0)(req)
    }

    fn answer(&self, kept: Kept, failed: Result<Res, Err>) -> impl Future<Output = Result<Alt, Err>> + Send {
        (self.1)(kept, failed)
    }
}

/// A request whose call can be answered by an endpoint with `Res`, and by a fallback with `Alt`: the same type for a
/// [`Request`] of kit, any two bodies for an [`http::Request`].
#[diagnostic::on_unimplemented(
    message = "the endpoint answers `{Res}`, and the fallback `{Alt}`",
    note = "a fallback answers a `kit_base::Request` with the endpoint's own type, and an `http::Request` with an `http::Response` of any body"
)]
pub trait Substitute<Res, Alt> {
    /// The answer of either.
    type Either: Send;

    /// The answer of the endpoint.
    fn answer(answer: Res) -> Self::Either;

    /// The answer of the fallback.
    fn substitute(answer: Alt) -> Self::Either;
}

impl<T, S, Res: Send> Substitute<Res, Res> for Request<T, S> {
    type Either = Res;

    fn answer(answer: Res) -> Res {
        answer
    }

    fn substitute(answer: Res) -> Res {
        answer
    }
}

impl<B, B1: Send, B2: Send> Substitute<http::Response<B1>, http::Response<B2>> for http::Request<B> {
    type Either = http::Response<FallbackBody<B1, B2>>;

    fn answer(answer: http::Response<B1>) -> Self::Either {
        answer.map(FallbackBody::answer)
    }

    fn substitute(answer: http::Response<B2>) -> Self::Either {
        answer.map(FallbackBody::substitute)
    }
}
