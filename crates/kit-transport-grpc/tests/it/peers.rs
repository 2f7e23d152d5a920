//! Peers that no one here wrote, as programs: gRPC's C++ core from Python, buf (Go), h2load.

mod agree;
mod certificates;

use std::ffi::OsStr;
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kit_testing::process::{Child, Signal};
use kit_testing::temp::temp_dir;
use kit_testing::tools::skip_unless_or;
use serde_json::Value;

pub(crate) use self::certificates::Certificates;

/// No step of a peer takes longer, unless something hangs.
const HANGS: Duration = Duration::from_secs(30);

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/python");
const BUF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/npm/buf/bin/buf");
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/peers");

/// The service that the peers speak, for `buf --schema`.
pub(crate) const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/peers/probe.proto");

/// Whether a test with [`Peer`], [`Client`] or [`client`] may go on.
#[must_use = "a test whose program is missing must return"]
pub(crate) fn python_is_here() -> bool {
    let rows = "grpcio grpcio-health-checking grpcio-reflection grpcio-status";
    skip_unless_or(PYTHON, &format!("run `cargo xtask servers {rows}`"))
}

/// Whether a test with [`buf`] may go on.
#[must_use = "a test whose program is missing must return"]
pub(crate) fn buf_is_here() -> bool {
    skip_unless_or(BUF, "run `cargo xtask servers buf`")
}

/// Whether a test with [`h2load`] may go on.
#[must_use = "a test whose program is missing must return"]
pub(crate) fn h2load_is_here() -> bool {
    skip_unless_or("h2load", "run `cargo xtask servers h2load`")
}

/// A server of Probe, health and reflection on gRPC's C++ core: `server.py`. Killed on drop.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Arc<Child>,
    addr: SocketAddr,
    marks: AtomicUsize,
}

impl Peer {
    /// Starts it on a free port with these options (`server.py --help`), and waits until it listens.
    pub(crate) async fn serve<S: AsRef<OsStr>>(options: &[S]) -> Self {
        let child = script("server.py", options);
        let port = wait_for(&child, "its port", |line| line.parse::<u16>().ok()).await;
        Self { child, addr: (Ipv4Addr::LOCALHOST, port).into(), marks: AtomicUsize::new(0) }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits for the first line with this in it: of `call PATH PEER`, `cancelled PATH`, `stopped`.
    pub(crate) async fn saw(&self, pattern: &str) -> String {
        saw(&self.child, pattern).await
    }

    /// How many calls of this method of Probe have arrived so far.
    pub(crate) async fn calls(&self, method: &str) -> usize {
        // What it has said before the mark is here when the mark is.
        let mark = self.marks.fetch_add(1, Ordering::Relaxed) + 1;
        self.signal(Signal::Hangup);
        wait_for(&self.child, "its mark", move |line| (line == format!("mark {mark}")).then_some(())).await;
        let call = format!("call /kit.probe.v1.Probe/{method} ");
        self.child.stdout().lines().filter(|line| line.starts_with(&call)).count()
    }

    /// Freezes it, lets it go on, or lets it begin to stop ([`Signal::Terminate`]: GOAWAY, and no new connections).
    pub(crate) fn signal(&self, signal: Signal) {
        self.child.signal(signal).unwrap();
    }

    /// Stops it cleanly, and waits for the end.
    pub(crate) async fn stop(self) -> ExitStatus {
        let mut child = Arc::into_inner(self.child).expect("something still waits for a line");
        blocking(move || child.stop()).await.unwrap()
    }
}

/// A client on gRPC's C++ core that runs beside the test: `client.py`. Killed on drop.
#[derive(Debug)]
pub(crate) struct Client(Arc<Child>);

impl Client {
    /// Starts it with these options and command (`client.py --help`).
    pub(crate) fn start<S: AsRef<OsStr>>(address: impl Display, args: &[S]) -> Self {
        let address = address.to_string();
        let args: Vec<_> = [address.as_ref()].into_iter().chain(args.iter().map(AsRef::as_ref)).collect();
        Self(script("client.py", &args))
    }

    /// Waits for the first line with this in it.
    pub(crate) async fn saw(&self, pattern: &str) -> String {
        saw(&self.0, pattern).await
    }

