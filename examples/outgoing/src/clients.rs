//! The clients of the two services that the app calls, each behind a circuit breaker.

use std::time::Duration;

use kit_base::{Answered, FromHttpService, Guard, Guarded, Tower};
use kit_breaker::{Breaker, Settings};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;
use tower_layer::Layer;

/// A `reqwest::Client` behind a breaker: an endpoint for `http::Request`s.
type Reqwest = Guarded<FromHttpService<reqwest::Client, reqwest::Request, reqwest::Body>, Breaker>;
/// A tonic channel behind a breaker, for any client that tonic has generated.
type Tonic = <Tower<Guard<Breaker>, Answered> as Layer<Channel>>::Service;

/// Both clients, and their circuits.
#[derive(Clone, Debug)]
pub struct Clients {
    pub(crate) quotes: Reqwest,
    pub(crate) health: HealthClient<Tonic>,
    pub(crate) circuits: [Guard<Breaker>; 2],
}

impl Clients {
    /// Clients of the services at these URLs. A circuit opens at the fifth failure in a row; what takes longer than `limit` is one.
    ///
    /// # Errors
    /// The URL of the health service is none, or the time makes no sense.
    pub fn new(health_url: String, limit: Duration, open_for: Duration) -> anyhow::Result<Self> {
        // The ten lines: from here ...
        let settings = Settings::new().consecutive_failures(5).open_for(open_for);
        let quotes_circuit = Guard::new(Breaker::new(settings.clone())?.named("quotes"));
        let health_circuit = Guard::new(Breaker::new(settings)?.named("health"));

        let client = reqwest::Client::builder().timeout(limit).build()?;
        let quotes = quotes_circuit.layer(FromHttpService::new(client));

        let channel = Endpoint::from_shared(health_url)?.timeout(limit).connect_lazy();
        let health = HealthClient::new(Tower::new(health_circuit.clone()).answered().layer(channel));
        // ... to here.
        Ok(Self { quotes, health, circuits: [quotes_circuit, health_circuit] })
    }
}
