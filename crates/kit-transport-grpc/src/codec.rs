//! Codecs: what stands between the messages of an endpoint and the protobuf messages on the wire.

use std::fmt;
use std::marker::PhantomData;

use kit_base::Error;
use prost::Message;

#[cfg(feature = "describe")]
use crate::describe::{Describe, TypeRef};

/// Makes the request of an endpoint from the message that arrived. For servers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot decode the request `{Req}`",
    note = "a codec of your own implements `DecodeRequest<{Req}>`, or is two closures, by `By`",
    note = "without one the request must be a `prost::Message`: derive it, with `#[prost(...)]` on each field"
)]
pub trait DecodeRequest<Req>: Send + Sync + 'static {
    /// What is on the wire.
    type Message: Message + Default + 'static;

    /// The request that the message stands for.
    ///
    /// # Errors
    /// The message stands for none; the kind is usually [`InvalidArgument`](kit_base::Kind::InvalidArgument).
    fn decode_request(&self, message: Self::Message) -> Result<Req, Error>;

    /// What the message is like, for [descriptors](crate::describe) of what is bound; nothing by default.
    #[cfg(feature = "describe")]
    fn describe_request(&self) -> Option<TypeRef> {
        None
    }
}

/// Makes the message that is sent from the outcome of an endpoint. For servers.
///
/// It sees errors too, so that a wire whose errors travel inside the reply can be spoken. Of an answer that streams it is
/// asked for each item, and for the error that ends the stream if there is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot encode the answer `{Res}`",
    note = "a codec of your own implements `EncodeOutcome<{Res}>`, or is two closures, by `By`",
    note = "without one the answer must be a `prost::Message`: derive it, with `#[prost(...)]` on each field"
)]
pub trait EncodeOutcome<Res>: Send + Sync + 'static {
    /// What is on the wire.
    type Message: Message + Default + 'static;

    /// The message that stands for the outcome.
    ///
    /// # Errors
    /// The error that the call is to end with, usually that of the outcome.
    fn encode_outcome(&self, outcome: Result<Res, Error>) -> Result<Self::Message, Error>;

    /// What the message is like, for [descriptors](crate::describe) of what is bound; nothing by default.
    #[cfg(feature = "describe")]
    fn describe_response(&self) -> Option<TypeRef> {
        None
    }
}

/// Makes the message that is sent from a request. For clients.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot encode the request `{Req}`",
    note = "a codec of your own implements `EncodeRequest<{Req}>`, or is two closures, by `By`",
    note = "without one the request must be a `prost::Message`: derive it, with `#[prost(...)]` on each field"
)]
pub trait EncodeRequest<Req>: Send + Sync + 'static {
    /// What is on the wire.
    type Message: Message + 'static;

    /// The message that stands for the request.
    ///
    /// # Errors
    /// None does.
    fn encode_request(&self, request: Req) -> Result<Self::Message, Error>;

    /// The request that this message was made of, again: a client gives it back where it surely was not sent, so that a
    /// balancer can take it [to another instance](crate::GrpcClient#requests-that-come-back). By default there is none.
    fn give_back(&self, message: Self::Message) -> Option<Req> {
        let _ = message;
        None
    }
}

/// Makes the answer, or the error within it, from the message that arrived. For clients.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot decode the answer `{Res}`",
    note = "a codec of your own implements `DecodeResponse<{Res}>`, or is two closures, by `By`",
    note = "without one the answer must be a `prost::Message`: derive it, with `#[prost(...)]` on each field"
)]
pub trait DecodeResponse<Res>: Send + Sync + 'static {
    /// What is on the wire.
    type Message: Message + Default + 'static;

    /// The answer that the message stands for.
    ///
    /// # Errors
    /// That which the message tells of; or it stands for no answer.
    fn decode_response(&self, message: Self::Message) -> Result<Res, Error>;
}

/// The default: requests and answers are protobuf messages themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a unit that stands for the absence of a choice")]
pub struct Prost;

impl<M: Message + Default + 'static> DecodeRequest<M> for Prost {
    type Message = M;

    fn decode_request(&self, message: M) -> Result<M, Error> {
        Ok(message)
    }
}

impl<M: Message + Default + 'static> EncodeOutcome<M> for Prost {
    type Message = M;

    fn encode_outcome(&self, outcome: Result<M, Error>) -> Result<M, Error> {
        outcome
    }
}

