//! Programs out of packages of another suite of Debian, by a private configuration of apt: the machine's own sources
//! and packages stay as they are, and no root is needed.

use std::fs;
use std::path::{Path, PathBuf};

use super::folder::{failure, make_empty, put, remove};
use super::table::Suite;
use crate::run::{Failure, Program, Result};

/// Where they go, relative to the workspace: a folder of the row's name for each, as it were the root.
const FOLDER: &str = "target/servers/debian";
const MIRROR: &str = "http://deb.debian.org/debian/";
/// Where suites go that no mirror has any more.
const ARCHIVE: &str = "http://archive.debian.org/debian/";
/// The file that says which package it is that was unpacked.
const STAMP: &str = "sha256";

/// Whether it is unpacked, out of the package of the table.
pub(super) fn is_here(root: &Path, name: &str, suite: &Suite) -> bool {
    let folder = root.join(FOLDER).join(name);
    let stamp = fs::read_to_string(folder.join(STAMP)).unwrap_or_default();
    stamp.trim() == suite.sha256 && folder.join(suite.program).is_file()
}

/// Gets the package, and says where it is.
pub(super) fn fetch(root: &Path, name: &str, suite: &Suite) -> Result<PathBuf> {
    println!("installing into {FOLDER}/{name}: {} {} of {}", suite.package, suite.version, suite.suite);
    // What looks like the machine's mirror may be one of something else.
    let own = own_mirror();
    let others = [MIRROR, ARCHIVE].into_iter().filter(|mirror| own.as_deref() != Some(mirror));
    for mirror in own.as_deref().into_iter().chain(others) {
        match fetch_from(mirror, root, name, suite) {
            Ok(deb) => return Ok(deb),
            Err(failure) => println!("{failure}\n{mirror} does not have it"),
        }
    }
    Err(Failure(format!("no mirror has {} {} of {}", suite.package, suite.version, suite.suite)))
}

fn fetch_from(mirror: &str, root: &Path, name: &str, suite: &Suite) -> Result<PathBuf> {
    let folder = root.join(FOLDER).join(format!("{name}.apt"));
    make_empty(&folder)?;
    for part in ["parts", "lists/partial", "cache/archives/partial"] {
        make_empty(&folder.join(part))?;
    }
    write(&folder.join("parts/suite.sources"), &sources(mirror, suite.suite))?;
    write(&folder.join("apt.conf"), &configuration(&folder))?;
    let apt = |args: &[&str]| {
        let config = folder.join("apt.conf");
        Program::new("apt-get").args(args).env("APT_CONFIG", &config.to_string_lossy()).dir(&folder).run()
    };
    apt(&["-q", "update"])?;
    apt(&["-q", "download", &format!("{}={}", suite.package, suite.version)])?;
    let files = fs::read_dir(&folder).map_err(|error| failure(&folder, &error))?;
    let mut files = files.filter_map(|entry| Some(entry.ok()?.path()));
    let deb = files.find(|file| file.extension().is_some_and(|extension| extension == "deb"));
    deb.ok_or_else(|| Failure(format!("apt-get left no package in {}", folder.display())))
}

/// Checks the package and unpacks it in its place.
pub(super) fn unpack(root: &Path, name: &str, suite: &Suite, deb: &Path) -> Result {
    check(deb, suite)?;
    let folder = root.join(FOLDER);
    let part = folder.join(format!("{name}.part"));
    make_empty(&part)?;
    Program::new("dpkg").arg("-x").arg(deb).arg(&part).run()?;
    write(&part.join(STAMP), suite.sha256)?;
    put(&part, &folder.join(name))?;
    remove(&folder.join(format!("{name}.apt")))
}

/// A package that is not the one that was looked at must not run.
fn check(deb: &Path, suite: &Suite) -> Result {
    let output = Program::new("sha256sum").arg(deb).capture()?;
    let found = output.split_whitespace().next().unwrap_or_default();
    if found == suite.sha256 {
        return Ok(());
    }
    let Suite { package, version, sha256, .. } = suite;
    Err(Failure(format!("{package} {version} has SHA-256 {found}, expected {sha256}")))
}

/// The mirror that this machine takes its own suite from.
fn own_mirror() -> Option<String> {
    let targets = Program::new("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Identifier: Packages"])
        .capture()
        .ok()?;
    in_targets(&targets)
}

/// The one of the suite itself: its updates have a name with a hyphen, and may be elsewhere.
fn in_targets(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (mirror, suite, component) = (words.next()?, words.next()?, words.next()?);
        (mirror.contains("debian") && !suite.contains('-') && component == "main").then(|| mirror.to_owned())
    })
}

/// Signed by the keys that this machine trusts, those of older suites among them.
fn sources(mirror: &str, suite: &str) -> String {
    format!("Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\n")
}

/// The rest of what apt writes and reads is in the folder too, which apt's own user may not enter.
fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "Dir::Etc::sourcelist \"/dev/null\";\nDir::Etc::sourceparts \"{folder}/parts\";\n\
         Dir::State::lists \"{folder}/lists\";\nDir::Cache \"{folder}/cache\";\n\
         APT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\nAcquire::Retries \"3\";\n\
         Acquire::http::Timeout \"20\";\n\
         Acquire::Check-Valid-Until \"false\";\n"
    )
}

fn write(file: &Path, text: &str) -> Result {
    fs::write(file, text).map_err(|error| failure(file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: Suite = Suite {
        suite: "bullseye",
        package: "dash",
        version: "1.2",
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        program: "bin/dash",
    };

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-suite-{name}-{}", std::process::id()));
        make_empty(&folder).unwrap();
        folder
    }

    #[test]
    fn the_mirror_of_the_machine_is_asked_and_not_that_of_its_updates() {
        let targets = "http://a.test/debian-security/ bookworm-security main\n\
                       http://b.test/debian/ bookworm contrib\nhttp://b.test/debian/ bookworm main\n";
        assert_eq!(in_targets(targets).as_deref(), Some("http://b.test/debian/"));
        assert_eq!(in_targets("http://c.test/ubuntu/ noble main\n"), None);
    }

    #[test]
    fn a_changed_package_is_refused() {
        let folder = folder("changed");
        let deb = folder.join("dash.deb");
        fs::write(&deb, "abc").unwrap();
        check(&deb, &SHELL).unwrap();
        let failure = check(&deb, &Suite { sha256: "00", ..SHELL }).unwrap_err().to_string();
        assert_eq!(failure, format!("dash 1.2 has SHA-256 {}, expected 00", SHELL.sha256));
        remove(&folder).unwrap();
    }

    #[test]
    fn another_package_is_not_the_one_of_the_table() {
        let root = folder("stamp");
        let place = root.join(FOLDER).join("sh");
        make_empty(&place.join("bin")).unwrap();
        write(&place.join("bin/dash"), "").unwrap();
        assert!(!is_here(&root, "sh", &SHELL));
        write(&place.join(STAMP), "00").unwrap();
        assert!(!is_here(&root, "sh", &SHELL));
        write(&place.join(STAMP), SHELL.sha256).unwrap();
        assert!(is_here(&root, "sh", &SHELL));
        remove(&root).unwrap();
    }
}
