//! Which reply a request gets.

use std::fmt;

use bytes::Bytes;
use http::Request;

use super::Reply;

/// The replies of a backend: a list, or a function of the request.
///
/// A list is used up by all connections together, in order of arrival; its last reply is repeated. An empty one
/// answers 500.
pub struct Script(Kind);

type Function = Box<dyn Fn(&Request<Bytes>) -> Reply + Send + Sync>;

enum Kind {
    List(Vec<Reply>),
    Function(Function),
}

impl Script {
    /// A function of the request. A panic in it ends the connection without an answer.
    ///
    /// ```
    /// use kit_testing::backend::{Reply, Script};
    ///
    /// let script = Script::by(|request| match request.uri().path() {
    ///     "/sum" => Reply::json(r#"{"v":3}"#),
    ///     _ => Reply::status(404),
    /// });
    /// # drop(script);
    /// ```
    #[must_use]
    pub fn by(reply: impl Fn(&Request<Bytes>) -> Reply + Send + Sync + 'static) -> Self {
        Self(Kind::Function(Box::new(reply)))
    }

    /// The reply to the request with this index, from 0.
    pub(super) fn reply(&self, index: usize, request: &Request<Bytes>) -> Reply {
        match &self.0 {
            Kind::List(replies) => match replies.get(index).or(replies.last()) {
                Some(reply) => reply.clone(),
                None => Reply::status(500).body("the script of this backend is empty"),
            },
            Kind::Function(reply) => reply(request),
        }
    }
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        Self(Kind::List(vec![reply]))
    }
}

impl From<Vec<Reply>> for Script {
    fn from(replies: Vec<Reply>) -> Self {
        Self(Kind::List(replies))
    }
}

impl<const N: usize> From<[Reply; N]> for Script {
    fn from(replies: [Reply; N]) -> Self {
        Self(Kind::List(replies.into()))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::List(replies) => f.debug_tuple("Script").field(replies).finish(),
            Kind::Function(_) => f.write_str("Script(function)"),
        }
    }
}
