//! `cargo xtask tidy`: the workspace's own rules, one file a group of rules.

mod docs;
mod files;
#[cfg(test)]
pub(crate) mod fixture;
mod graph;
mod layout;
mod librs;
mod links;
mod manifest;
mod star;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::run::{Failure, Result};
use crate::workspace::Workspace;

/// Something that breaks a rule, where, and how to mend it.
#[derive(Debug)]
pub(crate) struct Finding {
    path: PathBuf,
    /// From 1; 1 as well where the file as a whole is meant.
    line: usize,
    message: String,
    fix: String,
}

impl Finding {
    fn new(path: impl Into<PathBuf>, line: usize, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { path: path.into(), line, message: message.into(), fix: fix.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    fix: {}", self.path.display(), self.line, self.message, self.fix)
    }
}

type Check = fn(&Workspace) -> Vec<Finding>;

const CHECKS: &[(&str, Check)] = &[
    ("star", star::check),
    ("graph", graph::check),
    ("layout", layout::check),
    ("files", files::check),
    ("manifest", manifest::check),
    ("docs", docs::check),
    ("lib.rs", librs::check),
    ("links", links::check),
];

/// Runs every check, prints every finding, and fails if there is one.
pub(crate) fn run(root: &Path) -> Result {
    let workspace = Workspace::load(root)?;
    let mut findings = 0;
    for (name, check) in CHECKS {
        let found = check(&workspace);
        println!("{name}: {}", if found.is_empty() { "ok".to_owned() } else { found.len().to_string() });
        for finding in &found {
            println!("{finding}");
        }
        findings += found.len();
    }
    println!("{}", files::report(&workspace));
    if findings == 0 { Ok(()) } else { Err(Failure(format!("tidy found {findings} to mend"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compiler_message() {
        let finding = Finding::new("crates/kit-base/src/a.rs", 7, "trailing whitespace", "cargo fmt");
        assert_eq!(finding.to_string(), "crates/kit-base/src/a.rs:7: trailing whitespace\n    fix: cargo fmt");
    }

    #[test]
    fn a_workspace_that_keeps_the_rules_has_no_finding() {
        let fixture = fixture::Fixture::new();
        fixture.crate_with("kit-base", "");
        fixture.lock();
        let workspace = fixture.load();
        for (name, check) in CHECKS {
            let found = check(&workspace);
            assert!(found.is_empty(), "{name}: {found:#?}");
        }
    }

    #[test]
    fn no_check_panics_on_an_empty_or_half_written_workspace() {
        let fixture = fixture::Fixture::new();
        for (_, check) in CHECKS {
            check(&fixture.load());
        }
        fixture.crate_with("kit-base", "");
        fixture.file("crates/kit-base/Cargo.toml", "[package]\nname = \"kit-base\"\n");
        fixture.file("crates/kit-base/src/lib.rs", "");
        fixture.remove("crates/kit-base/README.md");
        fixture.file("crates/kit-new/src/lib.rs", "no manifest yet");
        for (_, check) in CHECKS {
            check(&fixture.load());
        }
    }
}