impl<M: Message + 'static> EncodeRequest<M> for Prost {
    type Message = M;

    fn encode_request(&self, request: M) -> Result<M, Error> {
        Ok(request)
    }

    fn give_back(&self, message: M) -> Option<M> {
        Some(message)
    }
}

impl<M: Message + Default + 'static> DecodeResponse<M> for Prost {
    type Message = M;

    fn decode_response(&self, message: M) -> Result<M, Error> {
        Ok(message)
    }
}

/// The same as [`Prost`] for messages that describe themselves, so that what is bound can be described: see
/// [`GrpcServer::described`](crate::GrpcServer::described).
#[cfg(feature = "describe")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a unit that stands for a choice")]
pub struct Described;

#[cfg(feature = "describe")]
impl<M: Message + Default + Describe + 'static> DecodeRequest<M> for Described {
    type Message = M;

    fn decode_request(&self, message: M) -> Result<M, Error> {
        Ok(message)
    }

    fn describe_request(&self) -> Option<TypeRef> {
        Some(TypeRef::of::<M>())
    }
}

#[cfg(feature = "describe")]
impl<M: Message + Default + Describe + 'static> EncodeOutcome<M> for Described {
    type Message = M;

    fn encode_outcome(&self, outcome: Result<M, Error>) -> Result<M, Error> {
        outcome
    }

    fn describe_response(&self) -> Option<TypeRef> {
        Some(TypeRef::of::<M>())
    }
}

/// Two closures as a codec: the first makes requests, or answers, of the protobuf messages that arrive, the second makes those
/// that are sent. Go kit: the `dec` and `enc` of `NewServer` and `NewClient`.
///
/// ```
/// use kit_base::Error;
/// use kit_transport_grpc::By;
///
/// // For a server, which decodes requests and encodes outcomes. `String` and `u64` are messages of prost's own.
/// let codec = By::new(
///     |text: String| text.parse::<u64>().map_err(|_| Error::invalid_argument(format!("{text:?} is no number"))),
///     |outcome: Result<u64, Error>| outcome,
/// );
/// # let _ = codec;
/// ```
#[derive(Clone, Copy)]
pub struct By<D, N, In, Out> {
    decode: D,
    encode: N,
    _messages: PhantomData<fn(In) -> Out>,
}

impl<D, N, In, Out> By<D, N, In, Out> {
    /// A codec of these closures: what decodes, and what encodes.
    #[must_use]
    pub const fn new<A, B>(decode: D, encode: N) -> Self
    where
        D: Fn(In) -> Result<A, Error>,
        N: Fn(B) -> Result<Out, Error>,
    {
        Self { decode, encode, _messages: PhantomData }
    }
}

impl<D, N, In, Out> fmt::Debug for By<D, N, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("By").finish_non_exhaustive()
    }
}

impl<D, N, In, Out, Req> DecodeRequest<Req> for By<D, N, In, Out>
where
    D: Fn(In) -> Result<Req, Error> + Send + Sync + 'static,
    N: Send + Sync + 'static,
    In: Message + Default + 'static,
    Out: 'static,
{
    type Message = In;

    fn decode_request(&self, message: In) -> Result<Req, Error> {
        (self.decode)(message)
    }
}

impl<D, N, In, Out, Res> EncodeOutcome<Res> for By<D, N, In, Out>
where
    D: Send + Sync + 'static,
    N: Fn(Result<Res, Error>) -> Result<Out, Error> + Send + Sync + 'static,
    In: 'static,
    Out: Message + Default + 'static,
{
    type Message = Out;

    fn encode_outcome(&self, outcome: Result<Res, Error>) -> Result<Out, Error> {
        (self.encode)(outcome)
    }
}

impl<D, N, In, Out, Req> EncodeRequest<Req> for By<D, N, In, Out>
where
    D: Send + Sync + 'static,
    N: Fn(Req) -> Result<Out, Error> + Send + Sync + 'static,
    In: 'static,
    Out: Message + 'static,
{
    type Message = Out;

    fn encode_request(&self, request: Req) -> Result<Out, Error> {
        (self.encode)(request)
    }
}

impl<D, N, In, Out, Res> DecodeResponse<Res> for By<D, N, In, Out>
where
    D: Fn(In) -> Result<Res, Error> + Send + Sync + 'static,
    N: Send + Sync + 'static,
    In: Message + Default + 'static,
    Out: 'static,
{
    type Message = In;

    fn decode_response(&self, message: In) -> Result<Res, Error> {
        (self.decode)(message)
    }
}
