//! Markdown: relative links lead to files, and the crates that it names exist or are planned.

use std::path::{Component, Path, PathBuf};

use super::Finding;
use crate::workspace::Workspace;

/// Crates of the design that may not exist yet. A name that begins with `-` extends the one before it.
const PLANNED: &[&[&str]] = &[
    &["kit-base"],
    &["kit-endpoint", "-macros"],
    &["kit-transport", "-http", "-grpc", "-jsonrpc", "-nats", "-amqp", "-lambda", "-thrift"],
    &["kit-serve"],
    &["kit-sd", "-consul", "-dns", "-etcd", "-zookeeper", "-kubernetes", "-file", "-eureka"],
    &["kit-lb", "-tower", "-tonic"],
    &["kit-retry"],
    &["kit-breaker"],
    &["kit-ratelimit", "-redis"],
    &["kit-admission"],
    &["kit-log"],
    &["kit-metrics", "-statsd"],
    &["kit-tracing"],
    &["kit-lifecycle"],
    &["kit-admin"],
    &["kit-sim"],
    &["kit-auth", "-basic", "-jwt", "-casbin"],
    &["kit-testing"],
];

/// Names of planned families that are no crates themselves.
const FAMILIES: [&str; 3] = ["kit-transport", "kit-sd", "kit-auth"];

/// Names that stand for any crate.
const PLACEHOLDERS: [&str; 2] = ["kit-x", "kit-x-y"];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    let known = known(workspace);
    for path in workspace.files_with("md") {
        let text = workspace.read(path);
        let mut fenced = false;
        for (index, line) in text.lines().enumerate() {
            for name in crate_names(line).filter(|name| !is_known(name, &known)) {
                let message = format!("no crate is called `{}`", name.name);
                let fix = "correct the name; if it is planned, add it to PLANNED in xtask/src/tidy/links.rs";
                findings.push(Finding::new(path, index + 1, message, fix));
            }
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                for target in targets(line).into_iter().filter(|target| !leads_somewhere(workspace, path, target)) {
                    let message = format!("the link `{target}` leads to no file");
                    findings.push(Finding::new(path, index + 1, message, "correct the path, relative to this file"));
                }
            }
        }
    }
    findings
}

fn known(workspace: &Workspace) -> Vec<String> {
    let mut known: Vec<String> = workspace.packages.iter().map(|package| package.name.clone()).collect();
    for family in PLANNED {
        let base = family.first().copied().unwrap_or_default();
        known.extend(family.iter().skip(1).map(|part| format!("{base}{part}")));
        if !FAMILIES.contains(&base) {
            known.push(base.to_owned());
        }
    }
    known.extend(PLACEHOLDERS.map(str::to_owned));
    known
}

/// A word that looks like a crate of ours; `family` when it is written `kit-sd-*` or `kit-sd-…`.
struct CrateName<'a> {
    name: &'a str,
    family: bool,
}

fn is_known(name: &CrateName<'_>, known: &[String]) -> bool {
    known.iter().any(|crate_name| {
        let extends = || crate_name.strip_prefix(name.name).is_some_and(|rest| rest.starts_with('-'));
        crate_name == name.name || (name.family && extends())
    })
}

/// Words that begin with `kit-`, outside of addresses and longer words.
fn crate_names(line: &str) -> impl Iterator<Item = CrateName<'_>> {
    let words = line.split_whitespace().filter(|word| !word.contains("://"));
    words.flat_map(|word| {
        word.match_indices("kit-").filter_map(move |(start, _)| {
            let part_of_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
            if word[..start].ends_with(part_of_word) {
                return None;
            }
            let rest = &word[start..];
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(rest.len());
            let name = rest[..end].trim_end_matches('-');
            let family = rest[..end].ends_with('-') && rest[end..].starts_with(['*', '…', '{', '<']);
            (name.len() > "kit".len()).then_some(CrateName { name, family })
        })
    })
}

