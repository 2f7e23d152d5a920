//! `cargo xtask servers`: installs what tests and benches need and a bare Debian machine lacks.

mod folder;
mod npm;
mod suite;
mod table;

use std::path::{Path, PathBuf};

use crate::run::{Failure, Program, Result};
use table::{Probe, SERVERS, Server, Source};

/// Where Python packages go, relative to the workspace: never into the machine's own Python.
const VENV: &str = "target/servers/venv";

pub(crate) fn run(root: &Path, names: &[String], check: bool) -> Result {
    let chosen = choose(names)?;
    if check {
        return report(root, &chosen);
    }
    install(root, &chosen)
}

/// What `cargo xtask ci` cannot do without; and what it can, because that may vanish from where it comes from.
pub(crate) fn install_for_ci(root: &Path) -> Result {
    let (vanishing, lasting): (Vec<_>, Vec<_>) =
        SERVERS.iter().filter(|server| server.ci).partition(|server| matches!(server.source, Source::Suite(_)));
    install(root, &lasting)?;
    for server in vanishing {
        let Source::Suite(package) = &server.source else { continue };
        if is_here(server, root) {
            continue;
        }
        // Only that it cannot be had is forgiven: a package that was changed is not.
        match suite::fetch(root, server.name, package) {
            Ok(deb) => suite::unpack(root, server.name, package, &deb)?,
            Err(failure) => println!("{failure}\n{}", vanished_line(server.name)),
        }
    }
    Ok(())
}

/// What CI goes on without.
pub(crate) fn vanished(root: &Path) -> Vec<&'static str> {
    let vanishing = SERVERS.iter().filter(|server| server.ci && matches!(server.source, Source::Suite(_)));
    vanishing.filter(|server| !is_here(server, root)).map(|server| server.name).collect()
}

/// What CI says where it goes on without it, loud enough to be seen in a long log.
pub(crate) fn vanished_line(name: &str) -> String {
    format!(
        "!!! WITHOUT {}: its package could not be had. The tests that need the real one are SKIPPED; doubles stand in.",
        name.to_uppercase()
    )
}

/// Whether a row of the table is on this machine.
pub(crate) fn present(name: &str, root: &Path) -> bool {
    SERVERS.iter().any(|server| server.name == name && is_here(server, root))
}

fn choose(names: &[String]) -> Result<Vec<&'static Server>> {
    if names.is_empty() {
        return Ok(SERVERS.iter().collect());
    }
    let find = |name: &String| {
        SERVERS.iter().find(|server| server.name == name).ok_or_else(|| {
            let known: Vec<_> = SERVERS.iter().map(|server| server.name).collect();
            Failure(format!("no server `{name}`; there are: {}", known.join(", ")))
        })
    };
    names.iter().map(find).collect()
}

fn report(root: &Path, chosen: &[&Server]) -> Result {
    let mut missing = Vec::new();
    for server in chosen {
        let here = is_here(server, root);
        println!("{:<8} {:<22} {}", if here { "present" } else { "MISSING" }, server.name, server.purpose);
        if !here {
            missing.push(server.name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" ");
    Err(Failure(format!("missing: {missing}; install with `cargo xtask servers {missing}`")))
}

fn install(root: &Path, chosen: &[&Server]) -> Result {
    let mut missing = absent(root, chosen);
    // What may be gone comes last, so that the others are here even so.
    missing.sort_by_key(|server| matches!(server.source, Source::Suite(_)));
    if missing.is_empty() {
        let names: Vec<_> = chosen.iter().map(|server| server.name).collect();
        println!("all present: {}", names.join(", "));
        return Ok(());
    }
    for server in &missing {
        println!("missing: {} ({})", server.name, server.purpose);
    }
    let packages = debian_packages(root, &missing);
    if !packages.is_empty() {
        install_debian(&packages)?;
    }
    for server in &missing {
        match &server.source {
            Source::Debian(_) => {}
            Source::Pip(package) => install_python(root, package)?,
            Source::Npm(npm) => npm::install(root, server.name, npm)?,
            Source::Suite(package) => {
                let deb = suite::fetch(root, server.name, package)?;
                suite::unpack(root, server.name, package, &deb)?;
            }
        }
    }
    let still: Vec<_> = absent(root, &missing).iter().map(|server| server.name).collect();
    if still.is_empty() {
        return Ok(());
    }
    Err(Failure(format!("installed, and still not found: {}", still.join(", "))))
}

fn absent<'a>(root: &Path, chosen: &[&'a Server]) -> Vec<&'a Server> {
    chosen.iter().copied().filter(|server| !is_here(server, root)).collect()
}

