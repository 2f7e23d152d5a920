//! One backend: addsvc over HTTP and gRPC on one port, as a program of its own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use addsvc::{
    Add, AddEndpoints, AddError, Adder, ConcatReply, ConcatRequest, SumReply, SumRequest, grpc_server, http_server,
};
use kit_base::{Context, Instance, Registrar as _};
use kit_sd_consul::{Check, Consul};
use kit_serve::Server;

/// The flags of a backend.
#[derive(Clone, Debug, clap::Args)]
pub struct BackendFlags {
    /// Where to serve HTTP and gRPC.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub addr: String,
    /// How long each call takes.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    pub latency: Duration,
    /// The Consul agent to register at.
    #[arg(long, value_name = "HOST:PORT", requires = "id")]
    pub consul_addr: Option<String>,
    /// Who it is at Consul.
    #[arg(long)]
    pub id: Option<String>,
}

/// Short enough that a kill is noticed within the demonstration.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long it takes at most to leave Consul before it stops.
const LEAVE: Duration = Duration::from_secs(10);

/// Serves addsvc until SIGINT or SIGTERM, then leaves Consul, answers what it has begun, and returns.
///
/// # Errors
/// The port cannot be had, or Consul does not take the registration.
pub async fn serve(flags: BackendFlags) -> anyhow::Result<()> {
    let server = Server::bind(&flags.addr).await?;
    let signal = kit_serve::signal()?;
    let add = AddEndpoints::new(Slow { latency: flags.latency });
    let over_http = add.clone().bind(http_server(())).build()?;
    let both = add.bind(grpc_server(())).fallback_service(over_http).build()?;
    let addr = server.local_addr();
    let mut outcome = Ok(());
    let stop = async { outcome = stay(&flags, addr, signal).await };
    server.serve(both, stop).await;
    outcome
}

/// Until it is to stop, and nobody who asks Consul calls it any more.
async fn stay(flags: &BackendFlags, addr: SocketAddr, signal: impl Future<Output = ()>) -> anyhow::Result<()> {
    let registration = match flags.consul_addr.as_deref().zip(flags.id.as_deref()) {
        Some((consul, id)) => {
            let registrar = consul_at(consul)?.registrar("addsvc").check(Check::ttl(HEARTBEAT));
            Some(registrar.register(Instance::new(id, addr.to_string())).await?)
        }
        None => None,
    };
    // A closed standard output is no reason not to serve.
    let _ = writeln!(std::io::stdout(), "serving on {addr}");
    signal.await;
    match registration {
        Some(registration) => Ok(registration.deregister_and_wait(LEAVE).await?),
        None => Ok(()),
    }
}

/// The Consul agent at this address.
///
/// # Errors
/// It is no address.
pub fn consul_at(addr: &str) -> anyhow::Result<Consul> {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    Ok(Consul::new(client, addr)?)
}

/// addsvc, as slow as it is told to be, so that calls are in flight.
#[derive(Clone, Copy, Debug)]
struct Slow {
    latency: Duration,
}

impl Slow {
    async fn wait(self) {
        // Even an empty sleep costs a millisecond.
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
    }
}

impl Add for Slow {
    async fn sum(&self, cx: &Context, req: SumRequest) -> Result<SumReply, AddError> {
        self.wait().await;
        Adder.sum(cx, req).await
    }

    async fn concat(&self, cx: &Context, req: ConcatRequest) -> Result<ConcatReply, AddError> {
        self.wait().await;
        Adder.concat(cx, req).await
    }
}