/// Where the links of a line lead, inline ones and definitions; what stands in backticks is no link.
fn targets(line: &str) -> Vec<String> {
    let line: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let mut targets: Vec<String> = Vec::new();
    for (start, _) in line.match_indices("](") {
        let rest = &line[start + 2..];
        let end = rest.find(')').unwrap_or(rest.len());
        targets.push(rest[..end].to_owned());
    }
    if let Some((label, target)) = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
        if !label.contains(']') {
            targets.push(target.to_owned());
        }
    }
    // A title may follow the target, which may stand in angle brackets.
    let bare =
        |target: String| target.split_whitespace().next().unwrap_or_default().trim_matches(['<', '>']).to_owned();
    targets.into_iter().map(bare).collect()
}

fn leads_somewhere(workspace: &Workspace, from: &Path, target: &str) -> bool {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let elsewhere = target.contains("://") || target.starts_with("mailto:");
    if elsewhere || (path.is_empty() && target.starts_with('#')) {
        return true;
    }
    let base = if path.starts_with('/') { Path::new("") } else { from.parent().unwrap_or(Path::new("")) };
    let Some(path) = normal(&base.join(path.trim_start_matches('/'))) else { return false };
    // Only what is under version control: a folder is there if a file in it is.
    !target.is_empty() && workspace.files.iter().any(|file| file.starts_with(&path))
}

/// Without `.` and `..`; `None` if it leads out of the workspace.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir if !normal.pop() => return None,
            _ => {}
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::fixture::Fixture;

    fn fixture(readme: &str) -> Fixture {
        let fixture = Fixture::new();
        fixture.file("examples/addsvc/src/main.rs", "//! A service.\n");
        fixture.file("README.md", readme);
        fixture
    }

    #[test]
    fn a_link_to_a_file_that_is_not_there_is_found() {
        let dead = ["[a](no.md)", "![a](<no file.png>)", "[a]: no.md", "[a](../DESIGN.md)", "[a]()", "[a](/no#top)"];
        for link in dead {
            fixture(&format!("# kit\n\n{link}\n")).finds(check, "README.md:3: the link `");
        }
    }

    #[test]
    fn links_to_files_folders_headings_and_addresses_are_left_alone() {
        let text = "# kit\n\n[a](examples/addsvc) [b](./README.md#kit) [c](#kit) [d](https://example.com/no.md \"title\")\n\
                    [e]: examples/addsvc/src/main.rs\n`[f](no.md)` and [`g`](README.md)\n\n```text\n[h](no.md)\n```\n";
        fixture(text).finds_nothing(check);
    }

    #[test]
    fn links_are_relative_to_their_own_file() {
        let fixture = fixture("# kit\n");
        fixture.file("examples/README.md", "[up](../README.md) [service](addsvc/src/main.rs)\n");
        fixture.finds_nothing(check);
        fixture.file("examples/README.md", "[service](examples/addsvc)\n");
        fixture.finds(check, "examples/README.md:1: the link `examples/addsvc` leads to no file");
    }

    #[test]
    fn a_crate_that_does_not_exist_is_found_even_in_code() {
        for text in ["Use kit-core.", "`kit-metric`", "```\ncargo add kit-bsae\n```", "crates/kit-old/src", "kit-sd"] {
            fixture(&format!("# kit\n\n{text}\n")).finds(check, "no crate is called `kit-");
        }
    }

    #[test]
    fn crates_that_exist_or_are_planned_and_other_words_are_left_alone() {
        let text = "# kit\n\nkit-base's, `kit-endpoint-macros`, kit-sd-*, kit-auth-…, kit-retry; kit-x-y, Go-kit-like, kit-ours\n\
                    [repository](https://github.com/kit-rs/kit)\n";
        let fixture = fixture(text);
        fixture.crate_with("kit-ours", "");
        fixture.finds_nothing(check);
    }
}
