//! A subject in a process of its own: this program again, as a server or as a client, perhaps under valgrind.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kit_testing::process::Child;

pub(crate) const SERVE: &str = "--serve";
pub(crate) const CALL: &str = "--call";
#[allow(dead_code, reason = "not every benchmark has clients under load")]
pub(crate) const SATURATE: &str = "--saturate";

const SLOW: Duration = Duration::from_secs(60);

/// A server that runs until this is dropped or stopped.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Serving {
    /// Starts the server of this name; its instructions are counted into the file, if one is given.
    pub(crate) fn start(name: &str, counted: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let child = Child::spawn(command(counted)?.args([SERVE, name]))?;
        let addr = child.wait_for(SLOW, "the address", |line| line.parse().ok())?;
        Ok(Self { child, addr })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Ends it well, so that what was counted is written.
    pub(crate) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        let status = self.child.stop()?;
        if status.success() { Ok(()) } else { Err(format!("a server ended with {status}").into()) }
    }
}

/// Makes calls by the client of this name.
pub(crate) fn call(name: &str, server: SocketAddr, calls: usize, counted: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let status = command(counted)?
        .args([CALL, name, &format!("http://{server}"), &calls.to_string()])
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("the client {name} ended with {status}").into()) }
}

/// Has the client of this name make calls for so long, so many at once; what it says of them.
#[allow(dead_code, reason = "not every benchmark has clients under load")]
pub(crate) fn saturate(
    name: &str,
    server: SocketAddr,
    at_once: usize,
    time: Duration,
) -> Result<String, Box<dyn Error>> {
    let (url, at_once, millis) = (format!("http://{server}"), at_once.to_string(), time.as_millis().to_string());
    let output = command(None)?.args([SATURATE, name, &url, &at_once, &millis]).stderr(Stdio::inherit()).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("the client {name} ended with {}", output.status).into()),
    }
}

fn command(counted: Option<&Path>) -> Result<Command, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let Some(file) = counted else { return Ok(Command::new(program)) };
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]);
    command.arg(format!("--callgrind-out-file={}", file.display())).arg(program);
    Ok(command)
}
