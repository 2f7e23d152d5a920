//! How addsvc and stringsvc1 register at Consul, and leave it before they stop.
//!
//! With `--consul-addr` a service registers while it serves. At a stop it
//!
//! 1. is no longer ready, which its health pages tell, and Consul within 0.2 s;
//! 2. deregisters, and goes on serving until watchers can have seen that: about 1.5 s, and 5 s at most;
//! 3. stops serving: no new connections, and the requests under way are answered.
//!
//! So whoever finds it by Consul no longer calls it when it stops, and a rolling restart loses no request.
//!
//! The check is a heartbeat, of 10 s. It needs no way from the agent to the service (NAT, containers, another host), is the same
//! for services without a health page, tells of [`Readiness`] at once and not at the agent's next look, and stops where the
//! process hangs. A process that dies is out of the set after those 10 s, and forgotten after 10 minutes; until then a balancer
//! passes over whoever it cannot reach. Where an agent has to see that a port answers, `Check::http` or `Check::grpc` does.
//!
//! An agent that cannot be reached is told on stderr and tried again; the service serves all the same.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Chain, bail};
use kit_base::{Error, Instance, Kind, Readiness, Registrar as _};
use kit_sd_consul::{Check, Consul, ConsulRegistrar, ConsulRegistration};
use reqwest::redirect::Policy;

const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long a service that is to stop waits for Consul.
const LEAVE: Duration = Duration::from_secs(5);

/// The flags.
#[derive(Debug, clap::Args)]
pub struct Announce {
    /// Registers at the Consul agent there; CONSUL_HTTP_TOKEN and its like are read. Does not unless given.
    #[arg(long, value_name = "HOST:PORT")]
    consul_addr: Option<String>,
    /// The address that Consul tells others; where the service listens, unless given.
    #[arg(long, value_name = "HOST:PORT", requires = "consul_addr")]
    advertise_addr: Option<String>,
}

impl Announce {
    /// Ends when the service that listens at this address may stop: after the signal, when watchers can know that it leaves.
    /// Registered from the first poll on. At the signal the service is no longer ready; without `--consul-addr` that is all.
    ///
    /// # Errors
    /// The address of the agent is none, or nobody could reach the one that is to be registered.
    pub fn until(
        self,
        service: &'static str,
        listening: SocketAddr,
        readiness: Readiness,
        signal: impl Future<Output = ()>,
    ) -> anyhow::Result<impl Future<Output = ()>> {
        if self.consul_addr.is_some() && self.advertise_addr.is_none() && listening.ip().is_unspecified() {
            bail!("nobody can be told to call {listening}: give the address that others see by --advertise-addr");
        }
        let address = self.advertise_addr.unwrap_or_else(|| listening.to_string());
        // Unique on the agent, over all services.
        let id = match address.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => format!("{service}-{host}-{port}"),
            _ => bail!("{address:?} is no address: want host:port"),
        };
        let instance = Instance::new(id, address);
        let registrar = match self.consul_addr {
            Some(agent) => {
                let client = reqwest::Client::builder().redirect(Policy::none()).build()?;
                let registrar = Consul::from_env_at(client, &agent)?.registrar(service);
                Some(registrar.check(Check::ttl(HEARTBEAT)).readiness(readiness.clone()))
            }
            None => None,
        };
        Ok(async move {
            let mut registration = None;
            let serving = async {
                if let Some(registrar) = registrar {
                    registration = register(service, registrar, instance).await;
                }
                if let Some(registration) = &mut registration {
                    tell(service, registration).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = serving => {}
                () = signal => {}
            }
            readiness.set(false);
            let Some(registration) = registration else { return };
            say(service, "leaves consul, and serves on until others can know");
            if let Err(error) = registration.deregister_and_wait(LEAVE).await {
                complain(service, "leaves without Consul's knowing", &error);
            }
        })
    }
}

/// Registers as soon as there is an agent. Nothing where the agent does not want it.
async fn register(service: &str, registrar: ConsulRegistrar, instance: Instance) -> Option<ConsulRegistration> {
    let outcome = match registrar.clone().wait_for_agent(Duration::ZERO).register(instance.clone()).await {
        // What is wrong with the flags or the token stays wrong.
        Err(error) if !matches!(error.kind(), Kind::InvalidArgument | Kind::PermissionDenied | Kind::Internal) => {
            complain(service, "is not registered yet", &error);
            let registered = registrar.wait_for_agent(Duration::MAX).register(instance).await;
            registered.inspect(|_| say(service, "is registered"))
        }
        outcome => outcome,
    };
    outcome.inspect_err(|error| complain(service, "serves without being registered", error)).ok()
}

/// Tells on stderr when Consul is lost, and when it is back.
async fn tell(service: &str, registration: &mut ConsulRegistration) {
    let mut lost = false;
    while let Some(state) = registration.changed().await {
        match (state.error, lost) {
            (Some(error), false) => complain(service, "has lost Consul, and tries on", &error),
            (None, true) => say(service, "is registered again"),
            _ => continue,
        }
        lost = !lost;
    }
}

fn complain(service: &str, what: &str, error: &Error) {
    let causes: Vec<_> = Chain::new(error).map(ToString::to_string).collect();
    say(service, &format!("{what}: {}", causes.join(": ")));
}

#[expect(clippy::print_stderr, reason = "it is for whoever runs the program")]
fn say(service: &str, text: &str) {
    eprintln!("{service}: {text}");
}
