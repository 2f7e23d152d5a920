//! Go kit's third example, stringsvc3: `cargo run -p stringsvc3`. With `--proxy` it leaves uppercase to other instances of the
//! service, one after the other; count stays here.
//!
//! Go kit's has a breaker and a limiter around each instance, and a retry around them all. They join when kit has them; until then
//! a call that fails is told as it is, and only one that surely has not begun is taken to another instance.

mod proxy;

use std::io::Write as _;

use clap::Parser;
use kit_serve::Server;
use stringsvc1::{Strings, http_service};

use crate::proxy::{Instances, Proxied};

/// Capitals and lengths of strings, over HTTP, the capitals by others if wanted.
#[derive(Debug, Parser)]
struct Flags {
    /// Where to serve HTTP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8090")]
    http_addr: String,
    /// The instances that uppercase goes to, separated by commas; a URL with a path is called there, else at /uppercase.
    #[arg(long, value_name = "HOST:PORT,...")]
    proxy: Option<Instances>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Flags { http_addr, proxy } = Flags::parse();
    let server = Server::bind(&http_addr).await?;
    let addr = server.local_addr();
    let signal = kit_serve::signal()?;
    let proxy_to = proxy.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let service = match proxy {
        Some(instances) => http_service(Proxied::to(instances), false)?,
        None => http_service(Strings, false)?,
    };
    // A closed standard output is no reason not to serve.
    let _ = writeln!(
        std::io::stdout(),
        r#"stringsvc3: http on {addr}, proxy_to={proxy_to}; try
  curl -H 'content-type: application/json' -d '{{"s":"hello, world"}}' http://{addr}/uppercase
  curl -H 'content-type: application/json' -d '{{"s":"hello, world"}}' http://{addr}/count"#
    );
    server.serve(service, signal).await;
    Ok(())
}
