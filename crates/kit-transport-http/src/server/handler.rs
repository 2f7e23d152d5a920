//! One bound endpoint with its codec, its types erased.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{Response as HttpResponse, StatusCode};
use kit_base::{Context, Endpoint, Error, Request, Response, ResponseParts, catch_panic};

use super::{Body, Settings};
use crate::{DecodeRequest, EncodeOutcome, Params, Pieces, Received, RequestInfo};

/// A request on its way to an endpoint.
pub(super) struct Call<'a, B = Bytes> {
    pub(super) info: &'a RequestInfo,
    pub(super) params: Params,
    pub(super) body: B,
    pub(super) context: Context,
    pub(super) settings: &'a Settings,
}

pub(super) type Answering<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse<Body>, Error>> + Send + 'a>>;

/// Whatever answers the calls of one route: with its body whole, or as it comes.
pub(super) trait Handler<B = Bytes>: Send + Sync {
    fn handle<'a>(&'a self, call: Call<'a, B>) -> Answering<'a>;

    /// What it takes and what it gives, for the OpenAPI document.
    #[cfg(feature = "openapi")]
    fn describe(&self, schemas: &mut crate::openapi::Schemas) -> (crate::Description, crate::Description);
}

/// A handler, by how it takes the body.
#[derive(Debug)]
pub(super) enum Takes {
    Whole(Arc<dyn Handler>),
    Stream(Arc<dyn Handler<Pieces>>),
}

#[cfg(feature = "openapi")]
impl Takes {
    pub(super) fn describe(&self, schemas: &mut crate::openapi::Schemas) -> (crate::Description, crate::Description) {
        match self {
            Self::Whole(handler) => handler.describe(schemas),
            Self::Stream(handler) => handler.describe(schemas),
        }
    }
}

/// An endpoint of the unary shape, with its decoder and encoder.
pub(super) struct Unit<E, D: ?Sized, N: ?Sized, Req, Res> {
    endpoint: E,
    decode: Arc<D>,
    encode: Arc<N>,
    _messages: PhantomData<fn(Req) -> Res>,
}

impl<E, D, N, Req, Res> Unit<E, D, N, Req, Res> {
    pub(super) fn new(endpoint: E, decode: Arc<D>, encode: Arc<N>) -> Self {
        Self { endpoint, decode, encode, _messages: PhantomData }
    }
}

impl<E, D, N, Req, Res> Unit<E, D, N, Req, Res>
where
    E: Endpoint<Request<Req>, Response = Response<Res>, Error: Into<Error>>,
    D: DecodeRequest<Req>,
    N: EncodeOutcome<Res>,
{
    async fn run(&self, call: Call<'_>) -> Result<HttpResponse<Body>, Error> {
        let Call { info, params, body, context, .. } = call;
        let message = self.decode.decode_request(&Received::new(info, &context, &params, &body))?;
        let request = Request::from_parts(context.clone(), message);
        let outcome = self.endpoint.call(request).await.map_err(Into::into);
        let parts = outcome.as_ref().ok().and_then(Response::parts).cloned();
        let answer = self.encode.encode_outcome(&Received::new(info, &context, &params, &body), outcome)?;
        Ok(put_over(answer.map(Body::from), parts))
    }
}

impl<E, D, N, Req, Res> Handler for Unit<E, D, N, Req, Res>
where
    E: Endpoint<Request<Req>, Response = Response<Res>, Error: Into<Error>>,
    D: DecodeRequest<Req>,
    N: EncodeOutcome<Res>,
    Req: Send,
    Res: Send,
{
    fn handle<'a>(&'a self, call: Call<'a>) -> Answering<'a> {
        Box::pin(catch_panic(move || self.run(call)))
    }

    #[cfg(feature = "openapi")]
    fn describe(&self, schemas: &mut crate::openapi::Schemas) -> (crate::Description, crate::Description) {
        (self.decode.describe_request(&mut schemas.read), self.encode.describe_answer(&mut schemas.written))
    }
}

/// What belongs to one connection or one body. A handler that copies the headers of another service brings it along.
/// Source: RFC 9110, section 7.6.1.
const CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Puts status and headers that the response brings over those of its encoding. Those that a client received are
/// left: they speak of another encoding, and a cookie or date of another server.
pub(super) fn put_over(mut answer: HttpResponse<Body>, parts: Option<ResponseParts>) -> HttpResponse<Body> {
    let own = parts.filter(|parts| !parts.received);
    let Some(parts) = own else { return answer };
    if let Some(status) = parts.extensions.get::<StatusCode>() {
        *answer.status_mut() = *status;
    }
    for name in parts.headers.keys().filter(|name| !CONNECTION.contains(name)) {
        answer.headers_mut().remove(name);
        for value in parts.headers.get_all(name) {
            answer.headers_mut().append(name, value.clone());
        }
    }
    answer
}

impl<B> fmt::Debug for dyn Handler<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}
