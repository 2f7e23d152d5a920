//! The shell that kills a process group when the test process vanishes.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;

/// The first line names the group, the second dismisses. Whoever holds the other end of the pipe and dies, closes it
/// without the second line.
const SCRIPT: &str = r#"read -r group || exit 0; read -r end || kill -KILL "-$group""#;

/// A `/bin/sh` at the end of a pipe.
///
/// The kernel's parent-death signal would do it without a process, but it cannot be set without `unsafe` or a tool
/// that only Linux has, it reaches the program alone and not its children, and it fires when the *thread* ends that
/// started the program, as each test's thread does.
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    pub(super) fn start() -> io::Result<Self> {
        // A group of its own, so that Ctrl-C at the terminal does not end it before it has done its work.
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { shell })
    }

    pub(super) fn guard(&mut self, group: Pid) -> io::Result<()> {
        let stdin = self.shell.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        stdin.write_all(format!("{}\n", group.as_raw_nonzero()).as_bytes())
    }

    pub(super) fn dismiss(&mut self) {
        if let Some(mut stdin) = self.shell.stdin.take() {
            // An error means that the shell is gone, and that is what is wanted.
            let _ = stdin.write_all(b"\n");
            drop(stdin);
            let _ = self.shell.wait();
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Not dismissed means that the start failed half-way. A shell that knows no group takes this for a group
        // without a number, and kills nobody: there is nobody, or `Child` has killed it.
        self.dismiss();
    }
}
