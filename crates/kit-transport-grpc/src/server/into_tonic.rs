//! An endpoint as a method of a service that tonic has generated.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;
use http::HeaderMap;
use kit_base::{
    Bidi, ClientStream, Context, Deadline, Endpoint, Error, Operation, Request, Response, ResponseParts, ServerStream,
    Shape, Streaming, Unary, catch_panic,
};
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::answer::deadline;
use crate::metadata::{check, put_over};
use crate::until::Until;
use crate::within::{in_time, now, passed};
use crate::{from_status, to_status};

/// The stream of an answer, for the associated type of a generated trait.
pub type TonicStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// An endpoint as a method of a service that tonic has generated: for the body of that method. So a service moves to endpoints
/// method by method while tonic goes on serving it. Go kit: `Handler.ServeGRPC`.
///
/// The endpoint is called under its operation, with the metadata and the extensions that came and the deadline of the caller,
/// which is kept. Whoever serves puts the [`Peer`](kit_base::Peer) into the extensions: kit-serve does, the server of tonic
/// does not. An error becomes a status by [`to_status`], with the error behind it as its source; a panic becomes `INTERNAL`.
/// Headers are sent. *Trailers of a success are not:* tonic has no way to send them.
///
/// *Cancellation:* tonic drops the call when its caller leaves, and that drops what the endpoint was doing.
///
/// ```
/// use kit_base::{Endpoint, Error, Operation, Request, Response};
/// use kit_transport_grpc::IntoTonic;
/// use tonic::Status;
///
/// struct Double;
///
/// impl Endpoint<Request<u32>> for Double {
///     type Response = Response<u32>;
///     type Error = Error;
///
///     async fn call(&self, req: Request<u32>) -> Result<Response<u32>, Error> {
///         Ok(req.into_message().checked_mul(2).map(Response::new).ok_or_else(|| Error::out_of_range("too large"))?)
///     }
/// }
///
/// /// What implements the generated trait.
/// struct Numbers {
///     double: IntoTonic<Double>,
/// }
///
/// impl Numbers {
///     /// A method of that trait.
///     async fn double(&self, request: tonic::Request<u32>) -> Result<tonic::Response<u32>, Status> {
///         self.double.unary(request).await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let numbers = Numbers { double: IntoTonic::new(Operation::new("pb.Numbers", "Double"), Double) };
/// assert_eq!(numbers.double(tonic::Request::new(4)).await.unwrap().into_inner(), 8);
/// # }
/// ```
#[doc(alias = "ServeGRPC")]
pub struct IntoTonic<E> {
    operation: Operation,
    endpoint: E,
}

impl<E> IntoTonic<E> {
    /// The endpoint as a method, under this operation.
    pub fn new(operation: Operation, endpoint: E) -> Self {
        Self { operation, endpoint }
    }

    /// A method with one message each way.
    ///
    /// # Errors
    /// The status of the endpoint's error; `DEADLINE_EXCEEDED`; `INVALID_ARGUMENT` for a `grpc-timeout` that is none.
    pub async fn unary<M, N, Err>(&self, request: tonic::Request<M>) -> Result<tonic::Response<N>, Status>
    where
        E: Endpoint<Request<M>, Response = Response<N>, Error = Err>,
        Err: Into<Error>,
    {
        let (context, message) = self.received(request)?;
        self.answer::<Unary, _, _, _>(context, message).await
    }

    /// A method whose answer streams; the deadline holds for all of it.
    ///
    /// # Errors
    /// Those of [`unary`](Self::unary), before the stream or as its end.
    pub async fn server_streaming<M, N, Err>(
        &self,
        request: tonic::Request<M>,
    ) -> Result<tonic::Response<TonicStream<N>>, Status>
    where
        E: Endpoint<Request<M, ServerStream>, Response = Response<Streaming<N>>, Error = Err>,
        Err: Into<Error>,
        N: Send + 'static,
    {
        let (context, message) = self.received(request)?;
        let deadline = context.deadline();
        let answer = self.answer::<ServerStream, _, _, _>(context, message).await?;
        Ok(outgoing(answer, deadline))
    }

