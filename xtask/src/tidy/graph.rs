//! What the dependency graph may hold: TLS providers, and the weight of the two crates everybody takes.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use crate::run::{Program, Result};
use crate::workspace::Workspace;

/// Crates that each bring a TLS provider; two in one program need a choice at run time, or panic without one.
const TLS_PROVIDERS: [&str; 2] = ["aws-lc-sys", "ring"];

/// All crates under kit-base, itself included.
const CORE_LIMIT: usize = 12;

/// Of tokio, kit-endpoint may bring its timer and nothing that runs.
const ENDPOINT_TOKIO_FEATURES: [&str; 2] = ["default", "time"];

/// The crates of a graph, each with the features it is built with.
type Graph = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let mut find = |message: String, fix: &str| {
            findings.push(Finding::new(package.manifest(), 1, message, fix));
        };
        let graph = match graph(workspace, &package.name) {
            Ok(graph) => graph,
            Err(failure) => {
                find(failure.to_string(), "repair the manifest, or bring Cargo.lock up to date with `cargo check`");
                continue;
            }
        };
        if TLS_PROVIDERS.iter().all(|provider| graph.contains_key(*provider)) {
            find(
                format!("`{}` brings two TLS providers: {}", package.name, TLS_PROVIDERS.join(" and ")),
                "take the TLS libraries without default features; the program chooses the provider",
            );
        }
        match package.name.as_str() {
            "kit-base" => core(&graph, &mut find),
            "kit-endpoint" => endpoint(&graph, &mut find),
            _ => {}
        }
    }
    findings
}

fn core(graph: &Graph, find: &mut impl FnMut(String, &str)) {
    if graph.len() > CORE_LIMIT {
        let names: Vec<_> = graph.keys().map(String::as_str).collect();
        find(
            format!("kit-base brings {} crates, over {CORE_LIMIT}: {}", graph.len(), names.join(", ")),
            "everybody pays for these: write the few lines, or move the item to the crate that needs it",
        );
    }
}

fn endpoint(graph: &Graph, find: &mut impl FnMut(String, &str)) {
    if graph.contains_key("hyper") {
        find(
            "kit-endpoint brings hyper".to_owned(),
            "transports bring HTTP; see `cargo tree -p kit-endpoint -i hyper`",
        );
    }
    let tokio = graph.get("tokio").into_iter().flatten();
    for feature in tokio.filter(|feature| !ENDPOINT_TOKIO_FEATURES.contains(&feature.as_str())) {
        find(
            format!("kit-endpoint brings tokio's feature `{feature}`"),
            "of tokio only `time`; see `cargo tree -p kit-endpoint -e normal,features -i tokio`",
        );
    }
}

/// The graph of a package with its default features, without tests and build scripts.
fn graph(workspace: &Workspace, package: &str) -> Result<Graph> {
    let text = Program::cargo(&workspace.root)
        .args(["tree", "--locked", "-e", "normal", "--prefix", "none", "-f", "{p}|{f}", "-p", package])
        .capture()?;
    Ok(parse(&text))
}

/// Lines are `name v1.2.3 (where)|feature,feature (*)`.
fn parse(text: &str) -> Graph {
    let mut graph = Graph::new();
    for line in text.lines() {
        let (package, features) = line.split_once('|').unwrap_or((line, ""));
        let Some(name) = package.split_whitespace().next() else { continue };
        let features = features.trim_end_matches("(*)").trim().split(',').filter(|feature| !feature.is_empty());
        graph.entry(name.to_owned()).or_default().extend(features.map(str::to_owned));
    }
    graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::fixture::Fixture;

    /// A workspace with one crate in `crates/`, and stand-ins under the names of real libraries.
    fn fixture(name: &str, dependencies: &str, libraries: &[(&str, &str)]) -> Fixture {
        let fixture = Fixture::new();
        let shared: Vec<_> = libraries.iter().map(|(library, _)| (*library, "vendor")).collect();
        fixture.share(&shared);
        for (library, features) in libraries {
            let manifest = format!("[package]\nname = \"{library}\"\nversion = \"0.1.0\"\n\n[features]\n{features}");
            fixture.file(&format!("vendor/{library}/Cargo.toml"), &manifest);
            fixture.file(&format!("vendor/{library}/src/lib.rs"), "//! A stand-in.\n");
        }
        fixture.crate_with(name, dependencies);
        fixture.lock();
        fixture
    }

    #[test]
    fn two_tls_providers_in_a_default_graph_are_found() {
        let both = "[dependencies]\nring.workspace = true\naws-lc-sys.workspace = true\n";
        let libraries = [("ring", ""), ("aws-lc-sys", "")];
        fixture("kit-x", both, &libraries).finds(check, "`kit-x` brings two TLS providers: aws-lc-sys and ring");
        let one = "[dependencies]\nring.workspace = true\naws-lc-sys = { workspace = true, optional = true }\n";
        fixture("kit-x", one, &libraries).finds_nothing(check);
        let in_tests = "[dependencies]\nring.workspace = true\n\n[dev-dependencies]\naws-lc-sys.workspace = true\n";
        fixture("kit-x", in_tests, &libraries).finds_nothing(check);
    }

    #[test]
    fn a_core_with_more_than_twelve_crates_is_found() {
        let names: Vec<String> = (0..12).map(|number| format!("lib{number}")).collect();
        let libraries: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
        let lines = |count: usize| -> String {
            let lines: String = names.iter().take(count).map(|name| format!("{name}.workspace = true\n")).collect();
            format!("[dependencies]\n{lines}")
        };
        fixture("kit-base", &lines(11), &libraries).finds_nothing(check);
        fixture("kit-base", &lines(12), &libraries).finds(check, "kit-base brings 13 crates, over 12: kit-base, lib0");
    }

    #[test]
    fn hyper_or_more_of_tokio_than_its_timer_under_kit_endpoint_is_found() {
        let libraries = [("tokio", "time = []\nrt = []\n"), ("hyper", "")];
        let good = "[dependencies]\ntokio = { workspace = true, features = [\"time\"] }\n";
        fixture("kit-endpoint", good, &libraries).finds_nothing(check);
        let runtime = "[dependencies]\ntokio = { workspace = true, features = [\"time\", \"rt\"] }\n";
        fixture("kit-endpoint", runtime, &libraries).finds(check, "kit-endpoint brings tokio's feature `rt`");
        let http = "[dependencies]\nhyper.workspace = true\n";
        fixture("kit-endpoint", http, &libraries).finds(check, "kit-endpoint brings hyper");
    }

    #[test]
    fn a_graph_that_cargo_cannot_resolve_is_a_finding() {
        let fixture = fixture("kit-x", "", &[]);
        fixture.remove("Cargo.lock");
        fixture.finds(check, "`cargo tree --locked");
    }

    #[test]
    fn features_of_all_mentions_of_a_crate_are_joined() {
        let graph = parse("kit-x v0.1.0 (/tmp/x)|\ntokio v1.54.0|sync,time\ntokio v1.54.0|time (*)\n");
        assert_eq!(graph.keys().collect::<Vec<_>>(), ["kit-x", "tokio"]);
        assert_eq!(graph["tokio"].iter().collect::<Vec<_>>(), ["sync", "time"]);
    }
}
