//! A Consul agent of the fleet's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::bail;
use kit_testing::ports::{FreePort, free_port};
use kit_testing::process::Child;
use kit_testing::temp::{TempDir, temp_dir};
use kit_testing::tools;

/// Where `cargo xtask servers consul` puts it.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/debian/consul/usr/bin/consul");

/// How long it may take until it has a leader; a tenth of a second as a rule.
const START: Duration = Duration::from_secs(30);

/// A Consul agent on free ports, in a temporary folder. Dropped, it is killed, and its folder vanishes.
#[derive(Debug)]
pub struct Agent {
    http: FreePort,
    _child: Child,
    _ports: [FreePort; 2],
    _folder: TempDir,
}

impl Agent {
    /// The Consul of this machine, if it has one.
    pub fn program() -> Option<PathBuf> {
        tools::find("consul").or_else(|| tools::find(INSTALLED))
    }

    /// Starts an agent and waits until it leads.
    ///
    /// # Errors
    /// It does not start, ends, or has no leader for too long; its output is shown.
    pub async fn start(program: &Path) -> anyhow::Result<Self> {
        let [http, serf, server] = [free_port()?, free_port()?, free_port()?];
        let folder = temp_dir()?;
        let mut command = Command::new(program);
        command.args(["agent", "-dev", "-node", "fleet", "-bind", "127.0.0.1", "-client", "127.0.0.1"]);
        command.args(["-dns-port", "-1", "-grpc-port", "-1", "-serf-wan-port", "-1", "-log-level", "warn"]);
        command.args(["-hcl", "disable_update_check = true"]);
        for (flag, port) in [("-http-port", &http), ("-serf-lan-port", &serf), ("-server-port", &server)] {
            command.arg(flag).arg(port.number().to_string());
        }
        command.arg("-data-dir").arg(folder.path());
        let mut child = Child::spawn(command)?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        let (begun, url) = (Instant::now(), format!("http://{}/v1/status/leader", http.addr()));
        while !leads(&client, &url).await {
            let ended = child.wait(Duration::ZERO).is_ok();
            if ended || begun.elapsed() > START {
                let what = if ended { "it has ended" } else { "it has no leader" };
                bail!("{what}: {}{}", child.stdout(), child.stderr());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { http, _child: child, _ports: [serf, server], _folder: folder })
    }

    /// Where its HTTP API is: `127.0.0.1:PORT`.
    pub fn addr(&self) -> String {
        self.http.addr().to_string()
    }
}

async fn leads(client: &reqwest::Client, url: &str) -> bool {
    match client.get(url).send().await {
        Ok(answer) => answer.text().await.is_ok_and(|leader| leader.contains(':')),
        Err(_) => false,
    }
}
