//! Services that are not kit's, behind this one: their types erased.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use kit_base::{Error, FromService, ServiceError, catch_panic, caught};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::message::BoxError;
use crate::from_status;

/// The body of a request that another service answers.
pub type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// The body of its answer.
pub(super) type AnswerBody = UnsyncBoxBody<Bytes, Error>;

pub(super) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, Error>> + Send + 'a>>;

/// A service that takes requests with this body.
pub(super) trait Foreign<B>: Send + Sync {
    /// Its answer, or why there is none: its own error, or its panic.
    fn answer(&self, request: Request<B>) -> Answering<'_>;
}

impl<S, B, B2> Foreign<B> for FromService<S>
where
    S: Service<Request<B>, Response = Response<B2>, Error: Into<BoxError> + Send, Future: Send> + Clone + Send + Sync,
    B: Send + 'static,
    B2: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    fn answer(&self, request: Request<B>) -> Answering<'_> {
        Box::pin(catch_panic(async move || {
            let answer = kit_base::Endpoint::call(self, request).await.map_err(|error| match error {
                ServiceError::Refused(error) => error,
                ServiceError::Inner(error) => error_of(error.into()),
            })?;
            Ok(answer.map(|body| Adapted { body, error: error_of }.boxed_unsync()))
        }))
    }
}

impl<B> fmt::Debug for dyn Foreign<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Foreign")
    }
}

/// What a service, or a body, has failed with: a status and an error of kit's stay what they are.
fn error_of(error: BoxError) -> Error {
    let error = match error.downcast::<tonic::Status>() {
        Ok(status) => return from_status(*status),
        Err(error) => error,
    };
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => Error::internal("the service has failed").with_source(error),
    }
}

/// The body of a request as one with the types of others.
pub(super) fn bytes<B>(body: B) -> impl HttpBody<Data = Bytes, Error = BoxError> + Send + 'static
where
    B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    Adapted { body, error: std::convert::identity }
}

pin_project! {
    /// A body with other types, and all else as it is.
    struct Adapted<B, E> {
        #[pin]
        body: B,
        error: fn(BoxError) -> E,
    }
}

impl<B: HttpBody<Error: Into<BoxError>>, E> HttpBody for Adapted<B, E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        let this = self.project();
        let polled = match caught(|| this.body.poll_frame(cx)) {
            Ok(polled) => polled.map_err(Into::into),
            Err(panic) => Poll::Ready(Some(Err(panic.into()))),
        };
        polled.map(|frame| {
            frame.map(|frame| match frame {
                Ok(frame) => Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
                Err(error) => Err((this.error)(error)),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
