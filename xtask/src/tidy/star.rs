//! The star: a published crate rests on kit-base and on no other crate of the workspace.

use super::Finding;
use crate::workspace::{Kind, Package, Workspace};

const CORE: &str = "kit-base";
/// A tool for tests, which any crate may use in its own.
const TESTING: &str = "kit-testing";

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in workspace.packages.iter().filter(|package| package.published()) {
        for dependency in &package.dependencies {
            let inside = workspace.package(&dependency.name).is_some();
            if inside && !allowed(package, &dependency.name, dependency.kind) {
                findings.push(finding(workspace, package, &dependency.name, dependency.kind));
            }
        }
    }
    findings
}

fn allowed(from: &Package, to: &str, kind: Kind) -> bool {
    if kind == Kind::Dev {
        return to == CORE || to == TESTING || extends(&from.name, to) || extends(to, &from.name);
    }
    // A macro runs in the compiler: whatever its output needs comes from the crate that re-exports it.
    if from.proc_macro {
        return false;
    }
    to == CORE || extends(&from.name, to) || to == format!("{}-macros", from.name)
}

/// Whether `name` is `base` and a further part: kit-metrics-statsd extends kit-metrics.
fn extends(name: &str, base: &str) -> bool {
    name.strip_prefix(base).is_some_and(|rest| rest.starts_with('-'))
}

fn finding(workspace: &Workspace, from: &Package, to: &str, kind: Kind) -> Finding {
    let manifest = from.manifest();
    let text = workspace.read(&manifest);
    let line = text.lines().position(|line| line.trim_start().starts_with(to)).map_or(1, |index| index + 1);
    let (how, fix) = match kind {
        Kind::Dev => (
            "is tested with",
            "test them together in a package in examples/; dev-dependencies are kit-base, kit-testing and the crate's own family",
        ),
        _ if from.proc_macro => {
            ("is a macro crate and depends on", "name the item by its path in the generated code instead")
        }
        _ => ("depends on", "put what both need into kit-base, or let them meet in the user's program"),
    };
    Finding::new(manifest, line, format!("`{}` {how} `{to}`, which breaks the star", from.name), fix)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::fixture::Fixture;

    /// Every crate of the list, the first with the given tail of its manifest.
    fn fixture(tail: &str, crates: &[&str]) -> Fixture {
        let fixture = Fixture::new();
        let shared: Vec<_> = crates.iter().map(|name| (*name, "crates")).collect();
        fixture.share(&shared);
        for (index, name) in crates.iter().enumerate() {
            fixture.crate_with(name, if index == 0 { tail } else { "" });
        }
        fixture
    }

    #[test]
    fn a_crate_that_depends_on_a_sibling_is_found_with_its_line() {
        let fixture = fixture("[dependencies]\nkit-lb.workspace = true\n", &["kit-retry", "kit-lb"]);
        fixture.finds(check, "crates/kit-retry/Cargo.toml:16: `kit-retry` depends on `kit-lb`, which breaks the star");
    }

    #[test]
    fn a_build_dependency_counts_too() {
        let fixture = fixture("[build-dependencies]\nkit-lb.workspace = true\n", &["kit-retry", "kit-lb"]);
        fixture.finds(check, "`kit-retry` depends on `kit-lb`");
    }

    #[test]
    fn a_sibling_in_the_tests_is_found() {
        let fixture = fixture("[dev-dependencies]\nkit-lb.workspace = true\n", &["kit-retry", "kit-lb"]);
        fixture.finds(check, "`kit-retry` is tested with `kit-lb`");
    }

    #[test]
    fn the_core_the_test_kit_and_the_own_family_are_allowed() {
        let tail = "[dependencies]\nkit-base.workspace = true\nkit-endpoint-macros.workspace = true\n\n\
                    [dev-dependencies]\nkit-testing.workspace = true\n";
        let fixture = fixture(tail, &["kit-endpoint", "kit-base", "kit-endpoint-macros", "kit-testing"]);
        fixture.crate_with("kit-endpoint-extra", "[dependencies]\nkit-endpoint.workspace = true\n");
        fixture.finds_nothing(check);
    }

    #[test]
    fn a_name_that_only_begins_alike_is_no_family() {
        let fixture = fixture("[dependencies]\nkit-lb.workspace = true\n", &["kit-lbx", "kit-lb"]);
        fixture.finds(check, "`kit-lbx` depends on `kit-lb`");
    }

    #[test]
    fn a_macro_crate_may_depend_on_no_crate_of_the_workspace() {
        let tail = "[lib]\nproc-macro = true\n\n[dependencies]\nkit-base.workspace = true\n";
        let fixture = fixture(tail, &["kit-endpoint-macros", "kit-base"]);
        fixture.finds(check, "`kit-endpoint-macros` is a macro crate and depends on `kit-base`");
    }

    #[test]
    fn an_unpublished_crate_may_depend_on_all() {
        let fixture = fixture("[dependencies]\nkit-lb.workspace = true\n", &["kit-retry", "kit-lb"]);
        fixture.replace("crates/kit-retry/Cargo.toml", "[package]\n", "[package]\npublish = false\n");
        fixture.finds_nothing(check);
    }
}
