//! Tests that last long and only wait: they run beside the deep steps, which they cost nothing.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::Run;
use crate::run::{Failure, Program, Result};
use crate::totals::Totals;

/// The package whose `it` has the test, and its name.
const SOAKS: &[(&str, &str)] = &[(
    "kit-transport-grpc",
    "connections::quiet::twenty_quiet_minutes_cost_no_connection_to_a_server_that_forbids_pings",
)];

/// Their names, which the step of the other ignored tests leaves out.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SOAKS.iter().map(|(_, name)| *name)
}

/// A test that runs. Dropped, it is stopped.
#[derive(Debug)]
pub(super) struct Soak {
    name: &'static str,
    child: Child,
    output: std::path::PathBuf,
}

impl Drop for Soak {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts them.
pub(super) fn begin(run: &mut Run) -> Result {
    for (package, name) in SOAKS {
        let program = program(&run.root, package)?;
        let output = run.root.join(format!("target/soak-{package}.log"));
        let failed = |what: &str, error: &std::io::Error| Failure(format!("cannot {what} of {name}: {error}"));
        let log = File::create(&output).map_err(|error| failed("write the output", &error))?;
        let errors = log.try_clone().map_err(|error| failed("write the output", &error))?;
        let child = Command::new(&program)
            .args(["--ignored", "--exact", name])
            .current_dir(run.root.join("crates").join(package))
            .env("CI", "true")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| failed("start the program", &error))?;
        println!("{package} {name}: runs beside the other steps");
        run.soaks.push(Soak { name, child, output });
    }
    Ok(())
}

/// Waits for them, and shows what they have said.
pub(super) fn end(run: &mut Run) -> Result {
    let mut result = Ok(());
    for mut soak in std::mem::take(&mut run.soaks) {
        let ended = soak.child.wait();
        let text = std::fs::read(&soak.output).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        println!("{}", text.trim());
        let mut own = Totals::default();
        text.lines().for_each(|line| own.read(line));
        let passed = ended.is_ok_and(|status| status.success()) && own.passed == 1;
        if !passed {
            own.note_crash();
            result = Err(Failure(format!("{} did not pass", soak.name)));
        }
        // The tests beside it were counted where they ran.
        own.ignored = 0;
        run.totals.add(own);
    }
    result
}

/// The test program `it` of a package, built as the test step has built it.
fn program(root: &Path, package: &str) -> Result<String> {
    let messages = Program::cargo(root)
        .args(["test", "--workspace", "--all-features", "--locked", "--test", "it", "--no-run"])
        .args(["--message-format", "json"])
        .capture()?;
    let found = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let ours = message["target"]["name"] == "it"
            && message["manifest_path"].as_str()?.ends_with(&format!("crates/{package}/Cargo.toml"));
        if ours { message["executable"].as_str().map(str::to_owned) } else { None }
    });
    found.ok_or_else(|| Failure(format!("cargo names no test program `it` of {package}")))
}
