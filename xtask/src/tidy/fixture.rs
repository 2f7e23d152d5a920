//! A small workspace in a temporary folder, which keeps every rule until a test breaks one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Finding;
use crate::run::Program;
use crate::workspace::Workspace;

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Fixture {
    root: PathBuf,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("xtask-fixture-{}-{number}", std::process::id()));
        let fixture = Self { root };
        fixture.file("README.md", "# kit\n");
        fixture.file(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = []\n\n\
             [workspace.package]\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n\
             repository = \"https://example.com\"\n\n[workspace.lints.rust]\nunsafe_code = \"forbid\"\n\n[workspace.dependencies]\n",
        );
        fixture
    }

    /// A published crate that keeps the rules; `rest` is the tail of its manifest.
    pub(crate) fn crate_with(&self, name: &str, rest: &str) {
        let dir = format!("crates/{name}");
        let member = format!("\"{dir}\", ");
        let root = std::fs::read_to_string(self.root.join("Cargo.toml")).unwrap();
        if !root.lines().any(|line| line.starts_with("members") && line.contains(&member)) {
            self.replace("Cargo.toml", "members = [", &format!("members = [{member}"));
        }
        self.file(
            &format!("{dir}/Cargo.toml"),
            &format!(
                "[package]\nname = \"{name}\"\ndescription = \"A fixture.\"\nreadme = \"README.md\"\n\
                 keywords = [\"service\"]\ncategories = [\"asynchronous\"]\nversion.workspace = true\n\
                 edition.workspace = true\nlicense.workspace = true\nrepository.workspace = true\n\n\
                 [lints]\nworkspace = true\n{}{rest}",
                if rest.is_empty() { "" } else { "\n" }
            ),
        );
        self.file(
            &format!("{dir}/src/lib.rs"),
            "//! A fixture.\n//!\n//! ```\n//! assert_eq!(1, 1);\n//! ```\n\n\
             #[cfg(doctest)]\n#[doc = include_str!(\"../README.md\")]\nstruct Readme;\n",
        );
        self.file(
            &format!("{dir}/README.md"),
            &format!(
                "# {name}\n\nA fixture.\n\n```rust\nassert_eq!(1, 1);\n```\n\n\
                 ## Which crate do I want?\n\nThis one.\n\n## Coming from Go kit\n\nNothing.\n"
            ),
        );
        self.file(&format!("{dir}/CHANGELOG.md"), "# Changelog\n\n## 0.1.0 (unreleased)\n\nAdded: all.\n");
    }

    /// Writes, or overwrites, one file.
    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Replaces a part of a file that is there.
    pub(crate) fn replace(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.root.join(path)).unwrap();
        assert!(text.contains(from), "{path} has no `{from}`");
        self.file(path, &text.replacen(from, to, 1));
    }

    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.root.join(path)).unwrap();
    }

    /// Lines for the root's `[workspace.dependencies]`: each crate by its path.
    pub(crate) fn share(&self, crates: &[(&str, &str)]) {
        let line = |(name, dir): &(&str, &str)| {
            format!("{name} = {{ path = \"{dir}/{name}\", version = \"0.1.0\", default-features = false }}\n")
        };
        let lines: String = crates.iter().map(line).collect();
        self.replace("Cargo.toml", "[workspace.dependencies]\n", &format!("[workspace.dependencies]\n{lines}"));
    }

    pub(crate) fn lock(&self) {
        Program::cargo(&self.root).args(["generate-lockfile", "--offline"]).capture().unwrap();
    }

    pub(crate) fn load(&self) -> Workspace {
        Workspace::load(&self.root).unwrap()
    }

    /// What `check` finds, as the user sees it.
    pub(crate) fn findings(&self, check: fn(&Workspace) -> Vec<Finding>) -> String {
        let lines: Vec<String> = check(&self.load()).iter().map(Finding::to_string).collect();
        lines.join("\n")
    }

    #[track_caller]
    pub(crate) fn finds(&self, check: fn(&Workspace) -> Vec<Finding>, expected: &str) {
        let found = self.findings(check);
        assert!(found.contains(expected), "`{expected}` is not in:\n{found}");
    }

    #[track_caller]
    pub(crate) fn finds_nothing(&self, check: fn(&Workspace) -> Vec<Finding>) {
        let found = self.findings(check);
        assert!(found.is_empty(), "found:\n{found}");
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // A folder that cannot be removed is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.root);
    }
}
