//! Each crate's README, CHANGELOG and first example.

use std::path::{Path, PathBuf};

use super::Finding;
use crate::workspace::{Package, Workspace};

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in workspace.packages.iter().filter(|package| package.in_crates()) {
        readme(workspace, package, &mut findings);
        changelog(workspace, package, &mut findings);
        if !package.proc_macro {
            example(workspace, package, &mut findings);
        }
    }
    let in_crates = |path: &&PathBuf| path.starts_with("crates");
    for path in workspace.files.iter().filter(in_crates) {
        if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            ignored_examples(path, &workspace.read(path), &mut findings);
        }
    }
    findings
}

/// A macro crate's README only sends the reader to the crate that re-exports it.
fn readme(workspace: &Workspace, package: &Package, findings: &mut Vec<Finding>) {
    let path = package.dir.join("README.md");
    if !workspace.files.contains(&path) {
        let fix = "write one: a sentence, what it is for, the example of lib.rs";
        findings.push(Finding::new(path, 1, format!("`{}` has no README.md", package.name), fix));
        return;
    }
    let text = workspace.read(&path);
    let mut sections = vec!["Which crate do I want?"];
    if !package.proc_macro {
        sections.push("Coming from Go kit");
        if !blocks(text.lines()).any(|block| block.tag.split(',').next() == Some("rust")) {
            let fix = "show the example of lib.rs in a block marked `rust`";
            findings.push(Finding::new(&path, 1, "the README has no Rust example", fix));
        }
        let lib = workspace.read(&package.dir.join("src/lib.rs"));
        if !lib.contains("include_str!(\"../README.md\")") {
            findings.push(Finding::new(
                package.dir.join("src/lib.rs"),
                1,
                "the README's example is not compiled",
                "add `#[cfg(doctest)] #[doc = include_str!(\"../README.md\")] struct Readme;`",
            ));
        }
    }
    for section in sections {
        let is_heading = |line: &str| line.starts_with('#') && line.trim_start_matches('#').trim() == section;
        if !text.lines().any(is_heading) {
            let fix = format!("add the heading `## {section}`");
            findings.push(Finding::new(&path, 1, format!("the README has no section `{section}`"), fix));
        }
    }
}

fn changelog(workspace: &Workspace, package: &Package, findings: &mut Vec<Finding>) {
    let path = package.dir.join("CHANGELOG.md");
    let heading = format!("## {}", package.version);
    let is_heading =
        |line: &str| line.strip_prefix(&heading).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    let message = if !workspace.files.contains(&path) {
        format!("`{}` has no CHANGELOG.md", package.name)
    } else if !workspace.read(&path).lines().any(is_heading) {
        format!("the changelog says nothing of version {}", package.version)
    } else {
        return;
    };
    findings.push(Finding::new(path, 1, message, format!("add the heading `{heading} (unreleased)` and what changed")));
}

/// The crate's documentation shows it at work, and the example is a test.
fn example(workspace: &Workspace, package: &Package, findings: &mut Vec<Finding>) {
    let path = package.dir.join("src/lib.rs");
    let text = workspace.read(&path);
    let docs: Vec<&str> = text.lines().filter_map(|line| line.trim_start().strip_prefix("//!")).collect();
    let is_test =
        |block: &Block| block.tag.split(',').all(|tag| matches!(tag, "" | "rust") || tag.starts_with("edition"));
    if !blocks(docs.into_iter()).any(|block| is_test(&block) && block.text.contains("assert")) {
        let fix = "show the crate at work in a `//!` code block that runs and asserts what comes out";
        findings.push(Finding::new(path, 1, "the crate's documentation has no example with an assertion", fix));
    }
}

/// An example that is not compiled is wrong sooner or later.
fn ignored_examples(path: &Path, text: &str, findings: &mut Vec<Finding>) {
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start().trim_start_matches(['/', '!']).trim_start();
        let Some(tags) = line.strip_prefix("```") else { continue };
        if tags.split(',').any(|tag| tag.trim() == "ignore") {
            let fix = "let it compile (`no_run` if it cannot run), or mark it `text`";
            findings.push(Finding::new(path, index + 1, "an example marked `ignore`", fix));
        }
    }
}

