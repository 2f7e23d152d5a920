//! One backend: addsvc over HTTP and gRPC on one port, as a program of its own.

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use addsvc::{Add, AddError, Adder, ConcatReply, ConcatRequest, SumReply, SumRequest, grpc_server, http_service};
use kit_base::Context;
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
}

/// Serves addsvc until SIGINT or SIGTERM, then answers what it has begun and returns.
///
/// # Errors
/// The port cannot be had.
pub async fn serve(flags: BackendFlags) -> Result<(), Box<dyn Error>> {
    let server = Server::bind(&flags.addr).await?;
    let signal = kit_serve::signal()?;
    let service = Slow { latency: flags.latency };
    let both = grpc_server(service, ()).fallback_service(http_service(service, ())?).build()?;
    // A closed standard output is no reason not to serve.
    let _ = writeln!(std::io::stdout(), "serving on {}", server.local_addr());
    server.serve(both, signal).await;
    Ok(())
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
