//! Where requests go: the base URL, joined with the target of each request.

use bytes::Bytes;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use kit_base::Error;

use super::failure::TOO_LONG;
use crate::BuildError;

/// The base URL of a backend, in the pieces that targets are made of.
#[derive(Clone, Debug)]
pub(super) struct Base {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    path: String,
    query: Option<String>,
}

impl Base {
    pub(super) fn parse(text: &str) -> Result<Self, BuildError> {
        // What may be a password is not shown.
        let shown = if text.contains('@') { "it" } else { text };
        let wrong = |why: &str| BuildError::new(format!("{shown:?} is not the base URL of a backend: {why}"));
        let form = "want http://host:port or https://host:port";
        let uri: Uri = text.parse().map_err(|error| wrong(form).because(error))?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        let (Some(scheme), Some(authority)) = (scheme, parts.authority) else { return Err(wrong(form)) };
        if authority.as_str().contains('@') {
            return Err(wrong("it must not hold a user: set Authorization in a before hook"));
        }
        if authority.host().is_empty() || text.contains('#') {
            return Err(wrong("it must have a host, and no fragment"));
        }
        let target = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let path = target.path().strip_suffix('/').unwrap_or(target.path()).to_owned();
        let query = target.query().filter(|query| !query.is_empty()).map(str::to_owned);
        Ok(Self { scheme, authority, path, query })
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The target at the backend: the base's path and then that of the request, the base's query and then the
    /// request's, all in the very bytes in which they came.
    pub(super) fn join(&self, target: &PathAndQuery) -> Result<Uri, Error> {
        let joined = match (&*self.path, &self.query) {
            ("", None) => target.clone(),
            (path, query) => {
                let mut joined = path.to_owned();
                match (query, target.query()) {
                    (None, _) => joined.push_str(target.as_str()),
                    (Some(query), more) => {
                        joined.extend([target.path(), "?", query]);
                        if let Some(more) = more.filter(|more| !more.is_empty()) {
                            joined.extend(["&", more]);
                        }
                    }
                }
                let too_long = |error| {
                    Error::invalid_argument("the target is too long for the backend's URL")
                        .with_reason(TOO_LONG)
                        .with_source(error)
                };
                PathAndQuery::from_maybe_shared(Bytes::from(joined)).map_err(too_long)?
            }
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(joined);
        Uri::from_parts(parts).map_err(|error| Error::internal("the target cannot be written").with_source(error))
    }
}
