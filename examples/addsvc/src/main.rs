//! The addsvc server: `cargo run -p addsvc`. With `--consul-addr 127.0.0.1:8500` it registers its gRPC address at Consul as
//! `addsvc`; how it leaves is told in `announce`. With `--rate 5` it answers 5 calls a second, and tells the others when to come back.

use std::io::Write as _;
use std::iter::once;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use addsvc::{AddEndpoints, Adder, grpc_server, http_server};
use announce::Announce;
use axum::Router;
use axum::routing::get;
use clap::Parser;
use http::StatusCode;
use kit_base::{Event, Readiness};
use kit_ratelimit::{Guard, Quota, RateLimit};
use kit_serve::{Server, Stats};
use tokio::sync::watch;

/// Adds numbers and joins texts, over HTTP and gRPC.
#[derive(Debug, Parser)]
struct Flags {
    /// Where to serve HTTP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    http_addr: String,
    /// Where to serve gRPC; the same as --http-addr serves both on one port.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8082")]
    grpc_addr: String,
    /// Where to serve /healthz, /readyz and /stats.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    debug_addr: String,
    /// At most so many calls a second, by all callers together and over all transports; as many at once. Without it there is
    /// no limit.
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    #[command(flatten)]
    announce: Announce,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let http = Server::bind(&flags.http_addr).await?;
    let grpc = match flags.grpc_addr == flags.http_addr {
        true => None,
        false => Some(Server::bind(&flags.grpc_addr).await?),
    };
    let debug = Server::bind(&flags.debug_addr).await?;
    let signal = kit_serve::signal()?;
    let (http_addr, debug_addr) = (http.local_addr(), debug.local_addr());
    let grpc_addr = grpc.as_ref().map_or(http_addr, Server::local_addr);
    let (readiness, panics) = (Readiness::new(), Arc::new(AtomicU64::new(0)));
    // Whoever finds it by discovery calls gRPC.
    let leave = flags.announce.until("addsvc", grpc_addr, readiness.clone(), signal)?;
    let pages = debug_pages(readiness.clone(), once(&http).chain(&grpc).map(Server::stats).collect(), panics.clone());
    let observer = Arc::new(move |event: &Event<'_>| {
        if event.what == "panicked" {
            panics.fetch_add(1, Relaxed);
        }
    });
    let (add, over_http, over_grpc) = (AddEndpoints::new(Adder), http_server(observer.clone()), grpc_server(observer));
    let (over_http, over_grpc) = match flags.rate {
        // One bucket for both, since they share the layer. What cannot be decoded, and pages and services beside, cost nothing.
        Some(rate) => {
            let add = add.layer(Guard::new(RateLimit::new(Quota::per_second(rate)).with_headers()));
            (add.clone().bind(over_http), add.bind(over_grpc))
        }
        None => (add.clone().bind(over_http), add.bind(over_grpc)),
    };
    let (over_http, over_grpc) = (over_http.build()?, over_grpc.health(readiness.clone()));

    // One signal stops all of it.
    let (stop, stopping) = watch::channel(());
    let serving: Pin<Box<dyn Future<Output = ()>>> = match grpc {
        Some(grpc) => {
            let grpc = grpc.serve(over_grpc.build()?, closed(stopping.clone()));
            Box::pin(async {
                tokio::join!(http.serve(over_http, closed(stopping)), grpc);
            })
        }
        None => {
            let over_both = over_grpc.fallback_service(over_http).build()?;
            Box::pin(async {
                http.serve(over_both, closed(stopping)).await;
            })
        }
    };

    say(&format!(
        r#"addsvc: http on {http_addr}, grpc on {grpc_addr}, debug on {debug_addr}; try
  curl -H 'content-type: application/json' -d '{{"a":1,"b":2}}' http://{http_addr}/sum
  cargo run -p addcli -- --http-addr {http_addr} --method concat 1 2
  cargo run -p addcli -- --grpc-addr {grpc_addr} 1 2
  buf curl --http2-prior-knowledge --protocol grpc -d '{{"a":1,"b":2}}' http://{grpc_addr}/pb.Add/Sum
  curl http://{debug_addr}/readyz"#
    ));
    readiness.set(true);

    let stop = async move {
        leave.await;
        say("addsvc: stopping");
        drop(stop);
    };
    // The debug pages tell that the service is not ready until it has answered its last request.
    let (drained, all_drained) = watch::channel(());
    let serving = async {
        serving.await;
        drop(drained);
    };
    tokio::join!(stop, serving, debug.serve(pages, closed(all_drained)));
    Ok(())
}

/// Until the sender is dropped.
async fn closed(mut receiver: watch::Receiver<()>) {
    while receiver.changed().await.is_ok() {}
}

/// Says something to whoever listens. A closed standard output is no reason not to serve, or not to stop cleanly.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn debug_pages(readiness: Readiness, stats: Vec<Stats>, panics: Arc<AtomicU64>) -> Router {
    let ready = move || async move {
        match readiness.is_ready() {
            true => (StatusCode::OK, "ready\n"),
            false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        }
    };
    let stats = move || async move {
        let requests: u64 = stats.iter().map(Stats::requests_total).sum();
        format!("requests {requests}\npanics {}\n", panics.load(Relaxed))
    };
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).route("/stats", get(stats))
}
