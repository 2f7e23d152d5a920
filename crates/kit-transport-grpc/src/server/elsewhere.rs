//! Requests for which no endpoint is bound: those of services that were added, those that are not gRPC, and the rest.

use std::future::{Future, ready};
use std::pin::Pin;

use http::{Request, Response};
use http_body::Body as HttpBody;
use http_body_util::BodyExt as _;
use kit_base::wire::is_grpc;
use kit_base::{Context, Error, FromService, Operation, Readiness};
use tonic::body::Body as TonicBody;

use super::answer::{bare, deadline, not_grpc, passed};
use super::foreign::{Foreign, RequestBody, bytes};
use super::kept::Kept;
use super::message::BoxError;
use super::{Body, Routes};
use crate::within::{in_time, now};

/// What a server has beside its methods.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) added: Vec<Added>,
    pub(super) fallbacks: Vec<Box<dyn Foreign<RequestBody>>>,
    /// What `grpc.health.v1` tells.
    pub(super) readiness: Option<Readiness>,
    /// What is known of added services, for reflection; nothing where nobody may ask.
    #[cfg(feature = "reflection")]
    pub(super) reflection: Option<Vec<std::borrow::Cow<'static, [u8]>>>,
}

/// A service that tonic has generated, or one like it.
#[derive(Debug)]
pub(super) struct Added {
    pub(super) name: &'static str,
    /// What its calls are called: their methods are known to it alone.
    pub(super) operation: Operation,
    service: Box<dyn Foreign<TonicBody>>,
}

impl Added {
    pub(super) fn new<S>(name: &'static str, service: S) -> Self
    where
        FromService<S>: Foreign<TonicBody> + 'static,
    {
        let operation = Operation::new(name, Operation::UNMATCHED.method().to_owned());
        Self { name, operation, service: Box::new(FromService::new(service)) }
    }
}

pub(super) type Elsewhere<'a> = Pin<Box<dyn Future<Output = Response<Body>> + Send + 'a>>;

impl Routes {
    /// The answer to what no endpoint is bound to. Boxed, so that what is bound carries no room for it.
    #[cold]
    pub(super) fn elsewhere<B>(&self, request: Request<B>) -> Elsewhere<'_>
    where
        B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        if let (false, Some(fallback)) = (is_grpc(request.headers()), self.fallback()) {
            let request = request.map(|body| bytes(body).boxed_unsync());
            return Box::pin(async move {
                let answer = fallback.answer(request).await;
                answer.map(|answer| answer.map(|body| Body::other(body, self))).unwrap_or_else(|error| {
                    self.settings().tell(&Context::new(), &error);
                    error.to_http_answer().map(Body::text)
                })
            });
        }
        if let Some(refused) = not_grpc(request.method(), request.headers()) {
            return Box::pin(ready(refused));
        }
        if let Some(added) = self.added(request.uri().path()) {
            return Box::pin(self.answer_by(added, request.map(|body| TonicBody::new(bytes(body)))));
        }
        // A method that is not here has no operation, so there is nothing for hooks to see.
        let mut answer = bare();
        crate::status::write(&self.missing(request.uri().path()), None, answer.headers_mut());
        Box::pin(ready(answer))
    }

    /// The answer of a service that was added, within the deadline of the call.
    async fn answer_by(&self, added: &Added, request: Request<TonicBody>) -> Response<Body> {
        let mut context = Context::new().with_operation(added.operation.clone());
        let answer = match deadline(request.headers(), request.extensions()) {
            Err(error) => Err(error),
            Ok(deadline) => {
                if let Some(deadline) = deadline {
                    context = context.with_deadline(deadline);
                }
                self.forward(added, request, &context).await
            }
        };
        match answer {
            Ok(answer) => answer,
            Err(error) => {
                let mut answer = bare();
                self.settings().write_error(&context, &error, answer.headers_mut());
                answer
            }
        }
    }

    async fn forward(
        &self,
        added: &Added,
        mut request: Request<TonicBody>,
        context: &Context,
    ) -> Result<Response<Body>, Error> {
        if let Some(deadline) = context.deadline() {
            if deadline.has_passed(now()) {
                return Err(passed());
            }
            // For whoever reads it further in: the header says how much was left when it came.
            request.extensions_mut().insert(deadline);
        }
        let answer = in_time(context.deadline(), added.service.answer(request)).await?;
        let keep = |body| Kept::new(self, context.clone(), body).boxed_unsync();
        Ok(answer.map(|body| Body::other(keep(body), self)))
    }
}
