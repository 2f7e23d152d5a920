//! Judging an outcome: once, at one place, for everybody.

use http::HeaderMap;

use crate::wire::{self, http_judgement};
use crate::{Failure, Judgement, Kind, Request, Shape, Verdict};

/// Judges outcomes. Each outcome is judged once, and every gate of the stack gets that judgement.
///
/// [`Standard`] is the default everywhere; a closure `Fn(&Result<Res, Err>) -> Judgement` replaces it.
#[diagnostic::on_unimplemented(
    message = "no way to judge the outcome of a `{Req}` call that answers `{Res}` or fails with `{Err}`",
    label = "the outcome of this call cannot be judged by `{Self}`",
    note = "the error must implement `kit_base::Failure` (derive `kit_endpoint::Error`), or judge by a closure, `Guard::with(gate, |outcome: &Result<_, _>| ..., Monotonic)`"
)]
pub trait Classify<Req, Res, Err>: Send + Sync {
    /// Judges what is known when the call returns.
    fn judge(&self, outcome: &Result<Res, Err>) -> Judgement;

    /// Judges an answer that streamed, at its end. `head` is what [`judge`](Self::judge) said of it.
    fn judge_end(&self, head: &Judgement, end: &StreamEnd<'_>) -> Judgement {
        match end {
            StreamEnd::Failed(failure) if head.verdict == Verdict::Success => *failure,
            StreamEnd::Failed(_) | StreamEnd::Complete(_) => *head,
        }
    }
}

/// How a body or a stream ended.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a stream that is read to its end is complete or has failed")]
pub enum StreamEnd<'a> {
    /// Read to the end, with the trailers if there were any.
    Complete(Option<&'a HeaderMap>),
    /// It broke off.
    Failed(Judgement),
}

/// The standard judgement, keyed by the type of the request.
///
/// * [`Request`]: an answer is a success, an error is judged by its kind.
/// * [`http::Request`]: by the status; for `application/grpc` by `grpc-status`, in the head or in the trailers, and by
///   `grpc-retry-pushback-ms`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standard;

impl<T, S: Shape, Res, Err: Failure> Classify<Request<T, S>, Res, Err> for Standard {
    #[inline]
    fn judge(&self, outcome: &Result<Res, Err>) -> Judgement {
        match outcome {
            Ok(_) => Judgement::SUCCESS,
            Err(error) => Judgement::of(error),
        }
    }
}

impl<B, B2, Err: Failure> Classify<http::Request<B>, http::Response<B2>, Err> for Standard {
    fn judge(&self, outcome: &Result<http::Response<B2>, Err>) -> Judgement {
        match outcome {
            Ok(response) => http_judgement(response.status(), response.headers()),
            Err(error) => Judgement::of(error),
        }
    }

    fn judge_end(&self, head: &Judgement, end: &StreamEnd<'_>) -> Judgement {
        match end {
            StreamEnd::Failed(failure) if head.verdict == Verdict::Success => *failure,
            StreamEnd::Complete(trailers) if head.verdict == Verdict::Success => {
                let bare = if head.status_due { Judgement::of_kind(Kind::Unknown) } else { *head };
                trailers.and_then(wire::grpc_judgement).unwrap_or(bare)
            }
            StreamEnd::Failed(_) | StreamEnd::Complete(_) => *head,
        }
    }
}

impl<F: Fn(&Result<Res, Err>) -> Judgement + Send + Sync, Req, Res, Err> Classify<Req, Res, Err> for F {
    fn judge(&self, outcome: &Result<Res, Err>) -> Judgement {
        self(outcome)
    }
}
