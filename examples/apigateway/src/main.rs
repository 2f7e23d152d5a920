//! The gateway: `cargo run -p apigateway`. It needs a Consul agent, and services that register there: the library's page has the
//! commands.

use std::io::Write as _;

use addsvc::AddEndpoints;
use anyhow::Chain;
use clap::Parser;
use kit_base::{Instancer as _, Subscription};
use kit_sd_consul::Consul;
use kit_serve::Server;
use reqwest::redirect::Policy;
use stringsvc1::StringServiceEndpoints;
use tokio::task::JoinSet;

/// addsvc and stringsvc behind one HTTP port; their instances are those that Consul says pass their checks.
#[derive(Debug, Parser)]
struct Flags {
    /// Where to serve HTTP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    http_addr: String,
    /// The Consul agent; CONSUL_HTTP_ADDR or 127.0.0.1:8500 unless given. CONSUL_HTTP_TOKEN and its like are read.
    #[arg(long, value_name = "HOST:PORT")]
    consul_addr: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let client = reqwest::Client::builder().redirect(Policy::none()).build()?;
    let consul = match &flags.consul_addr {
        Some(addr) => Consul::from_env_at(client, addr)?,
        None => Consul::from_env(client)?,
    };
    let server = Server::bind(&flags.http_addr).await?;
    let addr = server.local_addr();
    let signal = kit_serve::signal()?;

    let (add, strings) = (consul.service("addsvc").watch()?, consul.service("stringsvc").watch()?);
    let telling = [tell("addsvc", add.subscribe()), tell("stringsvc", strings.subscribe())];
    let (add, strings) = (apigateway::addsvc(add).balancer(), apigateway::stringsvc(strings).balancer());
    let service = apigateway::gateway(AddEndpoints::connect(&add), StringServiceEndpoints::connect(&strings))?;
    // A closed standard output is no reason not to serve.
    let _ = writeln!(
        std::io::stdout(),
        r#"apigateway: http on {addr}; try
  curl -H 'content-type: application/json' -d '{{"a":1,"b":2}}' http://{addr}/addsvc/sum
  curl -H 'content-type: application/json' -d '{{"a":"1","b":"2"}}' http://{addr}/addsvc/concat
  curl -H 'content-type: application/json' -d '{{"s":"hello, world"}}' http://{addr}/stringsvc/uppercase
  curl -H 'content-type: application/json' -d '{{"s":"hello, world"}}' http://{addr}/stringsvc/count
  curl http://{addr}/openapi.json"#
    );
    // They end here, before the watches that they tell of.
    let _telling: JoinSet<()> = telling.into_iter().collect();
    server.serve(service, signal).await;
    Ok(())
}

/// Tells on stderr when nothing new can be learnt of a service, and when it can again. Ends with the watch.
#[expect(clippy::print_stderr, reason = "it is for whoever runs the program")]
async fn tell(service: &'static str, mut changes: Subscription) {
    let mut lost = false;
    while let Some(now) = changes.changed().await {
        match (&now.error, lost) {
            (Some(error), false) => {
                let causes: Vec<_> = Chain::new(error).map(ToString::to_string).collect();
                eprintln!("apigateway: no news of {service}, so what is known stays: {}", causes.join(": "));
            }
            (None, true) => eprintln!("apigateway: news of {service} again"),
            _ => continue,
        }
        lost = !lost;
    }
}
