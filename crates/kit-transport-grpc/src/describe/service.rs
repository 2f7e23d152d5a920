//! A service and its methods.

use super::TypeRef;

/// A service, as it is bound.
#[derive(Clone, Debug)]
pub struct Service {
    /// With the package.
    pub(super) name: String,
    pub(super) methods: Vec<Method>,
    pub(super) docs: String,
    pub(super) deprecated: bool,
}

impl Service {
    /// A service of this full name: `pb.Add`. What stands before the last point is the package, in which all messages are
    /// that have none of their own.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), methods: Vec::new(), docs: String::new(), deprecated: false }
    }

    /// Adds a method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.methods.push(method);
        self
    }

    /// The comment: lines, each with the blank that `/// ` leaves at its beginning.
    #[must_use]
    pub fn docs(mut self, docs: impl Into<String>) -> Self {
        self.docs = docs.into();
        self
    }

    /// Marks it as deprecated.
    #[must_use]
    pub fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    /// Package and name.
    pub(super) fn split(&self) -> (&str, &str) {
        self.name.rsplit_once('.').unwrap_or(("", &self.name))
    }
}

/// A method of a service.
#[derive(Clone, Debug)]
pub struct Method {
    pub(super) name: String,
    pub(super) request: TypeRef,
    pub(super) reply: TypeRef,
    pub(super) client_streaming: bool,
    pub(super) server_streaming: bool,
    pub(super) idempotent: bool,
    pub(super) docs: String,
    pub(super) deprecated: bool,
}

impl Method {
    /// One request, one reply: `rpc Sum(SumRequest) returns (SumReply)`.
    pub fn new(name: impl Into<String>, request: TypeRef, reply: TypeRef) -> Self {
        Self {
            name: name.into(),
            request,
            reply,
            client_streaming: false,
            server_streaming: false,
            idempotent: false,
            docs: String::new(),
            deprecated: false,
        }
    }

    /// Whether each side streams.
    #[must_use]
    pub fn streaming(mut self, client: bool, server: bool) -> Self {
        self.client_streaming = client;
        self.server_streaming = server;
        self
    }

    /// A second call does no harm: `option idempotency_level = IDEMPOTENT`.
    #[must_use]
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// The comment: lines, each with the blank that `/// ` leaves at its beginning.
    #[must_use]
    pub fn docs(mut self, docs: impl Into<String>) -> Self {
        self.docs = docs.into();
        self
    }

    /// Marks it as deprecated.
    #[must_use]
    pub fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }
}
