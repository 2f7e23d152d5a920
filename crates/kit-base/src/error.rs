//! The error that the pieces agree on, and what kit asks of a user's own error type.

use std::any::Any;
use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::Kind;

/// Where an error arose, and so what may safely be tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "retry must decide on every origin")]
pub enum Origin {
    /// The operation may have run: the service answered, or nobody knows.
    #[default]
    Remote,
    /// The request never left this process, or surely did not start at the peer.
    NotSent,
    /// A policy of this process refused the call before it reached anybody.
    LocalRefusal,
}

/// What the failing side says about another try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "retry must decide on every hint")]
pub enum RetryHint {
    /// Nothing.
    #[default]
    None,
    /// Not before this time has passed.
    After(Duration),
    /// Do not try again (a push-back).
    Never,
}

/// What kit asks of an error type, so that it can be judged and answered. `#[derive(kit_endpoint::Error)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as the error of an endpoint here",
    label = "kit does not know the kind of this error",
    note = "use `kit_base::Error`, or `#[derive(kit_endpoint::Error)]` on your error enum, or implement `kit_base::Failure` for it"
)]
pub trait Failure {
    /// The kind of failure.
    fn kind(&self) -> Kind;

    /// Where it arose.
    fn origin(&self) -> Origin {
        Origin::Remote
    }

    /// What is known about another try.
    fn retry_hint(&self) -> RetryHint {
        RetryHint::None
    }

    /// The same error as the answer of the service that returns it: wherever it arose, the operation has run now, so
    /// its origin is [`Origin::Remote`]. Endpoints of methods do this, or a retry would take the error of a call that
    /// the method made for one of the method itself.
    fn into_answer(self) -> Self
    where
        Self: Sized,
    {
        self
    }
}

/// The error that all pieces agree on: 8 bytes, boxed, made of a [`Kind`], a message for the peer and what is known
/// beside it.
///
/// [`Display`](fmt::Display) shows kind and message and is meant for logs and people on this side.
/// [`peer_message`](Self::peer_message) is what may be sent. The source never goes onto the wire.
///
/// ```
/// use kit_base::{Error, Kind};
///
/// let error = Error::not_found("no user 7").with_reason("NO_SUCH_USER");
/// assert_eq!(error.kind(), Kind::NotFound);
/// assert_eq!(error.to_string(), "NOT_FOUND: no user 7");
///
/// let secret = Error::internal("password of db1 is wrong");
/// assert_eq!(secret.peer_message(), "internal error");
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    origin: Origin,
    retry_hint: RetryHint,
    message: Cow<'static, str>,
    reason: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    headers: Option<fn(&Error, &mut http::HeaderMap)>,
    /// An `Option` of its type. Not read but taken, so it need not be `Sync`.
    unsent: Option<Mutex<Box<dyn Any + Send>>>,
}

