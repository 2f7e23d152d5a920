//! A real Consul agent on free ports in a temporary folder, which tests kill, restart and freeze.

use std::process::Command;
use std::time::Duration;

use kit_sd_consul::{Consul, Token};
use kit_testing::ports::{self, FreePort};
use kit_testing::process::{Child, Signal};
use kit_testing::temp::{TempDir, temp_dir};
use kit_testing::tools::skip_unless_or;
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::time::{Instant, sleep};

const CONSUL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/debian/consul/usr/bin/consul");

/// The token that may do everything, where the agent asks for one.
pub(crate) const MASTER: &str = "00000000-0000-4000-8000-00000000000a";

/// How long an agent may take until it has a leader: 0.1 s as a rule, 2 s with a log on disk.
const START: Duration = Duration::from_secs(30);

/// Whether the real Consul is here; says why not.
pub(crate) fn here() -> bool {
    skip_unless_or(CONSUL, "run `cargo xtask servers consul`")
}

/// How an agent is to be started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    acl: bool,
    durable: bool,
}

impl Setup {
    /// With ACLs that deny: [`MASTER`] may do everything, no token may do nothing.
    pub(crate) fn acl(mut self) -> Self {
        self.acl = true;
        self
    }

    /// With the catalog on disk, so that indexes and key-values outlive a restart; it takes 2 s to start.
    pub(crate) fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Starts it, or skips the test with one line.
    pub(crate) async fn start(self) -> Option<Agent> {
        if !here() {
            return None;
        }
        let port = || ports::free_port().expect("a free port");
        let (http, serf, server) = (port(), port(), port());
        let data = folder();
        let child = self.spawn(&http, &serf, &server, &data);
        let mut agent = Agent { setup: self, child, http, serf, server, data, client: client() };
        agent.wait_until_it_leads().await;
        Some(agent)
    }

    fn spawn(self, http: &FreePort, serf: &FreePort, server: &FreePort, data: &TempDir) -> Child {
        let mut hcl = "disable_update_check = true".to_owned();
        if self.acl {
            hcl.push_str(&format!(
                "\nacl {{ enabled = true default_policy = \"deny\" down_policy = \"extend-cache\" \
                 tokens {{ master = \"{MASTER}\" agent = \"{MASTER}\" }} }}"
            ));
        }
        let mut command = Command::new(CONSUL);
        command.args(["agent", "-node", "t1", "-bind", "127.0.0.1", "-client", "127.0.0.1"]);
        command.args(["-dns-port", "-1", "-grpc-port", "-1", "-serf-wan-port", "-1", "-log-level", "warn"]);
        command.arg("-http-port").arg(http.number().to_string());
        command.arg("-serf-lan-port").arg(serf.number().to_string());
        command.arg("-server-port").arg(server.number().to_string());
        command.arg("-data-dir").arg(data.path());
        if self.durable {
            hcl.push_str("\nperformance { raft_multiplier = 1 }");
            command.args(["-server", "-bootstrap-expect", "1"]);
        } else {
            // The services and checks of the agent are on disk, the catalog is in memory.
            command.arg("-dev");
        }
        command.args(["-hcl", &hcl]);
        Child::spawn(command).expect("consul starts")
    }
}

/// A running agent with a catalog of its own. Dropped, it is killed by its pid, and its folder vanishes. Only as many
/// run at once as tests do, one a core: no other limit is needed.
#[derive(Debug)]
pub(crate) struct Agent {
    setup: Setup,
    child: Child,
    http: FreePort,
    serf: FreePort,
    server: FreePort,
    data: TempDir,
    client: Client,
}

impl Agent {
    /// Starts one that asks for no token, or skips the test with one line. What is registered is on its disk; the
    /// catalog is not, so its indexes begin anew when it is restarted.
    pub(crate) async fn start() -> Option<Self> {
        Setup::default().start().await
    }

    /// `127.0.0.1:PORT`, the same after a restart.
    pub(crate) fn addr(&self) -> String {
        self.http.addr().to_string()
    }

