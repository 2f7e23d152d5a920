//! What becomes of a refusal on the tower face: absorbed, answered, or mapped.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::wire::is_grpc;
use crate::{Error, ServiceError};

/// What becomes of a refusal when the layers stand over a tower service, whose error type is not kit's to choose.
pub trait Refusal<Req, Res, Err>: Send + Sync + 'static {
    /// The response of the whole stack.
    type Response: Send;

    /// Whether a request wants to be refused in the manner of gRPC.
    fn is_grpc(&self, _: &Req) -> bool {
        false
    }

    /// The answer of the service as that of the whole stack.
    fn pass(&self, answer: Res) -> Self::Response;

    /// What the caller gets of a refusal.
    ///
    /// # Errors
    /// The refusal as an error of the service's type.
    fn refuse(&self, grpc: bool, refusal: Error) -> Result<Self::Response, Err>;

    /// The outcome for the caller: errors of the service itself go through as they are.
    ///
    /// # Errors
    /// The error of the service, or what becomes of the refusal.
    fn settle(&self, grpc: bool, outcome: Result<Res, ServiceError<Err>>) -> Result<Self::Response, Err> {
        match outcome {
            Ok(answer) => Ok(self.pass(answer)),
            Err(ServiceError::Inner(error)) => Err(error),
            Err(ServiceError::Refused(refusal)) => self.refuse(grpc, refusal),
        }
    }
}

/// The refusal becomes the service's error, by its `From<kit_base::Error>`. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Absorbed;

impl<Req, Res: Send, Err: From<Error>> Refusal<Req, Res, Err> for Absorbed {
    type Response = Res;

    fn pass(&self, answer: Res) -> Res {
        answer
    }

    fn refuse(&self, _: bool, refusal: Error) -> Result<Res, Err> {
        Err(refusal.into())
    }
}

/// The refusal becomes an HTTP answer: problem details with status and `Retry-After`, or, for a request of the type
/// `application/grpc`, a `grpc-status` with its details.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered;

impl<B, B2: Body<Data = Bytes> + Send, Err> Refusal<http::Request<B>, http::Response<B2>, Err> for Answered {
    type Response = http::Response<AnsweredBody<B2>>;

    fn is_grpc(&self, request: &http::Request<B>) -> bool {
        is_grpc(request.headers())
    }

    fn pass(&self, answer: http::Response<B2>) -> Self::Response {
        answer.map(|body| AnsweredBody { service: Some(body), refusal: Bytes::new() })
    }

    fn refuse(&self, grpc: bool, refusal: Error) -> Result<Self::Response, Err> {
        let answer = if grpc { refusal.to_grpc_answer() } else { refusal.to_http_answer() };
        Ok(answer.map(|refusal| AnsweredBody { service: None, refusal }))
    }
}

/// The refusal becomes what a closure makes of it.
#[derive(Clone, Copy, Debug)]
pub struct Mapped<F>(pub(crate) F);

impl<Req, Res, Err, F> Refusal<Req, Res, Err> for Mapped<F>
where
    Res: Send,
    F: Fn(Error) -> Result<Res, Err> + Send + Sync + 'static,
{
    type Response = Res;

    fn pass(&self, answer: Res) -> Res {
        answer
    }

    fn refuse(&self, _: bool, refusal: Error) -> Result<Res, Err> {
        (self.0)(refusal)
    }
}

pin_project! {
    /// The body of a service, or the text of a refusal.
    #[derive(Debug, Default)]
    pub struct AnsweredBody<B> {
        #[pin]
        service: Option<B>,
        refusal: Bytes,
    }
}

impl<B: Body<Data = Bytes>> Body for AnsweredBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        match this.service.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None if this.refusal.is_empty() => Poll::Ready(None),
            None => Poll::Ready(Some(Ok(Frame::data(std::mem::take(this.refusal))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.service.as_ref().map_or(self.refusal.is_empty(), Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.service.as_ref().map_or(SizeHint::with_exact(self.refusal.len() as u64), Body::size_hint)
    }
}
