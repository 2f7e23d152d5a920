//! One call: child context, encoding, sending, reading, decoding, all within the deadline.

use std::future::poll_fn;
use std::io::Write as _;
use std::pin::pin;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::uri::Uri;
use http::{HeaderMap, HeaderValue, Method, Response as HttpResponse, Version};
use http_body::Body as HttpBody;
use kit_base::wire::GRPC_TIMEOUT;
use kit_base::{Context, Deadline, Endpoint, Error, Origin, Request, Response, ResponseParts, ServiceError, Timeout};
use tonic::body::Body;

use super::hooks::Finalizing;
use super::opening::Opening;
use super::request::One;
use super::{BoxError, Remote, Settings, failure};
use crate::coding::{ACCEPTED, Coding, GRPC_ACCEPT_ENCODING, GRPC_ENCODING};
use crate::frame::{Deframer, Framer, decode};
use crate::metadata::{APPLICATION_GRPC, of_peer, put_over};
use crate::protocol::miscounted;
use crate::status;
use crate::within::{by, now};

pub(super) use crate::within::passed;
use crate::{DecodeResponse, EncodeRequest};

/// Source: gRPC over HTTP/2, "User Agents".
const AGENT: HeaderValue = HeaderValue::from_static(concat!("grpc-rust-kit/", env!("CARGO_PKG_VERSION")));

impl<S> Remote<S> {
    pub(super) async fn call<B, E, C, Req, Res>(&self, codec: &C, request: Request<Req>) -> Result<Response<Res>, Error>
    where
        S: Endpoint<http::Request<Body>, Response = HttpResponse<B>, Error = ServiceError<E>>,
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
        E: Into<BoxError>,
        C: EncodeRequest<Req> + DecodeResponse<Res>,
        Req: Send + 'static,
    {
        let (given, message) = request.into_parts();
        let mut context = given.clone();
        if let (None, Some(timeout)) = (context.deadline(), self.settings.timeout) {
            context = context.with_deadline(Deadline::after(now(), timeout));
        }
        let call = self.begin(context);
        let deadline = call.context.deadline();
        let outcome = match self.prepare(codec, message, &call.context) {
            Err(error) => Err(error.with_origin(Origin::NotSent)),
            Ok((request, message)) => {
                let exchange = pin!(self.exchange(codec, request, &call));
                let outcome = by(deadline, exchange).await.unwrap_or_else(|| Err(passed()));
                outcome.map_err(|error| {
                    let again = |message| Some(Request::<Req>::from_parts(given, codec.give_back(message)?));
                    failure::giving_back(failure::settled(error, deadline), || again(message))
                })
            }
        };
        call.finish(outcome.as_ref().err());
        outcome
    }

    /// A call of this operation, in this context.
    pub(super) fn begin(&self, context: Context) -> Finalizing {
        Finalizing::new(&self.settings, context.with_operation(self.operation.clone()))
    }

    /// The request as it will be sent, and its message, which may be given back.
    pub(super) fn prepare<C, Req>(
        &self,
        codec: &C,
        message: Req,
        context: &Context,
    ) -> Result<(http::Request<Body>, C::Message), Error>
    where
        C: EncodeRequest<Req>,
    {
        let (uri, headers) = self.head(context)?;
        let message = codec.encode_request(message)?;
        let frame = self.settings.framer().frame(&message)?;
        Ok((post(uri, headers, Body::new(One(frame))), message))
    }

    /// The head of a request.
    pub(super) fn head(&self, context: &Context) -> Result<(Uri, HeaderMap), Error> {
        let uri = self.uri.as_ref().map_err(|why| Error::internal(why.clone()))?;
        Ok((uri.clone(), self.settings.head(context)?))
    }

