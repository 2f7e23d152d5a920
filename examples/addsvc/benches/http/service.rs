//! The service that all of them serve, and its one request: a text in capitals.

use kit_endpoint::{Context, Error, service};
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UppercaseRequest {
    pub(crate) s: String,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UppercaseReply {
    pub(crate) v: String,
}

/// The service, as kit takes it.
#[service(name = "stringsvc")]
pub(crate) trait Strings {
    #[idempotent]
    async fn uppercase(&self, cx: &Context, req: UppercaseRequest) -> Result<UppercaseReply, Error>;
}

/// The logic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upper;

impl Strings for Upper {
    async fn uppercase(&self, _: &Context, req: UppercaseRequest) -> Result<UppercaseReply, Error> {
        Ok(uppercase(&req))
    }
}

pub(crate) fn uppercase(req: &UppercaseRequest) -> UppercaseReply {
    UppercaseReply { v: req.s.to_uppercase() }
}

/// The request's body.
pub(crate) const BODY: &str = r#"{"s":"hello, world"}"#;
