//! The gateway: `cargo run -p apigateway`.
//!
//! With a Consul agent at 127.0.0.1:8500 (`consul agent -dev`), and services that register there, each in a terminal:
//!
//! ```text
//! cargo run -p addsvc -- --consul-addr 127.0.0.1:8500
//! cargo run -p stringsvc1 -- --consul-addr 127.0.0.1:8500
//! ```

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use addsvc::AddEndpoints;
use clap::Parser;
use kit_base::{Instancer as _, Subscription};
use kit_sd_consul::{Consul, ConsulInstancer};
use kit_serve::Server;
use reqwest::redirect::Policy;
use stringsvc1::StringServiceEndpoints;

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
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<(), Box<dyn Error>> {
    let client = reqwest::Client::builder().redirect(Policy::none()).build()?;
    let consul = match &flags.consul_addr {
        Some(addr) => Consul::from_env_at(client, addr)?,
        None => Consul::from_env(client)?,
    };
    let server = Server::bind(&flags.http_addr).await?;
    let addr = server.local_addr();
    let signal = kit_serve::signal()?;
    let add = apigateway::addsvc(watch(&consul, "addsvc")?).balancer();
    let strings = apigateway::stringsvc(watch(&consul, "stringsvc")?).balancer();
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
    server.serve(service, signal).await;
    Ok(())
}

/// The instances of a service that pass their checks. What goes wrong with Consul is told on stderr.
fn watch(consul: &Consul, service: &'static str) -> Result<ConsulInstancer, Box<dyn Error>> {
    let watch = consul.service(service).watch()?;
    tokio::spawn(tell(service, watch.subscribe()));
    Ok(watch)
}

/// Tells on stderr when Consul cannot be asked, and when it can again. Ends with the watch.
#[expect(clippy::print_stderr, reason = "it is for whoever runs the program")]
async fn tell(service: &'static str, mut changes: Subscription) {
    let mut told = None;
    while let Some(now) = changes.changed().await {
        let error = now.error.as_ref().map(ToString::to_string);
        match &error {
            Some(error) if told.is_none() => eprintln!("apigateway: what is known of {service} stays: {error}"),
            None if told.is_some() => eprintln!("apigateway: {service} is known again"),
            _ => {}
        }
        told = error;
    }
}

#[expect(clippy::print_stderr, reason = "the last words of the program")]
fn report(error: &dyn Error) {
    eprint!("apigateway: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        eprint!(": {inner}");
        cause = inner.source();
    }
    eprintln!();
}
