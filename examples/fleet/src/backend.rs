//! A backend as whoever runs the fleet sees it: a program that belongs to it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Context as _;
use kit_testing::ports::{FreePort, free_port};
use kit_testing::process::{Child, Signal};

/// How long a backend may take to start, to stop and to die; milliseconds as a rule.
const PATIENCE: Duration = Duration::from_secs(20);

/// One backend of the fleet, which keeps its address over its restarts. Dropped, it is killed; it dies too when this program
/// does, however that ends.
#[derive(Debug)]
pub struct Backend {
    name: String,
    command: Command,
    child: Child,
    port: FreePort,
}

impl Backend {
    /// Starts a backend on a free port of 127.0.0.1 and waits until it serves. The program is one that knows the command
    /// `backend`, as this package's own does; `args` are more of its flags.
    ///
    /// As all that waits for a process here, it needs a runtime of several threads, the others of which go on.
    ///
    /// # Errors
    /// There is no port, or the program does not start; its output is shown.
    pub fn start(program: &Path, name: &str, args: &[&str]) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(program);
        command.args(["backend", "--addr", &port.addr().to_string()]).args(args);
        let child = spawn(&mut command, name)?;
        Ok(Self { name: name.to_owned(), command, child, port })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it serves.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Asks it to stop (SIGTERM), and waits until it has answered what it has begun. A clean stop has the exit code 0.
    ///
    /// # Errors
    /// It cannot be asked, or survives.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        tokio::task::block_in_place(|| self.child.stop_within(PATIENCE))
    }

    /// Kills it, as a crash or a lost machine would (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        tokio::task::block_in_place(|| {
            self.child.signal(Signal::Kill)?;
            self.child.wait(PATIENCE).map(drop).map_err(io::Error::other)
        })
    }

    /// Starts it anew at its address, once it was stopped or killed, and waits until it serves.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.child = spawn(&mut self.command, &self.name)?;
        Ok(())
    }
}

fn spawn(command: &mut Command, name: &str) -> anyhow::Result<Child> {
    tokio::task::block_in_place(|| {
        let child = Child::spawn(command)?;
        child.wait_for_line("serving on", PATIENCE)?;
        anyhow::Ok(child)
    })
    .with_context(|| format!("{name} cannot be started"))
}
