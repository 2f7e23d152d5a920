//! A method of a client that tonic has generated, as an endpoint.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_core::Stream;
use http::{Extensions, HeaderMap};
use kit_base::{
    Context, Deadline, Endpoint, Error, Operation, Origin, PassOn, Request, Response, ResponseParts, ServerStream,
    Streaming,
};
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::call::write_timeout;
use super::failure::of_status;
use crate::metadata::{of_peer, put_over};
use crate::until::Until;
use crate::within::{by, now, passed};

/// A method of a client that tonic has generated, as an endpoint: unary, or one whose answer streams. So a program moves call
/// by call. Where the request streams, take a [`GrpcClient`](crate::GrpcClient) over the same channel.
///
/// As for every client of kit, a call derives the child of its context, sends the deadline and keeps it; a unary call without
/// one has [30 s](Self::timeout). A status becomes an [`Error`] by [`from_status`](crate::from_status); one that tonic has made
/// of what went wrong below gets the kind that gRPC gives to that, and says whether the call surely did not start: tonic calls
/// a deadline `CANCELLED`, and much else `UNKNOWN`. The headers of a unary answer hold its trailers too, since tonic does not
/// tell them apart.
///
/// *Cancellation:* dropping the future of a call, or the stream of its answer, drops the call of tonic's.
///
/// ```no_run
/// use kit_base::{Endpoint, Error, Operation, Request};
/// use kit_transport_grpc::FromTonic;
/// use tonic::transport::Channel;
/// use tonic_health::pb::health_client::HealthClient;
/// use tonic_health::pb::HealthCheckRequest;
///
/// # async fn run(channel: Channel) -> Result<(), Error> {
/// let operation = Operation::new("grpc.health.v1.Health", "Check").with_idempotent(true);
/// let check = FromTonic::new(operation, HealthClient::new(channel), |mut client, request| async move {
///     client.check(request).await
/// });
/// let answer = check.call(Request::new(HealthCheckRequest { service: String::new() })).await?;
/// # let _ = answer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FromTonic<C, F> {
    operation: Operation,
    client: C,
    call: F,
    pass_on: PassOn,
    timeout: Option<Duration>,
}

impl<C, F> FromTonic<C, F> {
    /// The endpoint that calls `call` with a clone of the client, under this operation.
    pub fn new<M, Fut>(operation: Operation, client: C, call: F) -> Self
    where
        F: Fn(C, tonic::Request<M>) -> Fut,
    {
        Self { operation, client, call, pass_on: PassOn::default(), timeout: Some(Duration::from_secs(30)) }
    }

    /// Passes these names of inbound metadata on, beside trace, baggage and `x-request-id`.
    #[must_use]
    pub fn pass_on(mut self, names: PassOn) -> Self {
        self.pass_on = names;
        self
    }

    /// The deadline of unary calls whose context has none; 30 s by default. Calls that stream have none unless their context
    /// has one.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// The call in the words of tonic.
    fn prepare<M>(&self, context: &Context, message: M) -> Result<tonic::Request<M>, Error> {
        let mut headers = HeaderMap::new();
        put_over(&mut headers, context.child(&self.pass_on).outbound());
        write_timeout(context, &mut headers).map_err(|error| error.with_origin(Origin::NotSent))?;
        Ok(tonic::Request::from_parts(MetadataMap::from_headers(headers), Extensions::new(), message))
    }

    /// The answer, if it comes before the deadline.
    async fn answer<M, Fut, N>(&self, context: &Context, message: M) -> Result<(N, ResponseParts), Error>
    where
        C: Clone,
        F: Fn(C, tonic::Request<M>) -> Fut,
        Fut: Future<Output = Result<tonic::Response<N>, Status>>,
    {
        let request = self.prepare(context, message)?;
        let call = pin!((self.call)(self.client.clone(), request));
        let answer = by(context.deadline(), call).await.ok_or_else(passed)?.map_err(of_status)?;
        let (metadata, message, extensions) = answer.into_parts();
        let mut parts = ResponseParts::default();
        (parts.headers, parts.extensions, parts.received) = (of_peer(metadata.into_headers()), extensions, true);
        Ok((message, parts))
    }
}

impl<C, F, Fut, Req, Res> Endpoint<Request<Req>> for FromTonic<C, F>
where
    C: Clone + Send + Sync,
    F: Fn(C, tonic::Request<Req>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<tonic::Response<Res>, Status>> + Send,
    Req: Send,
    Res: Send,
{
    type Response = Response<Res>;
    type Error = Error;

    async fn call(&self, request: Request<Req>) -> Result<Response<Res>, Error> {
        let (mut context, message) = request.into_parts();
        if let (None, Some(timeout)) = (context.deadline(), self.timeout) {
            context = context.with_deadline(Deadline::after(now(), timeout));
        }
        let (message, parts) = self.answer(&context, message).await?;
        Ok(Response::from_parts(message, parts))
    }
}

impl<C, F, Fut, Req, I, Res> Endpoint<Request<Req, ServerStream>> for FromTonic<C, F>
where
    C: Clone + Send + Sync,
    F: Fn(C, tonic::Request<Req>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<tonic::Response<I>, Status>> + Send,
    Req: Send,
    I: Stream<Item = Result<Res, Status>> + Send + 'static,
    Res: Send + 'static,
{
    type Response = Response<Streaming<Res>>;
    type Error = Error;

    async fn call(&self, request: Request<Req, ServerStream>) -> Result<Response<Streaming<Res>>, Error> {
        let (context, message) = request.into_parts();
        let (items, parts) = self.answer(&context, message).await?;
        let items = Until::new(items, context.deadline(), of_status, std::convert::identity);
        Ok(Response::from_parts(Streaming::new(items), parts))
    }
}

impl<C, F> fmt::Debug for FromTonic<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromTonic").field("operation", &self.operation).finish_non_exhaustive()
    }
}