/// A fenced code block.
struct Block {
    /// What stands behind the opening fence.
    tag: String,
    text: String,
}

fn blocks<'a>(mut lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = Block> {
    std::iter::from_fn(move || {
        let tag = lines.find_map(|line| line.trim().strip_prefix("```"))?.trim().to_owned();
        let body = lines.by_ref().take_while(|line| !line.trim().starts_with("```"));
        Some(Block { tag, text: body.collect::<Vec<_>>().join("\n") })
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::fixture::Fixture;

    fn fixture() -> Fixture {
        let fixture = Fixture::new();
        fixture.crate_with("kit-x", "");
        fixture
    }

    #[test]
    fn a_crate_without_a_readme_or_changelog_is_found() {
        let fixture = fixture();
        fixture.remove("crates/kit-x/README.md");
        fixture.remove("crates/kit-x/CHANGELOG.md");
        fixture.finds(check, "crates/kit-x/README.md:1: `kit-x` has no README.md");
        fixture.finds(check, "crates/kit-x/CHANGELOG.md:1: `kit-x` has no CHANGELOG.md");
    }

    #[test]
    fn a_changelog_that_lags_behind_the_version_is_found() {
        let fixture = fixture();
        fixture.file("crates/kit-x/CHANGELOG.md", "# Changelog\n\n## 0.1.0-rc.1\n\n## 0.1.01\n");
        fixture.finds(check, "the changelog says nothing of version 0.1.0");
    }

    #[test]
    fn a_readme_without_a_section_or_an_example_is_found() {
        let fixture = fixture();
        fixture.replace("crates/kit-x/README.md", "## Which crate do I want?", "## Which crate");
        fixture.replace("crates/kit-x/README.md", "## Coming from Go kit", "Coming from Go kit");
        fixture.replace("crates/kit-x/README.md", "```rust", "```text");
        fixture.finds(check, "the README has no section `Which crate do I want?`");
        fixture.finds(check, "the README has no section `Coming from Go kit`");
        fixture.finds(check, "the README has no Rust example");
    }

    #[test]
    fn a_readme_that_no_doctest_includes_is_found() {
        let fixture = fixture();
        fixture.replace("crates/kit-x/src/lib.rs", "include_str!", "concat!");
        fixture.finds(check, "crates/kit-x/src/lib.rs:1: the README's example is not compiled");
    }

    #[test]
    fn a_crate_without_an_asserting_example_is_found() {
        let fixture = fixture();
        fixture.replace("crates/kit-x/src/lib.rs", "assert_eq!(1, 1)", "let _ = 1");
        fixture.finds(check, "crates/kit-x/src/lib.rs:1: the crate's documentation has no example with an assertion");
        fixture.file("crates/kit-x/src/lib.rs", "//! ```no_run\n//! assert!(true);\n//! ```\n");
        fixture.finds(check, "has no example with an assertion");
    }

    #[test]
    fn an_ignored_example_is_found_in_sources_and_in_markdown() {
        let fixture = fixture();
        fixture.file("crates/kit-x/src/a.rs", "//! A.\n\n/// ```rust,ignore\n/// no\n/// ```\npub fn a() {}\n");
        fixture.file("crates/kit-x/NOTES.md", "# Notes\n\n```ignore\nno\n```\n");
        fixture.finds(check, "crates/kit-x/src/a.rs:3: an example marked `ignore`");
        fixture.finds(check, "crates/kit-x/NOTES.md:3: an example marked `ignore`");
    }

    #[test]
    fn a_macro_crate_needs_no_example() {
        let fixture = Fixture::new();
        fixture.crate_with("kit-x-macros", "[lib]\nproc-macro = true\n");
        fixture.file("crates/kit-x-macros/src/lib.rs", "//! Macros.\n");
        fixture.file("crates/kit-x-macros/README.md", "# Macros\n\n## Which crate do I want?\n\nThe other one.\n");
        fixture.finds_nothing(check);
    }
}
