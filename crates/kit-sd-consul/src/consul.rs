//! The handle to a Consul agent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use reqwest::{Client, Url};

use crate::call::Call;
use crate::{InvalidSetting, ServiceQuery, Token, address, env};

/// Bytes of an answer: about 60,000 instances.
const RESPONSE_LIMIT: usize = 64 << 20;

/// A Consul agent, over its HTTP API. Cheap to clone; clones share the client's connections and the token.
///
/// The `reqwest::Client` is yours: TLS (turn on a feature of reqwest, give it the CA and the client certificate), proxy, Unix
/// socket and connect time-out are its business. Let it follow no redirects (`redirect::Policy::none()`): the API has
/// none, and reqwest would take the token along. Give it no `read_timeout` under the time that queries
/// wait (60 s unless set).
#[derive(Clone)]
pub struct Consul {
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    client: Client,
    base: Url,
    token: Token,
    auth: Option<(String, String)>,
    datacenter: Option<String>,
    namespace: Option<String>,
    partition: Option<String>,
    head_timeout: Duration,
    body_timeout: Duration,
    response_limit: usize,
}

impl Consul {
    /// The agent at this address, in the form of `CONSUL_HTTP_ADDR`: `127.0.0.1:8500`, `[::1]:8500`,
    /// `https://consul.example:8501`, also with a path in front of the API. Where it has no port, HTTP's own is meant (80 or
    /// 443), as with Consul's own programs. An empty one is `127.0.0.1:8500`.
    ///
    /// # Errors
    /// The address is none, or is one of a Unix socket, whose path belongs into the client.
    pub fn new(client: Client, address: &str) -> Result<Self, InvalidSetting> {
        Ok(Self::at(client, address::parse(address, false)?))
    }

    /// The agent that the environment names, as Consul's own programs do it.
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `CONSUL_HTTP_ADDR` | the address, as in [`new`](Self::new) |
    /// | `CONSUL_HTTP_SSL` | `true`: over TLS, also where the address says `http://` |
    /// | `CONSUL_HTTP_TOKEN` | the token |
    /// | `CONSUL_HTTP_TOKEN_FILE` | a file that holds the token; read once, and wins over the variable unless empty |
    /// | `CONSUL_HTTP_AUTH` | `user:password`, or `user` |
    /// | `CONSUL_NAMESPACE`, `CONSUL_PARTITION` | as [`with_namespace`](Self::with_namespace), [`with_partition`](Self::with_partition) |
    ///
    /// What is TLS is the client's, so these are **not** read: `CONSUL_CACERT`, `CONSUL_CAPATH`, `CONSUL_CLIENT_CERT`,
    /// `CONSUL_CLIENT_KEY`, `CONSUL_TLS_SERVER_NAME`, `CONSUL_HTTP_SSL_VERIFY`.
    ///
    /// # Errors
    /// A variable has a value that makes no sense, or the file cannot be read. Secrets are not shown.
    pub fn from_env(client: Client) -> Result<Self, InvalidSetting> {
        env::consul(client, None)
    }

    /// The agent at this address, with all else as the environment names it: for a program that has a flag for the address.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`from_env`](Self::from_env).
    pub fn from_env_at(client: Client, address: &str) -> Result<Self, InvalidSetting> {
        env::consul(client, Some(address))
    }

    pub(crate) fn at(client: Client, base: Url) -> Self {
        let (auth, datacenter, namespace, partition) = (None, None, None, None);
        let (token, head_timeout, body_timeout) = (Token::none(), Duration::from_secs(10), Duration::from_secs(30));
        let settings = Settings {
            client,
            base,
            token,
            auth,
            datacenter,
            namespace,
            partition,
            head_timeout,
            body_timeout,
            response_limit: RESPONSE_LIMIT,
        };
        Self { settings: Arc::new(settings) }
    }

    fn with(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// With this ACL token, sent as `X-Consul-Token`. Keep a clone to [replace](Token::replace) it later.
    pub fn with_token(self, token: Token) -> Self {
        self.with(|settings| settings.token = token)
    }

    /// With user and password, for a proxy in front of the agent that asks for them.
    pub fn with_basic_auth(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        let auth = (user.into(), password.into());
        self.with(|settings| settings.auth = Some(auth))
    }

    /// In this datacenter, instead of the agent's own (`dc`). For discovery only: a registration is the agent's.
    pub fn with_datacenter(self, datacenter: impl Into<String>) -> Self {
        let datacenter = Some(datacenter.into());
        self.with(|settings| settings.datacenter = datacenter)
    }

    /// In this namespace of Consul Enterprise (`ns`).
    pub fn with_namespace(self, namespace: impl Into<String>) -> Self {
        let namespace = Some(namespace.into());
        self.with(|settings| settings.namespace = namespace)
    }

    /// In this admin partition of Consul Enterprise (`partition`).
    pub fn with_partition(self, partition: impl Into<String>) -> Self {
        let partition = Some(partition.into());
        self.with(|settings| settings.partition = partition)
    }

    /// Reads answers of up to this many bytes; 64 MiB unless set, which is about 60,000 instances. A larger answer is an
    /// error, and the last good set stays.
    pub fn response_limit(self, bytes: usize) -> Self {
        self.with(|settings| settings.response_limit = bytes)
    }

    /// The time from a request to the head of its answer, connecting included; 10 s unless set. For what waits at the
    /// agent, it comes on top.
    pub fn head_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.head_timeout = timeout)
    }

    /// The time from the head of an answer to the end of its body; 30 s unless set. A set that does not arrive within it never
    /// arrives: 60,000 instances need 18 Mbit/s.
    pub fn body_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.body_timeout = timeout)
    }

    /// A service to watch.
    pub fn service(&self, name: impl Into<String>) -> ServiceQuery {
        ServiceQuery::new(self.clone(), name.into())
    }

    /// The token that requests are sent with.
    pub fn token(&self) -> &Token {
        &self.settings.token
    }

    /// Begins a request to `/<segment>/<segment>…`; each segment is escaped as it needs.
    pub(crate) fn call(&self, method: Method, path: &[&str]) -> Call {
        let settings = &*self.settings;
        let mut url = settings.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        let query = [("ns", &settings.namespace), ("partition", &settings.partition)];
        for (key, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(key, value);
            }
        }
        let auth = settings.auth.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        Call::new(&settings.client, method, url, settings.token.header(), auth, settings.response_limit)
            .limits(settings.head_timeout, settings.body_timeout)
    }

    /// The datacenter that discovery asks.
    pub(crate) fn datacenter(&self) -> Option<&str> {
        self.settings.datacenter.as_deref()
    }
}

impl fmt::Debug for Consul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { base, token, auth, datacenter, namespace, partition, .. } = &*self.settings;
        f.debug_struct("Consul")
            .field("address", &base.as_str())
            .field("token", token)
            .field("basic_auth", &auth.as_ref().map(|(user, _)| user))
            .field("datacenter", datacenter)
            .field("namespace", namespace)
            .field("partition", partition)
            .finish_non_exhaustive()
    }
}

/// Whether a name can stand in a path: dots and what lies between two slashes are cut out of it on the way, here and at the
/// agent, and another name would be left.
pub(crate) fn fits_into_a_path(name: &str) -> bool {
    !name.contains(char::is_control) && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// What is said of one that does not.
pub(crate) fn misfit(what: &str, name: &str) -> String {
    format!("the {what} must not be empty, nor have an empty part, one of dots, or a control character, got {name:?}")
}
