//! The context of a call: operation, deadline, metadata in and out, and values of this process.

use std::fmt;
use std::sync::{Arc, LazyLock};

use http::header::HeaderName;
use http::{Extensions, HeaderMap};

use crate::{Deadline, Error, Operation, Peer};

/// What is known of a call beside its message. Five words; it allocates when metadata or extensions are put into it,
/// and a clone shares them.
///
/// *Inbound* metadata is what arrived, read-only. *Outbound* metadata is what a client will send, and only this is
/// ever sent. Extensions are typed values of this process: a [`Peer`], verified claims. Nothing of them leaves it.
#[derive(Clone, Default)]
pub struct Context {
    operation: Option<Operation>,
    deadline: Option<Deadline>,
    more: Option<Arc<More>>,
}

#[derive(Clone, Default)]
struct More {
    inbound: HeaderMap,
    outbound: HeaderMap,
    extensions: Extensions,
}

static NOTHING: LazyLock<More> = LazyLock::new(More::default);

impl Context {
    /// An empty context.
    pub const fn new() -> Self {
        Self { operation: None, deadline: None, more: None }
    }

    /// The context of a call that arrived with this metadata. For server transports.
    pub fn received(inbound: HeaderMap, extensions: Extensions) -> Self {
        let more = More { inbound, outbound: HeaderMap::new(), extensions };
        Self { operation: None, deadline: None, more: Some(Arc::new(more)) }
    }

    /// The same with this operation.
    pub fn with_operation(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// The same with this deadline, or the one that it has if that is earlier: a deadline only ever shrinks.
    pub fn with_deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |old| old.min(deadline)));
        self
    }

    /// The same with one more piece of outbound metadata; it replaces one of the same name.
    pub fn with_outbound(mut self, name: HeaderName, value: http::HeaderValue) -> Self {
        self.outbound_mut().insert(name, value);
        self
    }

    /// The same with one more value of this process.
    pub fn with_extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.extensions_mut().insert(value);
        self
    }

    /// The operation; [`Operation::UNMATCHED`] where nobody has named it.
    pub fn operation(&self) -> &Operation {
        self.operation.as_ref().unwrap_or(&Operation::UNMATCHED)
    }

    /// The deadline, if there is one.
    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    fn more(&self) -> &More {
        self.more.as_deref().unwrap_or(&NOTHING)
    }

    fn more_mut(&mut self) -> &mut More {
        Arc::make_mut(self.more.get_or_insert_default())
    }

    /// The metadata that arrived.
    pub fn inbound(&self) -> &HeaderMap {
        &self.more().inbound
    }

    /// The metadata that a client will send.
    pub fn outbound(&self) -> &HeaderMap {
        &self.more().outbound
    }

    /// The metadata that a client will send, to change it.
    pub fn outbound_mut(&mut self) -> &mut HeaderMap {
        &mut self.more_mut().outbound
    }

    /// The values of this process.
    pub fn extensions(&self) -> &Extensions {
        &self.more().extensions
    }

    /// The values of this process, to change them.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.more_mut().extensions
    }

    /// The other end of the connection that the call came over.
    pub fn peer(&self) -> Option<&Peer> {
        self.extensions().get()
    }

    /// The context of a call made while this one is served: it keeps the deadline and the outbound metadata, and takes
    /// over trace, baggage, `x-request-id` and the names of `pass_on` from the inbound metadata. Connected clients do this
    /// themselves.
    ///
    /// Extensions, and all other inbound metadata, stay behind.
    pub fn child(&self, pass_on: &PassOn) -> Self {
        let mut outbound = self.outbound().clone();
        for name in PassOn::ALWAYS.iter().chain(&pass_on.names) {
            if !outbound.contains_key(name) {
                for value in self.inbound().get_all(name) {
                    outbound.append(name, value.clone());
                }
            }
        }
        let more = (!outbound.is_empty()).then(|| Arc::new(More { outbound, ..More::default() }));
        Self { operation: self.operation.clone(), deadline: self.deadline, more }
    }
}

/// Shows the names of metadata, never the values: they hold credentials.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |map: &HeaderMap| map.keys().map(HeaderName::to_string).collect::<Vec<_>>();
        f.debug_struct("Context")
            .field("operation", self.operation())
            .field("deadline", &self.deadline)
            .field("inbound", &names(self.inbound()))
            .field("outbound", &names(self.outbound()))
            .finish_non_exhaustive()
    }
}

/// The names of inbound metadata that a client passes on, beside trace, baggage and `x-request-id`: a tenant, a locale.
///
/// Credentials are refused: what a caller has proved to this service, it has not proved to the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassOn {
    names: Vec<HeaderName>,
}

impl PassOn {
    /// What is always passed on: W3C trace context and baggage, and the id of the request.
    pub const ALWAYS: [HeaderName; 4] = [
        HeaderName::from_static("traceparent"),
        HeaderName::from_static("tracestate"),
        HeaderName::from_static("baggage"),
        HeaderName::from_static("x-request-id"),
    ];

    /// Credentials, and what belongs to one message or connection.
    const REFUSED: &str = "authorization proxy-authorization cookie x-api-key host content-length content-type \
        content-encoding transfer-encoding connection te trailer upgrade keep-alive expect grpc-timeout";

    /// Passes on these names too.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`](crate::Kind::InvalidArgument) for a text that is no name of metadata, for one that holds
    /// credentials (`authorization`, `proxy-authorization`, `cookie`, `x-api-key`), and for one that belongs to a single
    /// message or connection (`host`, `content-length`, `connection`, ...).
    pub fn new(names: impl IntoIterator<Item: AsRef<str>>) -> Result<Self, Error> {
        let mut passed = Self::default();
        for text in names {
            let text = text.as_ref();
            let name: HeaderName =
                text.parse().map_err(|_| Error::invalid_argument(format!("{text:?} is not a name of metadata")))?;
            if Self::REFUSED.split(' ').any(|refused| name == refused) {
                return Err(Error::invalid_argument(format!("{text:?} is not passed on: it is the caller's own")));
            }
            passed.names.push(name);
        }
        Ok(passed)
    }
}