    pub(super) async fn exchange<B, E, C, Res>(
        &self,
        codec: &C,
        request: http::Request<Body>,
        call: &Finalizing,
    ) -> Result<Response<Res>, Error>
    where
        S: Endpoint<http::Request<Body>, Response = HttpResponse<B>, Error = ServiceError<E>>,
        B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
        E: Into<BoxError>,
        C: DecodeResponse<Res>,
    {
        let answer = self.service.call(request).await.map_err(failure::unanswered)?;
        let (head, body) = answer.into_parts();
        let opening = Opening::of(&head, body.is_end_stream(), |headers, trailers| call.show(headers, trailers))?;
        let read = read(body, opening.frames(self.settings.max_decoding)).await;
        let (message, trailers) = read.map_err(|error| opening.unreadable(error))?;
        let status = opening.end(trailers.as_ref(), message.is_some());
        let trailers = trailers.unwrap_or_default();
        if !opening.over {
            call.show(&head.headers, &trailers);
        }
        status?;
        let message = message.ok_or_else(|| miscounted("no message came, and the method answers one"))?;
        let message = codec.decode_response(decode(message)?)?;
        let mut parts = ResponseParts::default();
        (parts.headers, parts.trailers, parts.received) = (of_peer(head.headers), of_peer(trailers), true);
        Ok(Response::from_parts(message, parts))
    }
}

impl Settings {
    /// The head of a request in this context.
    ///
    /// # Errors
    /// The deadline has passed.
    fn head(&self, context: &Context) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, APPLICATION_GRPC);
        headers.insert(USER_AGENT, AGENT);
        let mut child = context.child(&self.pass_on);
        // To ask for it makes room for it, and most calls send none.
        let sent = (!child.outbound().is_empty()).then(|| std::mem::take(child.outbound_mut()));
        let mut metadata = sent.unwrap_or_default();
        for hook in &self.hooks.before {
            hook(context, &mut metadata);
        }
        put_over(&mut headers, &metadata);
        if let Some(coding) = self.coding().header() {
            headers.insert(GRPC_ENCODING, coding);
        }
        if let Some(accepted) = ACCEPTED {
            headers.insert(GRPC_ACCEPT_ENCODING, accepted);
        }
        write_timeout(context, &mut headers)?;
        Ok(headers)
    }

    /// How messages are framed that are sent.
    pub(super) fn framer(&self) -> Framer {
        Framer { coding: self.coding(), limit: self.max_encoding }
    }

    /// How messages are compressed that are sent.
    #[cfg_attr(not(feature = "gzip"), expect(clippy::unused_self, reason = "there is nothing to choose"))]
    fn coding(&self) -> Coding {
        #[cfg(feature = "gzip")]
        if self.gzip {
            return Coding::Gzip;
        }
        Coding::Identity
    }
}

pub(super) fn post(uri: Uri, headers: HeaderMap, body: Body) -> http::Request<Body> {
    let mut request = http::Request::new(body);
    (*request.method_mut(), *request.uri_mut(), *request.version_mut()) = (Method::POST, uri, Version::HTTP_2);
    *request.headers_mut() = headers;
    request
}

/// The message of a body and its trailers, if there are any.
async fn read<B>(body: B, mut frames: Deframer) -> Result<(Option<Bytes>, Option<HeaderMap>), Error>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    let mut body = pin!(body);
    let mut message = None;
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        match frame.map_err(|error| failure::broken(error.into()))?.into_data() {
            Ok(data) => frames.push(data),
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                // A status says more than what is wrong with the messages before it.
                if !matches!(status::read(&trailers), Some(Err(_))) {
                    frames.end()?;
                }
                return Ok((message, Some(trailers)));
            }
        }
        while let Some(next) = frames.next()? {
            if message.replace(next).is_some() {
                return Err(miscounted("two messages came, and the method answers one"));
            }
        }
    }
    frames.end()?;
    Ok((message, None))
}

/// Tells the time that is left.
///
/// # Errors
/// There is none.
pub(super) fn write_timeout(context: &Context, headers: &mut HeaderMap) -> Result<(), Error> {
    let Some(deadline) = context.deadline() else { return Ok(()) };
    let left = deadline.left(now());
    if left.is_zero() {
        return Err(passed());
    }
    // It has nine bytes at most, and a string of them would be allocated three times.
    let mut text = [0; 16];
    let mut rest = &mut text[..];
    let _ = write!(rest, "{}", Timeout(left));
    let length = 16 - rest.len();
    if let Ok(timeout) = HeaderValue::from_bytes(&text[..length]) {
        headers.insert(GRPC_TIMEOUT, timeout);
    }
    Ok(())
}