    /// A method whose request streams. Its items end in an error where the caller leaves, unless tonic takes that for their
    /// end, as it does with some resets.
    ///
    /// # Errors
    /// Those of [`unary`](Self::unary).
    pub async fn client_streaming<M, N, Err>(
        &self,
        request: tonic::Request<tonic::Streaming<M>>,
    ) -> Result<tonic::Response<N>, Status>
    where
        E: Endpoint<Request<Streaming<M>, ClientStream>, Response = Response<N>, Error = Err>,
        Err: Into<Error>,
        M: Send + 'static,
    {
        let (context, items) = self.received(request)?;
        self.answer::<ClientStream, _, _, _>(context, incoming(items)).await
    }

    /// A method that streams both ways.
    ///
    /// # Errors
    /// Those of [`unary`](Self::unary), before the stream or as its end.
    pub async fn streaming<M, N, Err>(
        &self,
        request: tonic::Request<tonic::Streaming<M>>,
    ) -> Result<tonic::Response<TonicStream<N>>, Status>
    where
        E: Endpoint<Request<Streaming<M>, Bidi>, Response = Response<Streaming<N>>, Error = Err>,
        Err: Into<Error>,
        M: Send + 'static,
        N: Send + 'static,
    {
        let (context, items) = self.received(request)?;
        let deadline = context.deadline();
        let answer = self.answer::<Bidi, _, _, _>(context, incoming(items)).await?;
        Ok(outgoing(answer, deadline))
    }

    /// The context and the message of a request.
    fn received<M>(&self, request: tonic::Request<M>) -> Result<(Context, M), Status> {
        let (metadata, extensions, message) = request.into_parts();
        let headers = metadata.into_headers();
        let deadline = deadline(&headers, &extensions).map_err(status)?;
        let context = Context::received(headers, extensions).with_operation(self.operation.clone());
        Ok((deadline.into_iter().fold(context, Context::with_deadline), message))
    }

    /// The answer of the endpoint, within the deadline.
    async fn answer<S, M, N, Err>(&self, context: Context, message: M) -> Result<tonic::Response<N>, Status>
    where
        S: Shape,
        E: Endpoint<Request<M, S>, Response = Response<N>, Error = Err>,
        Err: Into<Error>,
    {
        let deadline = context.deadline();
        if deadline.is_some_and(|deadline| deadline.has_passed(now())) {
            // What is late already is not begun.
            return Err(status(passed()));
        }
        let call = Box::pin(catch_panic(async || {
            self.endpoint.call(Request::from_parts(context, message)).await.map_err(Into::<Error>::into)
        }));
        let (message, parts) = in_time(deadline, call).await.map_err(status)?.into_parts();
        // What another server sent is not sent on.
        let parts = if parts.received { ResponseParts::default() } else { parts };
        check(&parts.headers).map_err(status)?;
        let mut headers = HeaderMap::new();
        put_over(&mut headers, &parts.headers);
        Ok(tonic::Response::from_parts(MetadataMap::from_headers(headers), message, parts.extensions))
    }
}

impl<E> fmt::Debug for IntoTonic<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoTonic").field("operation", &self.operation).finish_non_exhaustive()
    }
}

/// The status of an error, which stays behind it on this side.
fn status(error: Error) -> Status {
    let mut status = to_status(&error);
    status.set_source(Arc::new(error));
    status
}

fn incoming<M: Send + 'static>(items: tonic::Streaming<M>) -> Streaming<M> {
    Streaming::new(Until::new(items, None, from_status, std::convert::identity))
}

fn outgoing<N: Send + 'static>(
    answer: tonic::Response<Streaming<N>>,
    deadline: Option<Deadline>,
) -> tonic::Response<TonicStream<N>> {
    answer.map(|items| Box::pin(Until::new(items, deadline, status, status)) as TonicStream<N>)
}
