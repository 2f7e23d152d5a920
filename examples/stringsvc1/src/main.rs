//! The stringsvc1 server: `cargo run -p stringsvc1`. With `--consul-addr 127.0.0.1:8500` it registers at Consul as `stringsvc`;
//! how it leaves is told in `announce`.

use std::io::Write as _;

use announce::Announce;
use clap::Parser;
use kit_base::Readiness;
use kit_serve::Server;
use stringsvc1::{Strings, http_service};

/// Capitals and lengths of strings, over HTTP.
#[derive(Debug, Parser)]
struct Flags {
    /// Where to serve HTTP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8090")]
    http_addr: String,
    /// Reads and answers as the Go original does: any verb, the first JSON value counts, what is malformed is 500.
    #[arg(long)]
    go_compat: bool,
    #[command(flatten)]
    announce: Announce,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let server = Server::bind(&flags.http_addr).await?;
    let addr = server.local_addr();
    // From here on a signal is a clean end: nobody can have read the address before.
    let signal = kit_serve::signal()?;
    let readiness = Readiness::new();
    readiness.set(true);
    // Serves on until nobody comes any more.
    let stop = flags.announce.until("stringsvc", addr, readiness, signal)?;
    // A closed standard output is no reason not to serve.
    let _ = writeln!(
        std::io::stdout(),
        r#"stringsvc1: http on {addr}; try
  curl -H 'content-type: application/json' -d '{{"s":"hello, world"}}' http://{addr}/uppercase
  curl -H 'content-type: application/json' -d '{{"s":"hello, world"}}' http://{addr}/count"#
    );
    server.serve(http_service(Strings, flags.go_compat)?, stop).await;
    Ok(())
}
