//! The demonstration: a service fails, its circuit opens, and closes again. What is shown is made sure of.

use std::future::IntoFuture as _;
use std::io::Write as _;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kit_base::{Endpoint as _, ServiceError};
use tokio::time::sleep;

use crate::services::listen;
use crate::{Clients, Services, app};

const OPEN_FOR: Duration = Duration::from_secs(1);

/// Runs it.
///
/// # Errors
/// Something is not as it should be.
pub async fn demo() -> anyhow::Result<()> {
    let services = Services::start().await?;
    let clients = Clients::new(services.health.clone(), Duration::from_secs(1), OPEN_FOR)?;
    let (listener, url) = listen().await?;
    let serving = axum::serve(listener, app(clients.clone(), services.quotes.clone()));
    let shown = async {
        say(&format!("quotes: {}, called over reqwest", services.quotes));
        say(&format!("health: {}, called over tonic", services.health));
        say(&format!(
            "app:    {url}\n\nroute    what happens                    what a caller of the app sees  circuit"
        ));
        for (route, name) in [("/quote", "quotes"), ("/health", "health")] {
            Shown { services: &services, clients: &clients, url: &url, route, name }.circuit().await?;
        }
        Ok(())
    };
    tokio::select! {
        shown = shown => shown,
        served = serving.into_future() => served.context("the app has ended"),
    }
}

/// One route of the app, and the circuit behind it.
struct Shown<'a> {
    services: &'a Services,
    clients: &'a Clients,
    url: &'a str,
    route: &'a str,
    name: &'a str,
}

impl Shown<'_> {
    async fn circuit(&self) -> anyhow::Result<()> {
        self.says("all is well", 200, "closed").await?;
        self.services.ill.store(true, SeqCst);
        for n in 1..=5 {
            self.says("the service fails", 502, if n < 5 { "closed" } else { "open" }).await?;
        }
        let reached = self.services.calls.load(SeqCst);
        for _ in 0..3 {
            self.says("nobody is asked", 503, "open").await?;
        }
        let took = self.refusal().await?;
        ensure!(took < Duration::from_millis(1), "a refusal takes {took:?}");
        ensure!(self.services.calls.load(SeqCst) == reached, "a refused call has reached the service");
        say(&format!("         a refusal takes {took:.0?} in the app"));

        sleep(OPEN_FOR).await;
        self.is("half_open").await?;
        self.says("one call may try, and fails", 502, "open").await?;
        ensure!(self.services.calls.load(SeqCst) == reached + 1, "more than one call has tried");
        self.services.ill.store(false, SeqCst);
        self.says("it is well, but nobody asks", 503, "open").await?;
        sleep(OPEN_FOR).await;
        self.is("half_open").await?;
        self.says("one call may try, and succeeds", 200, "closed").await?;
        self.says("all is well", 200, "closed").await?;
        say("");
        Ok(())
    }

    /// Calls the app as its users do.
    async fn says(&self, what: &str, wanted: u16, state: &str) -> anyhow::Result<()> {
        let answer = reqwest::get(format!("{}{}", self.url, self.route)).await?;
        let (status, after) = (answer.status().as_u16(), answer.headers().get("retry-after").cloned());
        let after = after.map_or_else(String::new, |after| format!(", Retry-After: {}", after.to_str().unwrap_or("?")));
        say(&format!("{:8} {:31} {:30} {}", self.route, what, format!("{status}{after}"), self.state()?));
        ensure!(status == wanted, "{} answers {status} instead of {wanted}", self.route);
        ensure!((status == 503) != after.is_empty(), "Retry-After belongs to 503, and to nothing else");
        self.is(state).await
    }

    async fn is(&self, wanted: &str) -> anyhow::Result<()> {
        let state = self.state()?;
        ensure!(state == wanted, "the circuit is {state} instead of {wanted}");
        Ok(())
    }

    fn state(&self) -> anyhow::Result<&'static str> {
        let circuit = self.clients.circuits.iter().find(|circuit| circuit.gate().name() == self.name);
        Ok(circuit.context("no such circuit")?.gate().state_at(Instant::now()).as_str())
    }

    /// How long a refusal takes; the shortest of some, as others may use the machine too.
    async fn refusal(&self) -> anyhow::Result<Duration> {
        let mut shortest = Duration::MAX;
        for _ in 0..20 {
            let begun = Instant::now();
            let refused = match self.name {
                "quotes" => {
                    let request = axum::http::Request::get(&self.services.quotes).body("")?;
                    matches!(self.clients.quotes.call(request).await, Err(ServiceError::Refused(_)))
                }
                _ => self.clients.health.clone().check(tonic_health::pb::HealthCheckRequest::default()).await.is_err(),
            };
            shortest = shortest.min(begun.elapsed());
            ensure!(refused, "an open circuit lets a call through");
        }
        Ok(shortest)
    }
}

fn say(line: &str) {
    // A closed standard output is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{line}");
}