impl Error {
    /// An error of this kind. The message is for the peer: lower case, no full stop, with the offending value.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        let (message, origin, retry_hint) = (message.into(), Origin::Remote, RetryHint::None);
        let (reason, source, headers, unsent) = (None, None, None, None);
        Self(Box::new(Inner { kind, origin, retry_hint, message, reason, source, headers, unsent }))
    }

    /// Adds a machine-readable reason, stable over versions, in the form `UPPER_SNAKE_CASE`.
    pub fn with_reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    /// Says when another try makes sense.
    pub fn with_retry_after(self, after: Duration) -> Self {
        self.with_retry_hint(RetryHint::After(after))
    }

    /// Says what is known about another try.
    pub fn with_retry_hint(mut self, hint: RetryHint) -> Self {
        self.0.retry_hint = hint;
        self
    }

    /// Says where it arose.
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.0.origin = origin;
        self
    }

    /// Keeps the cause, for the log of this process only.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says what else belongs into the head of an answer with this error: headers over HTTP, metadata over gRPC
    /// (`RateLimit`, `WWW-Authenticate`). The function is called when such an answer is written, and may look at the source.
    /// Where a method [passes on](Failure::into_answer) what has not been sent or was refused here, it is left out.
    ///
    /// ```
    /// use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
    /// use kit_base::Error;
    ///
    /// let challenge = |_: &Error, headers: &mut HeaderMap| {
    ///     headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"stock\""));
    /// };
    /// let error = Error::unauthenticated("who are you").with_headers(challenge);
    /// assert_eq!(error.to_http_answer().headers()[WWW_AUTHENTICATE], "Basic realm=\"stock\"");
    /// ```
    pub fn with_headers(mut self, write: fn(&Self, &mut http::HeaderMap)) -> Self {
        self.0.headers = Some(write);
        self
    }

    /// Writes [those headers](Self::with_headers); for transports that write the answer by themselves.
    pub fn write_headers(&self, headers: &mut http::HeaderMap) {
        self.0.headers.into_iter().for_each(|write| write(self, headers));
    }

    /// Gives the request back that was not sent: a client transport does so, and a balancer takes it to another instance.
    /// Says that it was [not sent](Origin::NotSent). Costs a box; it stays in this process, until it is taken or the error
    /// is dropped or [becomes an answer](Failure::into_answer).
    pub fn with_unsent<R: Send + 'static>(mut self, request: R) -> Self {
        self.0.unsent = Some(Mutex::new(Box::new(Some(request))));
        self.with_origin(Origin::NotSent)
    }

    /// Takes the request that was not sent, if there is one of this type. One of another type stays.
    pub fn take_unsent<R: 'static>(&mut self) -> Option<R> {
        let unsent = self.0.unsent.as_mut()?.get_mut().unwrap_or_else(PoisonError::into_inner);
        unsent.downcast_mut::<Option<R>>()?.take()
    }

    /// The kind of failure.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The message as it was given, for this side. See [`peer_message`](Self::peer_message).
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The message that may be sent: a neutral text for [`Kind::Internal`] and [`Kind::Unknown`], which tend to speak
    /// of things that are nobody else's business.
    pub fn peer_message(&self) -> &str {
        match self.0.kind {
            Kind::Internal => "internal error",
            Kind::Unknown => "unknown error",
            _ => &self.0.message,
        }
    }

    /// The machine-readable reason.
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The time after which another try makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        if let RetryHint::After(after) = self.0.retry_hint { Some(after) } else { None }
    }

    /// What is known about another try.
    pub fn retry_hint(&self) -> RetryHint {
        self.0.retry_hint
    }

    /// Where it arose.
    pub fn origin(&self) -> Origin {
        self.0.origin
    }
}

macro_rules! constructors {
    ($($name:ident $kind:ident),* $(,)?) => {
        impl Error {$(
            #[doc = concat!("An error of the kind [`Kind::", stringify!($kind), "`].")]
            pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                Self::new(Kind::$kind, message)
            }
        )*}
    };
}

constructors! {
    cancelled Cancelled, unknown Unknown, invalid_argument InvalidArgument, deadline_exceeded DeadlineExceeded,
    not_found NotFound, already_exists AlreadyExists, permission_denied PermissionDenied,
    resource_exhausted ResourceExhausted, failed_precondition FailedPrecondition, aborted Aborted,
    out_of_range OutOfRange, unimplemented Unimplemented, internal Internal, unavailable Unavailable,
    data_loss DataLoss, unauthenticated Unauthenticated,
}

impl Failure for Error {
    fn kind(&self) -> Kind {
        self.0.kind
    }

    fn origin(&self) -> Origin {
        self.0.origin
    }

    fn retry_hint(&self) -> RetryHint {
        self.0.retry_hint
    }

    fn into_answer(mut self) -> Self {
        self.0.unsent = None;
        // A policy on the way to somebody else has nothing to say to our caller.
        self.0.headers = self.0.headers.filter(|_| self.0.origin == Origin::Remote);
        self.with_origin(Origin::Remote)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind, self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
