//! Where things lie: the names at the top, and a crate's folder named as the crate.

use std::collections::BTreeSet;
use std::path::Path;

use super::Finding;
use crate::workspace::Workspace;

/// Six names, and what tools want to find beside them. Files that begin with a dot are free.
const TOP: [&str; 10] = [
    "Cargo.toml",
    "README.md",
    "deny.toml",
    "crates",
    "examples",
    "xtask",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "rust-toolchain.toml",
];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    let first = |path: &Path| path.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let top: BTreeSet<String> = workspace.files.iter().filter_map(|path| first(path)).collect();
    for name in top.iter().filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str())) {
        let fix = match name.as_str() {
            "clippy.toml" | "rustfmt.toml" => format!("rename it to `.{name}`, which the tool finds as well"),
            _ => "move it into crates/, examples/ or xtask/, or make it a dot file".to_owned(),
        };
        findings.push(Finding::new(name, 1, format!("`{name}` is not one of the names at the top"), fix));
    }
    for package in workspace.packages.iter().filter(|package| package.in_crates()) {
        if package.dir != Path::new("crates").join(&package.name) {
            findings.push(Finding::new(
                package.manifest(),
                1,
                format!("package `{}` lies in `{}`", package.name, package.dir.display()),
                format!("a folder in crates/ is named as its package: crates/{}", package.name),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::fixture::Fixture;

    #[test]
    fn a_further_name_at_the_top_is_found_unless_it_begins_with_a_dot() {
        let fixture = Fixture::new();
        fixture.file(".rustfmt.toml", "");
        fixture.finds_nothing(check);
        fixture.file("docs/notes.md", "# Notes\n");
        fixture.file("rustfmt.toml", "");
        fixture.finds(check, "docs:1: `docs` is not one of the names at the top");
        fixture.finds(check, "rename it to `.rustfmt.toml`");
    }

    #[test]
    fn a_folder_that_is_not_named_as_its_package_is_found() {
        let fixture = Fixture::new();
        fixture.crate_with("kit-base", "");
        fixture.replace("crates/kit-base/Cargo.toml", "name = \"kit-base\"", "name = \"kit-core\"");
        fixture.finds(check, "crates/kit-base/Cargo.toml:1: package `kit-core` lies in `crates/kit-base`");
    }
}
