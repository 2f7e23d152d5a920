//! Child processes that are owned: their lines are read, and they never outlive the test.

mod error;
mod output;
mod signal;
mod watchdog;

use std::borrow::BorrowMut;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use self::output::{Output, Seen, Stream};
use self::watchdog::Watchdog;

pub use self::error::{SpawnError, WaitError};
pub use self::signal::Signal;

/// How long [`Child::stop`] waits between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// How long a killed process may take to vanish, and its output to end.
const AFTERMATH: Duration = Duration::from_secs(10);

/// A running program that belongs to the test.
///
/// ```
/// use std::process::Command;
/// use std::time::Duration;
///
/// use kit_testing::process::Child;
///
/// let script = "trap 'echo bye; exit 0' TERM; echo listening on 127.0.0.1:8081; while :; do sleep 0.05; done";
/// let mut server = Child::spawn(Command::new("sh").args(["-c", script]))?;
/// let addr = server.wait_for(Duration::from_secs(5), "the address", |line| {
///     line.strip_prefix("listening on ").map(str::to_owned)
/// })?;
/// assert_eq!(addr, "127.0.0.1:8081");
///
/// assert!(server.stop()?.success());
/// assert!(server.stdout().ends_with("bye\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is guaranteed
///
/// The program leads a process group of its own, so whatever it starts belongs to it, unless that leaves the group
/// (`setsid`, daemons).
///
/// - On drop, by return or by panic, the whole group gets SIGKILL, and the program is reaped. A drop in a panic also
///   writes the program's last lines to stderr.
/// - When the test process itself is killed (even by SIGKILL) or exits without dropping, a watchdog kills the group:
///   a `/bin/sh` that waits at a pipe which the kernel closes with the test process. A few microseconds are open,
///   between the start of the program and the moment at which the watchdog knows of it.
/// - Signals go to the program alone, by its pid; what is left of its group when it has ended is killed.
///
/// Standard input is `/dev/null`. The methods block: in an async test that serves something by itself, call them
/// through `tokio::task::spawn_blocking`. The last 100,000 lines of output are kept; lines over 64 KiB are cut in two.
pub struct Child {
    program: String,
    process: std::process::Child,
    pid: Pid,
    output: Arc<Output>,
    watchdog: Watchdog,
    status: Option<ExitStatus>,
}

impl Child {
    /// Starts a program. Takes a [`Command`], or a reference to one as its own methods return it.
    ///
    /// # Errors
    ///
    /// When the program cannot be started: it does not exist, for one.
    pub fn spawn(mut command: impl BorrowMut<Command>) -> Result<Self, SpawnError> {
        let command = command.borrow_mut();
        let program = command.get_program().to_string_lossy().into_owned();
        Self::start(command, &program).map_err(|source| SpawnError { program, source })
    }

    fn start(command: &mut Command, program: &str) -> io::Result<Self> {
        let watchdog = Watchdog::start()?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut process = command.spawn()?;
        let pid = Pid::from_child(&process);
        // From here on `child` owns the process, so that an error below kills it.
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let output = Arc::new(Output::default());
        let mut child =
            Self { program: program.to_owned(), process, pid, output: output.clone(), watchdog, status: None };
        child.watchdog.guard(pid)?;
        if let Some(stdout) = stdout {
            output.clone().read(Stream::Out, stdout)?;
        }
        if let Some(stderr) = stderr {
            output.clone().read(Stream::Err, stderr)?;
        }
        thread::Builder::new().name(format!("wait for {program}")).spawn(move || {
            // WNOWAIT leaves a zombie behind, so that pid and group stay ours until the owner reaps it.
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while waitid(WaitId::Pid(pid), ended).is_err_and(|error| error == Errno::INTR) {}
            output.exited();
        })?;
        Ok(child)
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the program has printed a line that contains `pattern`, to stdout or stderr, now or earlier, and
    /// returns the first such line.
    ///
    /// # Errors
    ///
    /// When the time passes, or the program ends without it. The error shows all output so far.
    pub fn wait_for_line(&self, pattern: &str, timeout: Duration) -> Result<String, WaitError> {
        self.wait_for(timeout, &format!("a line with {pattern:?}"), |line| {
            line.contains(pattern).then(|| line.to_owned())
        })
    }

    /// Waits until `find` finds something in a line of stdout or stderr, and returns it. It is asked once for each
    /// line, from the first on; `what` names the thing in the error.
    ///
    /// # Errors
    ///
    /// When the time passes, or the program ends without it. The error shows all output so far.
    pub fn wait_for<T>(
        &self,
        timeout: Duration,
        what: &str,
        find: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, WaitError> {
        self.output.find(timeout, find).map_err(|seen| self.error(what, timeout, seen == Seen::End))
    }

    /// Waits until the program ends by itself. Then all of its output is there.
    ///
    /// # Errors
    ///
    /// When it still runs after `timeout`. It is left alone.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus, WaitError> {
        if !self.output.wait_exit(timeout) {
            return Err(self.error("the end", timeout, false));
        }
        self.reap().map_err(|_| self.error("the exit status", timeout, true))
    }

    /// Asks the program to stop (SIGTERM), waits up to 10 s for its end, then kills it. Returns how it ended: a clean
    /// stop is a [`success`](ExitStatus::success), a killed one has the signal 9. Does nothing more once it has ended.
    ///
    /// # Errors
    ///
    /// When the system refuses the signal, or the program survives SIGKILL for 10 s.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        self.stop_within(GRACE)
    }

    /// As [`stop`](Self::stop), with another time between SIGTERM and SIGKILL.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop).
    pub fn stop_within(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        self.signal(Signal::Terminate)?;
        if !self.output.wait_exit(grace) {
            self.kill_group();
            if !self.output.wait_exit(AFTERMATH) {
                let message = format!("`{}` (pid {}) survives SIGKILL", self.program, self.pid());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
        }
        self.reap()
    }

    /// Sends a signal to the program, and not to what it has started. Nothing happens once it has ended.
    ///
    /// # Errors
    ///
    /// When the system refuses it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // Until it is reaped, the pid cannot belong to anybody else.
        if self.status.is_none() {
            kill_process(self.pid, signal.into())?;
        }
        Ok(())
    }

    /// What it has written to stdout so far, each line ended by `\n`.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.output.text(Stream::Out)
    }

    /// What it has written to stderr so far, each line ended by `\n`.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.output.text(Stream::Err)
    }

    fn error(&self, what: &str, timeout: Duration, ended: bool) -> WaitError {
        WaitError {
            program: self.program.clone(),
            what: what.to_owned(),
            timeout: (!ended).then_some(timeout),
            output: self.output.dump(usize::MAX),
        }
    }

    /// Ends what is left: only called once the program has ended.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        // What it has left behind holds the pipes open, and would outlive the test.
        self.kill_group();
        let status = self.process.wait()?;
        self.status = Some(status);
        self.watchdog.dismiss();
        self.output.wait_end(AFTERMATH);
        Ok(status)
    }

    fn kill_group(&self) {
        // An error means that nobody is left in the group.
        let _ = kill_process_group(self.pid, rustix::process::Signal::KILL);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if thread::panicking() {
            self.output.show(&self.program);
        }
        if self.status.is_none() {
            self.kill_group();
            // The leader may have left its group; its pid is still ours.
            let _ = self.process.kill();
            let _ = self.process.wait();
            self.watchdog.dismiss();
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("program", &self.program)
            .field("pid", &self.pid())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