/// The Debian packages of what is missing; a Python package also needs Python itself, one of npm needs curl.
fn debian_packages(root: &Path, missing: &[&Server]) -> Vec<&'static str> {
    let tools: Vec<_> = missing.iter().filter_map(|server| server.source.tool()).collect();
    let tools = SERVERS.iter().filter(|server| tools.contains(&server.name) && !is_here(server, root));
    let mut packages = Vec::new();
    for server in missing.iter().copied().chain(tools) {
        if let Source::Debian(names) = server.source {
            packages.extend(names.iter().filter(|name| !packages.contains(*name)).collect::<Vec<_>>());
        }
    }
    packages
}

fn install_debian(packages: &[&str]) -> Result {
    let list = packages.join(" ");
    if find_program("apt-get").is_none() {
        return Err(Failure(format!("no apt-get on this machine; install by other means: {list}")));
    }
    if !is_root() {
        let line = format!("sudo apt-get update && sudo apt-get install -y --no-install-recommends {list}");
        return Err(Failure(format!("not root, so nothing was installed; run this line, then try again:\n{line}")));
    }
    println!("installing with apt-get: {list}");
    Program::new("apt-get").args(["-q", "update"]).run()?;
    Program::new("apt-get")
        .args(["-q", "install", "-y", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()
}

fn install_python(root: &Path, package: &str) -> Result {
    println!("installing into {VENV}: {package}");
    if !python(root).exists() {
        Program::new("python3").args(["-m", "venv"]).arg(root.join(VENV)).run()?;
    }
    Program::new(python(root)).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]).run()
}

fn is_here(server: &Server, root: &Path) -> bool {
    match server.probe {
        Probe::Program(name) => find_program(name).is_some(),
        Probe::Runs(program, args) => Program::new(program).args(args).succeeds(),
        Probe::Imports(modules) => Program::new(python(root)).args(["-c", &format!("import {modules}")]).succeeds(),
        Probe::Unpacked => match &server.source {
            Source::Npm(npm) => npm::is_here(root, server.name, npm),
            Source::Suite(package) => suite::is_here(root, server.name, package),
            Source::Debian(_) | Source::Pip(_) => false,
        },
    }
}

fn python(root: &Path) -> PathBuf {
    root.join(VENV).join("bin/python")
}

/// Where a program is; some of Debian's are in folders that only root has in its path.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn is_root() -> bool {
    Program::new("id").arg("-u").capture().is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let failure = choose(&["consull".to_owned()]).unwrap_err().to_string();
        assert!(failure.contains("no server `consull`; there are: git, "), "{failure}");
    }

    #[test]
    fn what_ci_goes_on_without_is_named_loudly() {
        assert_eq!(vanished(Path::new("/nonexistent")), ["consul"]);
        assert!(vanished_line("consul").starts_with("!!! WITHOUT CONSUL: "));
    }

    #[test]
    fn without_a_name_everything_is_meant() {
        assert_eq!(choose(&[]).unwrap().len(), SERVERS.len());
    }

    #[test]
    fn what_is_present_is_not_installed_again() {
        let shell = Server {
            name: "sh",
            purpose: "a shell",
            ci: false,
            probe: Probe::Program("sh"),
            source: Source::Debian(&["no-such-package"]),
        };
        install(Path::new("/nonexistent"), &[&shell]).unwrap();
    }

    #[test]
    fn a_missing_server_is_reported_with_the_command_that_installs_it() {
        let absent = Server {
            name: "absent",
            purpose: "nothing",
            ci: false,
            probe: Probe::Program("no-such-program"),
            source: Source::Debian(&[]),
        };
        let failure = report(Path::new("/nonexistent"), &[&absent]).unwrap_err().to_string();
        assert_eq!(failure, "missing: absent; install with `cargo xtask servers absent`");
    }

    #[test]
    fn a_python_package_brings_python_when_that_is_missing_too() {
        let package = Server {
            name: "package",
            purpose: "nothing",
            ci: false,
            probe: Probe::Imports("nothing"),
            source: Source::Pip("nothing"),
        };
        let root = Path::new("/nonexistent");
        let expected = if present("python3", root) { vec![] } else { vec!["python3", "python3-venv"] };
        assert_eq!(debian_packages(root, &[&package]), expected);
    }
}
