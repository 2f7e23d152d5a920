//! Manifests: shared versions, lints and fields, and what the registry shows of a published crate.

use std::path::Path;

use serde_json::Value;
use toml::Table;

use super::Finding;
use crate::workspace::{Package, Workspace};

const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    shared_dependencies(workspace, &mut findings);
    for package in &workspace.packages {
        let path = package.manifest();
        let text = workspace.read(&path);
        if let Some(table) = parse(&path, &text, &mut findings) {
            inherited(&path, &text, &table, &mut findings);
        }
        if package.published() {
            registry_fields(package, &mut findings);
        }
    }
    findings
}

/// In the root manifest each dependency is named once, with its default features off.
fn shared_dependencies(workspace: &Workspace, findings: &mut Vec<Finding>) {
    let path = Path::new("Cargo.toml");
    let text = workspace.read(path);
    let Some(root) = parse(path, &text, findings) else { return };
    let shared = root.get("workspace").and_then(|table| table.get("dependencies")).and_then(|table| table.as_table());
    for (name, value) in shared.into_iter().flatten() {
        // Any other spelling only makes cargo warn, and leaves the features on.
        if value.get("default-features").and_then(toml::Value::as_bool) != Some(false) {
            findings.push(Finding::new(
                path,
                line_of(&text, name),
                format!("`{name}` in [workspace.dependencies] has its default features on"),
                "write `default-features = false` and name the features that are needed",
            ));
        }
    }
}

fn parse(path: &Path, text: &str, findings: &mut Vec<Finding>) -> Option<Table> {
    text.parse::<Table>()
        .map_err(|error| findings.push(Finding::new(path, 1, error.message(), "repair the manifest")))
        .ok()
}

/// Versions and lints come from the workspace, in every package, published or not.
fn inherited(path: &Path, text: &str, manifest: &Table, findings: &mut Vec<Finding>) {
    if !from_workspace(manifest.get("lints")) {
        let fix = "add `[lints]` with `workspace = true`";
        findings.push(Finding::new(path, 1, "the workspace's lints are not taken over", fix));
    }
    let targets = manifest.get("target").and_then(|value| value.as_table());
    let targets = targets.into_iter().flatten().filter_map(|(_, value)| value.as_table());
    for table in targets.chain([manifest]) {
        for (name, value) in TABLES.iter().filter_map(|key| table.get(*key)?.as_table()).flatten() {
            if !from_workspace(Some(value)) {
                findings.push(Finding::new(
                    path,
                    line_of(text, name),
                    format!("`{name}` does not take its version from the workspace"),
                    "write `workspace = true`, and the version in the root manifest",
                ));
            }
        }
    }
}

fn from_workspace(value: Option<&toml::Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
}

fn registry_fields(package: &Package, findings: &mut Vec<Finding>) {
    for field in ["description", "license", "repository", "readme", "keywords", "categories"] {
        let filled = match package.metadata.get(field) {
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            _ => false,
        };
        if !filled {
            let fix = format!("fill in `{field}`; users see it in the registry");
            findings.push(Finding::new(package.manifest(), 1, format!("`{}` has no {field}", package.name), fix));
        }
    }
    if package.metadata.get("keywords").and_then(Value::as_array).is_some_and(|list| list.len() > 5) {
        let message = format!("`{}` has more than 5 keywords, which the registry refuses", package.name);
        findings.push(Finding::new(package.manifest(), 1, message, "keep the 5 best"));
    }
}

/// The line on which a dependency is named, whichever way it is written.
fn line_of(text: &str, name: &str) -> usize {
    let named = |line: &str| {
        let line = line.trim_start().trim_start_matches('"');
        let starts = line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=', '"']));
        starts || line.trim_end().ends_with(&format!(".{name}]"))
    };
    text.lines().position(named).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::fixture::Fixture;

    #[test]
    fn a_shared_dependency_with_default_features_is_found_however_they_are_left_on() {
        let fixture = Fixture::new();
        let lines = "[workspace.dependencies]\n\
                     good = { version = \"1\", default-features = false }\n\
                     short = \"1\"\nlong = { version = \"1\" }\n\
                     wrong = { version = \"1\", default-feature = false }\n";
        fixture.replace("Cargo.toml", "[workspace.dependencies]\n", lines);
        fixture.finds(check, "Cargo.toml:16: `short` in [workspace.dependencies] has its default features on");
        fixture.finds(check, "Cargo.toml:17: `long`");
        fixture.finds(check, "Cargo.toml:18: `wrong`");
        assert!(!fixture.findings(check).contains("`good`"));
    }

    #[test]
    fn a_dependency_with_a_version_of_its_own_is_found_in_every_kind_of_table() {
        let fixture = Fixture::new();
        fixture.crate_with(
            "kit-x",
            "[dependencies]\na = \"1\"\n\n[dev-dependencies.b]\nversion = \"1\"\n\n\
             [target.'cfg(unix)'.dependencies]\nc = { version = \"1\" }\n",
        );
        fixture.finds(check, "crates/kit-x/Cargo.toml:16: `a` does not take its version from the workspace");
        fixture.finds(check, "crates/kit-x/Cargo.toml:18: `b`");
        fixture.finds(check, "crates/kit-x/Cargo.toml:22: `c`");
    }

    #[test]
    fn a_package_without_the_shared_lints_is_found() {
        let fixture = Fixture::new();
        fixture.crate_with("kit-x", "");
        fixture.replace("crates/kit-x/Cargo.toml", "[lints]\nworkspace = true\n", "");
        fixture.finds(check, "crates/kit-x/Cargo.toml:1: the workspace's lints are not taken over");
    }

    #[test]
    fn each_field_that_the_registry_shows_is_asked_for() {
        let lines = [
            ("description", "description = \"A fixture.\"\n"),
            ("license", "license.workspace = true\n"),
            ("repository", "repository.workspace = true\n"),
            ("keywords", "keywords = [\"service\"]\n"),
            ("categories", "categories = [\"asynchronous\"]\n"),
        ];
        for (field, line) in lines {
            let fixture = Fixture::new();
            fixture.crate_with("kit-x", "");
            fixture.replace("crates/kit-x/Cargo.toml", line, "");
            fixture.finds(check, &format!("`kit-x` has no {field}"));
            fixture.replace("crates/kit-x/Cargo.toml", "[package]\n", "[package]\npublish = false\n");
            fixture.finds_nothing(check);
        }
    }

    #[test]
    fn a_sixth_keyword_is_found() {
        let fixture = Fixture::new();
        fixture.crate_with("kit-x", "");
        let six = "keywords = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\"]";
        fixture.replace("crates/kit-x/Cargo.toml", "keywords = [\"service\"]", six);
        fixture.finds(check, "`kit-x` has more than 5 keywords");
    }
}
