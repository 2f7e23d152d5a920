//! Go kit's third example, stringsvc3: `cargo run -p stringsvc3`. With `--proxy` it leaves uppercase to other instances of the
//! service, one after the other; count stays here.
//!
//! As in Go kit's, each instance has a circuit breaker of its own: after six failures in a row nobody asks it any more, and its
//! calls go to the others; later one call tries whether it is well again. stderr tells of it. And each has a limit of its own, of
//! 100 calls a second: what is beyond goes to the others too. Where all refuse, the answer is 503 or 429, with `Retry-After`. To
//! see it, in a terminal each:
//!
//! ```text
//! cargo run -p stringsvc3 -- --http-addr 127.0.0.1:8091
//! cargo run -p stringsvc3 -- --http-addr 127.0.0.1:8092
//! cargo run -p stringsvc3 -- --proxy 127.0.0.1:8091,127.0.0.1:8092 --open-for 10s
//! ```
//!
//! Call it as it says, stop one of the two with Ctrl-Z (it hangs then) and call on; `fg` lets it go on.
//!
//! Go kit means its limit to be 100 a second too; by a slip it is 100 at once, and then one a second. It has a retry around all
//! instances as well. That joins when kit has it; until then a call that fails is told as it is, and only one that surely has not
//! begun is taken to another instance.

mod proxy;

use std::io::Write as _;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Parser;
use kit_ratelimit::Quota;
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
    /// How long an instance may take to answer.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    proxy_timeout: Duration,
    /// How long an instance is left alone that has failed six times in a row.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    open_for: Duration,
    /// How many calls a second an instance gets at most, and as many at once.
    #[arg(long, value_name = "N", default_value = "100")]
    proxy_qps: NonZeroU32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Flags { http_addr, proxy, proxy_timeout, open_for, proxy_qps } = Flags::parse();
    let server = Server::bind(&http_addr).await?;
    let addr = server.local_addr();
    let signal = kit_serve::signal()?;
    let proxy_to = proxy.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let service = match proxy {
        Some(instances) => {
            let quota = Quota::per_second(proxy_qps);
            http_service(Proxied::to(instances, proxy_timeout, open_for, quota)?, false)?
        }
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
