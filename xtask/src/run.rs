//! Running other programs: one way to start, show, capture and stream them.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Why a command of xtask ended: one text for the user.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// A program with its arguments, shown before it runs.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    shown: String,
}

impl Program {
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref();
        Self { command: Command::new(name), shown: name.to_string_lossy().into_owned() }
    }

    /// Cargo, in `root`, without the variables that `cargo run` set for xtask itself: some build scripts watch
    /// them, and would build again what is built already.
    pub(crate) fn cargo(root: &Path) -> Self {
        let mut program = Self::new("cargo");
        if let Some(cargo) = std::env::var_os("CARGO") {
            program.command = Command::new(cargo);
        }
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let set_by_run = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
            if set_by_run.iter().any(|prefix| name.starts_with(prefix)) {
                program.command.env_remove(&*name);
            }
        }
        program.command.current_dir(root);
        program
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let arg = arg.as_ref();
        self.shown.push(' ');
        self.shown.push_str(&quoted(&arg.to_string_lossy()));
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(self, args: impl IntoIterator<Item = S>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.shown = format!("{name}={} {}", quoted(value), self.shown);
        self.command.env(name, value);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Says the command line, runs it on this terminal.
    pub(crate) fn run(mut self) -> Result {
        println!("$ {}", self.shown);
        let status = self.command.status().map_err(|error| not_started(&self.shown, &error))?;
        if status.success() { Ok(()) } else { Err(Failure(format!("`{}` failed: {status}", self.shown))) }
    }

    /// Runs it silently and returns what it wrote to stdout; the failure shows what it wrote to stderr.
    pub(crate) fn capture(mut self) -> Result<String> {
        let output = self.command.stdin(Stdio::null()).output().map_err(|error| not_started(&self.shown, &error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(Failure(format!("`{}` failed: {}\n{}", self.shown, output.status, stderr.trim_end())))
    }

    /// Whether it starts and leaves with 0; silent.
    pub(crate) fn succeeds(mut self) -> bool {
        let quiet = self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    /// As [`run`](Self::run), and each line of stdout goes to `line` too.
    pub(crate) fn stream(mut self, mut line: impl FnMut(&str)) -> Result {
        println!("$ {}", self.shown);
        let mut child =
            self.command.stdout(Stdio::piped()).spawn().map_err(|error| not_started(&self.shown, &error))?;
        let read = child.stdout.take().map_or(Ok(()), |stdout| each_line(BufReader::new(stdout), &mut line));
        let status = child.wait().map_err(|error| not_started(&self.shown, &error))?;
        read.map_err(|error| Failure(format!("cannot read the output of `{}`: {error}", self.shown)))?;
        if status.success() { Ok(()) } else { Err(Failure(format!("`{}` failed: {status}", self.shown))) }
    }
}

/// Tests may print any bytes, so lines are made of bytes and shown lossily.
fn each_line(mut reader: impl BufRead, line: &mut impl FnMut(&str)) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches(['\n', '\r']);
        println!("{text}");
        line(text);
        bytes.clear();
    }
    Ok(())
}

fn not_started(shown: &str, error: &std::io::Error) -> Failure {
    Failure(format!("cannot start `{shown}`: {error}"))
}

fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) { arg.to_owned() } else { format!("'{arg}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_shown_with_its_arguments_status_and_stderr() {
        let failure = Program::new("sh").args(["-c", "echo why >&2; exit 3"]).capture().unwrap_err();
        let text = failure.to_string();
        assert!(text.contains("`sh -c 'echo why >&2; exit 3'` failed: exit status: 3\nwhy"), "{text}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let failure = Program::new("no-such-program").run().unwrap_err();
        assert!(failure.to_string().contains("cannot start `no-such-program`"), "{failure}");
    }

    #[test]
    fn streaming_hands_on_each_line_even_if_it_is_no_text() {
        let mut lines = Vec::new();
        Program::new("printf").arg("one\\n\\377two\\nthree").stream(|line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["one", "\u{fffd}two", "three"]);
    }
}
