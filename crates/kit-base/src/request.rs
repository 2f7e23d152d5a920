//! A message on its way in, and what every policy may read of one, whatever its transport.

use std::marker::PhantomData;
use std::time::Instant;

use http::{Extensions, HeaderMap};

use crate::wire::GRPC_TIMEOUT;
use crate::{Context, Deadline, Operation, Peer, Timeout, Unary};

/// A message and its context. Small to move: the context is five words.
///
/// The shape says when the call is over; [`Unary`] unless it streams.
#[derive(Clone, Debug)]
pub struct Request<T, S = Unary> {
    context: Context,
    message: T,
    _shape: PhantomData<S>,
}

impl<T> Request<T> {
    /// A request of the unary shape with an empty context; others come [from their parts](Self::from_parts).
    pub const fn new(message: T) -> Self {
        Self::from_parts(Context::new(), message)
    }
}

impl<T, S> Request<T, S> {
    /// A request from its parts.
    pub const fn from_parts(context: Context, message: T) -> Self {
        Self { context, message, _shape: PhantomData }
    }

    /// The parts of the request.
    pub fn into_parts(self) -> (Context, T) {
        (self.context, self.message)
    }

    /// The message alone.
    pub fn into_message(self) -> T {
        self.message
    }

    /// The message.
    pub const fn message(&self) -> &T {
        &self.message
    }

    /// The message, to change it.
    pub fn message_mut(&mut self) -> &mut T {
        &mut self.message
    }

    /// The context.
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// The context, to change it.
    pub fn context_mut(&mut self) -> &mut Context {
        &mut self.context
    }
}

/// What a policy may read of any request: a kit [`Request`], or an [`http::Request`] on a foreign host.
pub trait RequestParts {
    /// The operation; [`Operation::UNMATCHED`] where nobody has named it.
    fn operation(&self) -> &Operation;

    /// The deadline. For an [`http::Request`] the earlier one of its `grpc-timeout`, counted from `now`, and of the
    /// [`Deadline`] in its extensions.
    fn deadline(&self, now: Instant) -> Option<Deadline>;

    /// The metadata that arrived.
    fn metadata(&self) -> &HeaderMap;

    /// The metadata that a client will send. For an [`http::Request`] there is only one kind.
    fn outbound_mut(&mut self) -> &mut HeaderMap;

    /// The values of this process.
    fn extensions(&self) -> &Extensions;

    /// The values of this process, to change them.
    fn extensions_mut(&mut self) -> &mut Extensions;

    /// The other end of the connection.
    fn peer(&self) -> Option<&Peer> {
        self.extensions().get()
    }
}

impl<T, S> RequestParts for Request<T, S> {
    fn operation(&self) -> &Operation {
        self.context.operation()
    }

    fn deadline(&self, _: Instant) -> Option<Deadline> {
        self.context.deadline()
    }

    fn metadata(&self) -> &HeaderMap {
        self.context.inbound()
    }

    fn outbound_mut(&mut self) -> &mut HeaderMap {
        self.context.outbound_mut()
    }

    fn extensions(&self) -> &Extensions {
        self.context.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.context.extensions_mut()
    }
}

impl<B> RequestParts for http::Request<B> {
    fn operation(&self) -> &Operation {
        self.extensions().get().unwrap_or(&Operation::UNMATCHED)
    }

    fn deadline(&self, now: Instant) -> Option<Deadline> {
        let given = self.extensions().get().copied();
        let timeout = self.headers().get(&GRPC_TIMEOUT).and_then(|value| value.to_str().ok()?.parse::<Timeout>().ok());
        given.into_iter().chain(timeout.map(|timeout| Deadline::after(now, timeout.0))).min()
    }

    fn metadata(&self) -> &HeaderMap {
        self.headers()
    }

    fn outbound_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }
}