    /// Waits for its end. One object for each call that it made.
    pub(crate) async fn finish(self) -> Vec<Value> {
        let Ran { success, stdout, stderr } = ran(self.0).await;
        assert!(success, "{stdout}{stderr}");
        stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

/// Runs the client. One object for each call that it made; a call that fails is an object too.
pub(crate) async fn client<S: AsRef<OsStr>>(address: impl Display, args: &[S]) -> Vec<Value> {
    Client::start(address, args).finish().await
}

/// As [`client`], for a command that makes one call.
pub(crate) async fn call<S: AsRef<OsStr>>(address: impl Display, args: &[S]) -> Value {
    let mut values = client(address, args).await;
    assert_eq!(values.len(), 1, "{values:?}");
    values.remove(0)
}

/// As [`call`], for several of them by one client, one after the other: most of the time of a short call is Python's start.
pub(crate) async fn calls<S: AsRef<OsStr>>(address: impl Display, runs: &[Vec<S>]) -> Vec<Value> {
    let address = address.to_string();
    let mut args: Vec<&OsStr> = Vec::new();
    for run in runs {
        if !args.is_empty() {
            args.extend([OsStr::new("--then"), address.as_ref()]);
        }
        args.extend(run.iter().map(AsRef::as_ref));
    }
    let values = client(&address, &args).await;
    assert_eq!(values.len(), runs.len(), "{values:?}");
    values
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs buf, `buf curl` above all. Without `--schema` that asks the server's reflection.
pub(crate) async fn buf<S: AsRef<OsStr>>(args: &[S]) -> Ran {
    ran(Arc::new(Child::spawn(Command::new(BUF).args(args)).unwrap())).await
}

/// Runs `buf curl` over gRPC without TLS: a call of a method of Probe with this request, as protobuf's JSON.
pub(crate) async fn buf_curl(addr: SocketAddr, options: &[&str], method: &str, request: &str) -> Ran {
    let url = format!("http://{addr}/kit.probe.v1.Probe/{method}");
    let fixed = ["curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", request];
    buf(&[&fixed, options, &[&url]].concat()).await
}

/// Runs h2load: calls of one unary method with this message, `args` say how many. It knows of HTTP statuses only.
pub(crate) async fn h2load(addr: SocketAddr, path: &str, message: &[u8], args: &[&str]) -> Ran {
    let folder = temp_dir().unwrap();
    let body = folder.path().join("body");
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    std::fs::write(&body, [&[0], &length[..], message].concat()).unwrap();
    let mut command = Command::new("h2load");
    command.args(["-H", "content-type: application/grpc", "-H", "te: trailers", "-d"]).arg(body);
    command.args(args).arg(format!("http://{addr}{path}"));
    ran(Arc::new(Child::spawn(command).unwrap())).await
}

fn script<S: AsRef<OsStr>>(name: &str, args: &[S]) -> Arc<Child> {
    let mut command = Command::new(PYTHON);
    // `-B`: nothing is written beside the scripts.
    command.arg("-B").arg(format!("{SCRIPTS}/{name}")).args(args);
    Arc::new(Child::spawn(command).unwrap())
}

async fn saw(child: &Arc<Child>, pattern: &str) -> String {
    let (what, pattern) = (format!("a line with {pattern:?}"), pattern.to_owned());
    wait_for(child, &what, move |line| line.contains(&pattern).then(|| line.to_owned())).await
}

async fn wait_for<T: Send + 'static>(
    child: &Arc<Child>,
    what: &str,
    find: impl FnMut(&str) -> Option<T> + Send + 'static,
) -> T {
    let (child, what) = (Arc::clone(child), what.to_owned());
    blocking(move || child.wait_for(HANGS, &what, find)).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn ran(child: Arc<Child>) -> Ran {
    let mut child = Arc::into_inner(child).expect("something still waits for a line");
    blocking(move || {
        let status = child.wait(HANGS).unwrap_or_else(|error| panic!("{error}"));
        Ran { success: status.success(), stdout: child.stdout(), stderr: child.stderr() }
    })
    .await
}

/// On a thread: the server under test may live on this one.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
