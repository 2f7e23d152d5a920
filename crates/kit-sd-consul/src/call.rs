//! A request to the agent, with limits of time and size, and its answer.

use std::error::Error as StdError;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use kit_base::{Error, Kind, Origin};
use reqwest::{Client, Request, Url};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

/// The client's own clock does not run out before ours.
const SLACK: Duration = Duration::from_secs(1);

/// Characters of an answer's text that an error shows.
const SHOWN: usize = 200;

/// A request that is not sent yet. *Cancellation:* dropping the future of [`send`](Self::send) closes its connection.
pub(crate) struct Call {
    client: Client,
    request: Request,
    token: Option<HeaderValue>,
    head: Duration,
    body: Duration,
    limit: usize,
}

impl Call {
    pub(crate) fn new(
        client: &Client,
        method: Method,
        url: Url,
        token: Option<HeaderValue>,
        auth: Option<(&str, &str)>,
        limit: usize,
    ) -> Self {
        let mut request = Request::new(method, url);
        if let Some(token) = &token {
            request.headers_mut().insert("x-consul-token", token.clone());
        }
        if let Some((user, password)) = auth {
            let url = request.url().clone();
            let built = client.request(Method::GET, url).basic_auth(user, Some(password)).build();
            // A builder without a body has nothing that could fail.
            let headers = built.map(|built| built.headers().clone()).unwrap_or_default();
            request.headers_mut().extend(headers);
        }
        Self { client: client.clone(), request, token, head: Duration::MAX, body: Duration::MAX, limit }
    }

    pub(crate) fn query(mut self, key: &str, value: &str) -> Self {
        self.request.url_mut().query_pairs_mut().append_pair(key, value);
        self
    }

    /// A query parameter without a value, as `stale`.
    pub(crate) fn flag(mut self, key: &str) -> Self {
        self.request.url_mut().query_pairs_mut().append_key_only(key);
        self
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::internal("cannot write the request as JSON").with_source(error))?;
        *self.request.body_mut() = Some(body.into());
        self.request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(self)
    }

    /// The head of the answer may take this much longer: the agent holds the query for as long.
    pub(crate) fn waits(mut self, wait: Duration) -> Self {
        self.head = self.head.saturating_add(wait);
        self
    }

    /// Limits of time: to the head, and from there to the end of the body.
    pub(crate) fn limits(mut self, head: Duration, body: Duration) -> Self {
        (self.head, self.body) = (head, body);
        self
    }

    /// Shorter limits of time, for what the agent answers from its memory.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        let (head, body) = (self.head.min(limit), self.body.min(limit));
        self.limits(head, body)
    }

    /// The answer, whatever its status.
    pub(crate) async fn send(self) -> Result<Answer, Error> {
        let Self { client, mut request, token, head, body, limit } = self;
        // Ours replaces the client's, which would end a waiting query.
        *request.timeout_mut() = Some(head.saturating_add(body).saturating_add(SLACK));
        let url = request.url().clone();
        let agent = url.origin().ascii_serialization();
        let late = |what, limit| Error::deadline_exceeded(format!("consul at {agent} did not {what} within {limit:?}"));
        let sent = timeout(head, client.execute(request)).await.map_err(|_| late("answer", head))?;
        let mut response = sent.map_err(|error| unsent(error, &agent))?;
        if response.url().origin() != url.origin() {
            let message = format!("consul at {agent} redirected to {}", response.url().origin().ascii_serialization());
            return Err(Error::failed_precondition(message));
        }
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let too_large = || Error::resource_exhausted(format!("consul at {agent} answered with over {limit} bytes"));
        let read = async {
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| broken(error, &agent))? {
                if chunk.len() > limit.saturating_sub(bytes.len()) {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes)
        };
        let bytes = timeout(body, read).await.map_err(|_| late("end its answer", body))??;
        Ok(Answer { agent, status, headers, bytes, token })
    }
}

/// An answer of the agent, read to its end.
pub(crate) struct Answer {
    agent: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    token: Option<HeaderValue>,
}

impl Answer {
    /// This answer if it is a success, or else an error with the beginning of its text.
    pub(crate) fn ok(self) -> Result<Self, Error> {
        if self.status.is_success() { Ok(self) } else { Err(self.error()) }
    }

    /// What the agent says in its text, shortened, on one line, and without the token.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let secret = self.token.as_ref().and_then(|token| token.to_str().ok()).filter(|secret| !secret.is_empty());
        let text = secret.map_or_else(|| text.to_string(), |secret| text.replace(secret, "<token>"));
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        words.chars().filter(|char| !char.is_control()).take(SHOWN).collect()
    }

    fn error(&self) -> Error {
        let kind = match self.status {
            // "No cluster leader", and all else that passes.
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => Kind::Unavailable,
            status => Kind::from_http_status(status).unwrap_or(Kind::FailedPrecondition),
        };
        let (agent, status, text) = (&self.agent, self.status, self.text());
        let message = match (status.is_redirection(), text.is_empty()) {
            (true, _) => format!("consul at {agent} answered with {status}, and redirects are not followed"),
            (false, true) => format!("consul at {agent} answered with {status}"),
            (false, false) => format!("consul at {agent} answered with {status}: {text}"),
        };
        Error::new(kind, message).with_retry_hint(kit_base::wire::retry_after(&self.headers))
    }

    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes).map_err(|error| self.garbled(error))
    }

    /// The answer is not what Consul's API promises.
    pub(crate) fn garbled(&self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        let source = source.into();
        Error::data_loss(format!("consul at {} gave an answer that is none: {source}", self.agent)).with_source(source)
    }
}

fn unsent(error: reqwest::Error, agent: &str) -> Error {
    let error = error.without_url();
    if !error.is_connect() && !error.is_builder() {
        return Error::unavailable(format!("consul at {agent} broke off before its answer")).with_source(error);
    }
    let mut cause = error.source();
    let mut no_tls = false;
    while let Some(inner) = cause {
        no_tls |= inner.to_string().contains("scheme is not http");
        cause = inner.source();
    }
    if no_tls && agent.starts_with("https:") {
        let message = format!("{agent} needs TLS, which the client lacks: turn on a TLS feature of reqwest");
        return Error::internal(message).with_origin(Origin::NotSent).with_source(error);
    }
    Error::unavailable(format!("cannot connect to consul at {agent}")).with_origin(Origin::NotSent).with_source(error)
}

fn broken(error: reqwest::Error, agent: &str) -> Error {
    Error::unavailable(format!("consul at {agent} broke off within its answer")).with_source(error.without_url())
}
