//! `cargo xtask bench`: runs benchmarks, which print their results.

use std::path::Path;

use crate::run::{Failure, Program, Result};
use crate::servers;
use crate::workspace::Workspace;

pub(crate) fn run(root: &Path, name: Option<&str>, rest: &[String]) -> Result {
    let workspace = Workspace::load(root)?;
    let all = all(&workspace);
    let chosen: Vec<_> =
        all.iter().filter(|(package, bench)| name.is_none_or(|name| name == *package || name == *bench)).collect();
    if chosen.is_empty() {
        let known: Vec<String> = all.iter().map(|(package, bench)| format!("{package}/{bench}")).collect();
        let asked = name.unwrap_or("any");
        return Err(Failure(format!("no benchmark `{asked}`; there are: {}", known.join(", "))));
    }
    if !servers::present("valgrind", root) {
        println!("valgrind is missing, so instructions are not counted: get it with `cargo xtask servers valgrind`");
    }
    for (package, bench) in &chosen {
        Program::cargo(root)
            .args(["bench", "--locked", "--all-features", "-p", package, "--bench", bench, "--"])
            .args(rest)
            .run()?;
    }
    Ok(())
}

fn all(workspace: &Workspace) -> Vec<(&str, &str)> {
    let benches =
        workspace.packages.iter().flat_map(|package| package.benches.iter().map(move |bench| (package, bench)));
    benches.map(|(package, bench)| (package.name.as_str(), bench.as_str())).collect()
}