    /// A handle with a client of its own, and with [`MASTER`] where the agent asks for a token.
    pub(crate) fn consul(&self) -> Consul {
        let consul = Consul::new(client(), &self.addr()).unwrap();
        if self.setup.acl { consul.with_token(Token::new(MASTER).unwrap()) } else { consul }
    }

    /// Asks its API behind the back of the handle, with [`MASTER`]. The answer is JSON, or text, or nothing.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.try_ask(method, path, body).await.expect("an answer")
    }

    /// As [`ask`](Self::ask), where it may be away.
    pub(crate) async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<(u16, Value)> {
        let url = format!("http://{}{path}", self.addr());
        let mut request = self.client.request(method, url).timeout(Duration::from_secs(10));
        if self.setup.acl {
            request = request.header("x-consul-token", MASTER);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = String::from_utf8_lossy(&response.bytes().await?).into_owned();
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// GET, which must succeed.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, 200, "GET {path}: {answer}");
        answer
    }

    /// PUT, which must succeed.
    pub(crate) async fn put(&self, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.ask(Method::PUT, path, body).await;
        assert_eq!(status, 200, "PUT {path}: {answer}");
        answer
    }

    /// Registers a service behind everybody's back, in the words of `/v1/agent/service/register`.
    pub(crate) async fn register(&self, service: Value) {
        self.put("/v1/agent/service/register", Some(service)).await;
    }

    pub(crate) async fn deregister(&self, id: &str) {
        self.put(&format!("/v1/agent/service/deregister/{id}"), None).await;
    }

    /// SIGKILL. The ports stay ours: connections are refused.
    pub(crate) fn kill(&mut self) {
        self.child.signal(Signal::Kill).unwrap();
        self.child.wait(Duration::from_secs(10)).unwrap();
    }

    /// Loses all that the agent knew, as on a new machine. It must be dead.
    pub(crate) fn forget(&mut self) {
        self.data = folder();
    }

    /// Starts the dead agent again, on its ports and with its data, and waits until it leads.
    pub(crate) async fn restart(&mut self) {
        self.child = self.setup.spawn(&self.http, &self.serf, &self.server, &self.data);
        self.wait_until_it_leads().await;
    }

    /// SIGSTOP: it hangs, and its sockets stay open. Returns when each of its threads has stopped.
    pub(crate) fn freeze(&self) {
        self.child.signal(Signal::Stop).unwrap();
        let begun = Instant::now();
        while !self.is_frozen() {
            assert!(begun.elapsed() < Duration::from_secs(10), "consul does not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn is_frozen(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.pid())).unwrap();
        let stopped = |stat: String| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"));
        threads.flatten().all(|thread| std::fs::read_to_string(thread.path().join("stat")).is_ok_and(stopped))
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.child.signal(Signal::Continue).unwrap();
    }

    async fn wait_until_it_leads(&mut self) {
        let begun = Instant::now();
        while !self.leads().await {
            let ended = self.child.wait(Duration::ZERO).is_ok();
            let said = || format!("{}{}", self.child.stdout(), self.child.stderr());
            assert!(!ended, "consul ended at its start: {}", said());
            assert!(begun.elapsed() < START, "consul has no leader after {START:?}: {}", said());
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn leads(&self) -> bool {
        let leader = self.try_ask(Method::GET, "/v1/status/leader", None).await;
        if !leader.is_ok_and(|(status, leader)| status == 200 && leader.as_str().is_some_and(|addr| addr.contains(':')))
        {
            return false;
        }
        // A while passes until the leader knows its tokens.
        let known = self.try_ask(Method::GET, "/v1/acl/token/self", None);
        !self.setup.acl || known.await.is_ok_and(|(status, _)| status == 200)
    }
}

/// In memory where the machine has such a place: the agent waits for the disk at each heartbeat and registration, and on a
/// busy machine that can be seconds.
fn folder() -> TempDir {
    let in_memory = TempDir::with_prefix_in("kit-test-", "/dev/shm");
    in_memory.or_else(|_| temp_dir()).expect("a temporary folder")
}

/// A client that is told nothing by the environment.
pub(crate) fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}
