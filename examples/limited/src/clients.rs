//! Callers of the two services: reqwest and tonic, as they come.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::StatusCode;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

/// What a caller sees of a call.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The status, and the headers that belong to a limit.
    pub(crate) text: String,
    /// When to come back, if it was refused.
    pub(crate) retry_after: Option<Duration>,
}

/// A client of the page with connections of its own.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    client: reqwest::Client,
    url: String,
}

impl Web {
    /// One that calls from this address.
    pub(crate) fn new(url: String, from: Option<IpAddr>) -> anyhow::Result<Self> {
        Ok(Self { client: reqwest::Client::builder().local_address(from).no_proxy().build()?, url })
    }

    pub(crate) async fn call(&self) -> anyhow::Result<Seen> {
        let answer = self.client.get(&self.url).send().await?;
        let (status, headers) = (answer.status(), answer.headers());
        let mut text = status.as_u16().to_string();
        for name in ["retry-after", "ratelimit"] {
            if let Some(value) = headers.get(name) {
                text += &format!(", {name}: {}", value.to_str()?);
            }
        }
        let retry_after = match status {
            StatusCode::OK => None,
            StatusCode::TOO_MANY_REQUESTS => {
                let seconds = headers.get("retry-after").context("a refusal without Retry-After")?;
                Some(Duration::from_secs(seconds.to_str()?.parse()?))
            }
            other => bail!("{} answers {other}", self.url),
        };
        Ok(Seen { text, retry_after })
    }
}

/// A client of the health service, on a connection of its own.
#[derive(Clone, Debug)]
pub(crate) struct Rpc(HealthClient<Channel>);

impl Rpc {
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        Ok(Self(HealthClient::new(Endpoint::from_shared(url.to_owned())?.connect().await?)))
    }

    pub(crate) async fn call(&self) -> anyhow::Result<Seen> {
        let status = match self.0.clone().check(HealthCheckRequest::default()).await {
            Ok(_) => return Ok(Seen { text: "OK".to_owned(), retry_after: None }),
            Err(status) if status.code() == Code::ResourceExhausted => status,
            Err(status) => return Err(status.into()),
        };
        let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
        let after = told.context("a refusal without RetryInfo")?;
        Ok(Seen { text: format!("RESOURCE_EXHAUSTED, RetryInfo: {after:.1?}"), retry_after: Some(after) })
    }
}
