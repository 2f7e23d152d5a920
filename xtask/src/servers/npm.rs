//! Programs out of packages of the npm registry, by curl and tar: neither node nor npm is needed.

use std::fs;
use std::path::{Path, PathBuf};

use super::folder::{failure, make_empty, put};
use super::table::Npm;
use crate::run::{Failure, Program, Result};

/// Where they go, relative to the workspace: a folder of the row's name for each.
const FOLDER: &str = "target/servers/npm";
const REGISTRY: &str = "https://registry.npmjs.org";

/// Whether it is unpacked, in the version of the table.
pub(super) fn is_here(root: &Path, name: &str, npm: &Npm) -> bool {
    let folder = root.join(FOLDER).join(name);
    let package = fs::read_to_string(folder.join("package.json")).unwrap_or_default();
    let package: serde_json::Value = serde_json::from_str(&package).unwrap_or_default();
    package["version"] == npm.version && folder.join(npm.program).is_file()
}

pub(super) fn install(root: &Path, name: &str, npm: &Npm) -> Result {
    let folder = root.join(FOLDER);
    println!("installing into {FOLDER}/{name}: {}@{}", npm.package, npm.version);
    let part = folder.join(format!("{name}.part"));
    let tarball = part.join("package.tgz");
    make_empty(&part)?;
    let url = tarball_url(&registry(), npm);
    // A mirror that hangs is an error too.
    let patience = ["--retry", "3", "--connect-timeout", "20", "--speed-limit", "1", "--speed-time", "30"];
    Program::new("curl").arg("-fsSL").args(patience).arg("-o").arg(&tarball).arg(url).run()?;
    check(&tarball, npm)?;
    Program::new("tar")
        .args(["-x", "-z", "--strip-components=1", "-C"])
        .arg(&part)
        .arg("-f")
        .arg(&tarball)
        .args(["package/package.json", &format!("package/{}", npm.program)])
        .run()?;
    fs::remove_file(&tarball).map_err(|error| failure(&tarball, &error))?;
    put(&part, &folder.join(name))
}

/// A package that is not the one that was looked at must not run.
fn check(tarball: &Path, npm: &Npm) -> Result {
    let output = Program::new("sha512sum").arg(tarball).capture()?;
    let found = output.split_whitespace().next().unwrap_or_default();
    if found == npm.sha512 {
        return Ok(());
    }
    let expected = npm.sha512;
    Err(Failure(format!("{}@{} has SHA-512 {found}, expected {expected}", npm.package, npm.version)))
}

fn tarball_url(registry: &str, npm: &Npm) -> String {
    let file = npm.package.rsplit('/').next().unwrap_or(npm.package);
    format!("{}/{}/-/{file}-{}.tgz", registry.trim_end_matches('/'), npm.package, npm.version)
}

/// The mirror that npm itself would ask: of the environment, or of the user's settings.
fn registry() -> String {
    let set = ["npm_config_registry", "NPM_CONFIG_REGISTRY"].iter().find_map(|name| std::env::var(name).ok());
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    set.filter(|url| !url.is_empty())
        .or_else(|| in_settings(&fs::read_to_string(home.join(".npmrc")).ok()?))
        .unwrap_or_else(|| REGISTRY.to_owned())
}

fn in_settings(npmrc: &str) -> Option<String> {
    let mut settings = npmrc.lines().rev().filter_map(|line| line.split_once('='));
    let (_, registry) = settings.find(|(name, _)| name.trim() == "registry")?;
    Some(registry.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::folder::remove;
    use super::*;

    const SHELL: Npm = Npm { package: "@some/sh-linux", version: "1.2.3", sha512: "00", program: "bin/sh" };

    #[test]
    fn a_tarball_is_where_registries_and_their_mirrors_have_it() {
        let url = "https://mirror.test/npm/@some/sh-linux/-/sh-linux-1.2.3.tgz";
        assert_eq!(tarball_url("https://mirror.test/npm/", &SHELL), url);
        assert_eq!(tarball_url("https://mirror.test/npm", &SHELL), url);
        let plain = Npm { package: "sh", ..SHELL };
        assert_eq!(tarball_url("https://mirror.test", &plain), "https://mirror.test/sh/-/sh-1.2.3.tgz");
    }

    #[test]
    fn a_mirror_is_read_from_the_settings_of_npm() {
        assert_eq!(in_settings("fund=false\nregistry = \"https://a.test/\"\n").as_deref(), Some("https://a.test/"));
        assert_eq!(in_settings("@scope:registry=https://a.test/\n"), None);
    }

    #[test]
    fn a_changed_package_is_refused() {
        let folder = std::env::temp_dir().join(format!("xtask-npm-changed-{}", std::process::id()));
        make_empty(&folder).unwrap();
        let tarball = folder.join("package.tgz");
        fs::write(&tarball, "abc").unwrap();
        let failure = check(&tarball, &SHELL).unwrap_err().to_string();
        assert!(failure.starts_with("@some/sh-linux@1.2.3 has SHA-512 ddaf35a193617aba"), "{failure}");
        assert!(failure.ends_with(", expected 00"), "{failure}");
        let abc = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                   2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        check(&tarball, &Npm { sha512: abc, ..SHELL }).unwrap();
        remove(&folder).unwrap();
    }

    #[test]
    fn another_version_is_not_the_one_of_the_table() {
        let root = std::env::temp_dir().join(format!("xtask-npm-version-{}", std::process::id()));
        let folder = root.join(FOLDER).join("sh");
        make_empty(&folder.join("bin")).unwrap();
        assert!(!is_here(&root, "sh", &SHELL));
        fs::write(folder.join("bin/sh"), "").unwrap();
        fs::write(folder.join("package.json"), r#"{"version": "1.2.2"}"#).unwrap();
        assert!(!is_here(&root, "sh", &SHELL));
        fs::write(folder.join("package.json"), r#"{"version": "1.2.3"}"#).unwrap();
        assert!(is_here(&root, "sh", &SHELL));
        remove(&root).unwrap();
    }
}
