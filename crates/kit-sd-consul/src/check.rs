//! How Consul sees whether an instance can serve.

use std::time::Duration;

use kit_base::Error;
use serde::Serialize;

use crate::plan::LONGEST;

/// Consul runs no check more often.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);

/// How Consul sees whether an instance can serve.
///
/// With [`ttl`](Self::ttl), the default, the registration says so itself, and Consul needs no way to the instance. With
/// the others the agent asks, so that an instance that hangs is found although its process lives.
///
/// Until the agent's first look at it, within an interval, an instance with a check of the agent's is critical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    form: Form,
    timeout: Option<Duration>,
    tls: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Ttl(Duration),
    Http(String, Duration),
    Grpc(String, Duration),
    Tcp(String, Duration),
    None,
}

impl Check {
    /// A heartbeat, sent at each third of this time. Where none comes for so long, Consul takes the instance for critical.
    /// 1 s or more.
    #[doc(alias = "heartbeat")]
    pub fn ttl(ttl: Duration) -> Self {
        Self::new(Form::Ttl(ttl))
    }

    /// The agent gets this URL at each interval, of 1 s or more: 2xx is passing, 429 a warning, all else critical.
    pub fn http(url: impl Into<String>, interval: Duration) -> Self {
        Self::new(Form::Http(url.into(), interval))
    }

    /// The agent asks gRPC's health service at this address at each interval, of 1 s or more: `127.0.0.1:8082`, or
    /// `127.0.0.1:8082/pb.Add` for the health of one service.
    pub fn grpc(address: impl Into<String>, interval: Duration) -> Self {
        Self::new(Form::Grpc(address.into(), interval))
    }

    /// The agent connects to this address at each interval, of 1 s or more: `127.0.0.1:8081`.
    pub fn tcp(address: impl Into<String>, interval: Duration) -> Self {
        Self::new(Form::Tcp(address.into(), interval))
    }

    /// None: the instance is passing as long as it is registered, also when its process is dead.
    pub fn none() -> Self {
        Self::new(Form::None)
    }

    fn new(form: Form) -> Self {
        Self { form, timeout: None, tls: false }
    }

    /// The agent gives up a look after this time; 10 s unless set. For a check by HTTP, gRPC or TCP.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The agent asks over TLS. For a check by gRPC; with HTTP the URL says it.
    pub fn over_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The time that a heartbeat lasts.
    pub(crate) fn time_to_live(&self) -> Option<Duration> {
        if let Form::Ttl(ttl) = self.form { Some(ttl) } else { None }
    }

    /// # Errors
    /// A time is out of range, an address is empty, or the time-out or TLS has nothing that it could be for.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let to = match &self.form {
            Form::Ttl(ttl) => {
                within("TTL of the check", *ttl, SHORTEST)?;
                None
            }
            Form::Http(to, interval) | Form::Grpc(to, interval) | Form::Tcp(to, interval) => {
                within("interval of the check", *interval, SHORTEST)?;
                Some(to)
            }
            Form::None => None,
        };
        if to.is_some_and(|to| to.trim().is_empty()) {
            return Err(Error::invalid_argument("the check has an empty address"));
        }
        if self.tls && !matches!(self.form, Form::Grpc(..)) {
            return Err(Error::invalid_argument(format!("only a check by gRPC is asked over TLS, got {self:?}")));
        }
        match self.timeout {
            Some(timeout) if to.is_none() => {
                Err(Error::invalid_argument(format!("only a check of the agent's has a time-out, got {timeout:?}")))
            }
            Some(timeout) => within("time-out of the check", timeout, Duration::from_millis(1)),
            None => Ok(()),
        }
    }

    /// As Consul's API has it; nothing where there is none.
    pub(crate) fn body(&self, id: &str, critical_after: Option<Duration>) -> Option<Body> {
        let mut body = Body {
            check_id: check_id(id),
            deregister_critical_service_after: critical_after.map(go_duration),
            timeout: self.timeout.map(go_duration),
            ..Body::default()
        };
        match &self.form {
            Form::Ttl(ttl) => body.ttl = Some(go_duration(*ttl)),
            Form::Http(to, _) => body.http = Some(to.clone()),
            Form::Grpc(to, _) => (body.grpc, body.grpc_use_tls) = (Some(to.clone()), self.tls.then_some(true)),
            Form::Tcp(to, _) => body.tcp = Some(to.clone()),
            Form::None => return None,
        }
        if let Form::Http(_, interval) | Form::Grpc(_, interval) | Form::Tcp(_, interval) = &self.form {
            body.interval = Some(go_duration(*interval));
        }
        Some(body)
    }
}

/// The id that Consul itself gives the only check of a service.
pub(crate) fn check_id(id: &str) -> String {
    format!("service:{id}")
}

/// A check in the words of `/v1/agent/service/register`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Body {
    #[serde(rename = "CheckID")]
    check_id: String,
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(rename = "HTTP", skip_serializing_if = "Option::is_none")]
    http: Option<String>,
    #[serde(rename = "GRPC", skip_serializing_if = "Option::is_none")]
    grpc: Option<String>,
    #[serde(rename = "GRPCUseTLS", skip_serializing_if = "Option::is_none")]
    grpc_use_tls: Option<bool>,
    #[serde(rename = "TCP", skip_serializing_if = "Option::is_none")]
    tcp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deregister_critical_service_after: Option<String>,
    /// What it is at first, and where the agent has forgotten it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<&'static str>,
}

/// # Errors
/// The time is less than this, or so long that it makes no sense.
pub(crate) fn within(what: &str, time: Duration, least: Duration) -> Result<(), Error> {
    if (least..=LONGEST).contains(&time) {
        return Ok(());
    }
    Err(Error::invalid_argument(format!("the {what} must be from {least:?} to {LONGEST:?}, got {time:?}")))
}

fn go_duration(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
