//! What the checks look at: the packages of the workspace, from `cargo metadata`, and its files.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::{Failure, Program, Result};

/// The workspace as it is on disk; all paths are relative to `root`.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) packages: Vec<Package>,
    /// Files that are, or could be, under version control; sorted.
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The folder, relative to the workspace.
    pub(crate) dir: PathBuf,
    pub(crate) publish: bool,
    pub(crate) proc_macro: bool,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: Vec<String>,
    pub(crate) bins: Vec<String>,
    pub(crate) benches: Vec<String>,
    /// The package's entry in `cargo metadata`, for the fields that are only checked to be there.
    pub(crate) metadata: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

impl Package {
    /// A crate that users get: it lies in `crates/`, and the manifest does not forbid publishing.
    pub(crate) fn published(&self) -> bool {
        self.publish && self.in_crates()
    }

    pub(crate) fn in_crates(&self) -> bool {
        self.dir.starts_with("crates")
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.dir.join("Cargo.toml")
    }
}

impl Workspace {
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let text = Program::cargo(root).args(["metadata", "--no-deps", "--format-version", "1"]).capture()?;
        let metadata: Value = serde_json::from_str(&text)
            .map_err(|error| Failure(format!("cannot read the output of cargo metadata: {error}")))?;
        // Cargo resolves links in its own paths, so folders are made relative to the root that cargo names.
        let cargo_root = PathBuf::from(text_of(&metadata, "workspace_root"));
        let mut packages: Vec<Package> =
            list(&metadata, "packages").iter().map(|value| package(value, &cargo_root)).collect();
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { root: root.to_owned(), packages, files: files(root)? })
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// A file's text; empty if it is not there or no text, since whoever asks reports what is missing in it.
    pub(crate) fn read(&self, path: &Path) -> String {
        std::fs::read(self.root.join(path))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    pub(crate) fn files_with(&self, extension: &str) -> impl Iterator<Item = &Path> {
        let matches = move |path: &&PathBuf| path.extension().is_some_and(|found| found == extension);
        self.files.iter().filter(matches).map(PathBuf::as_path)
    }
}

/// The workspace's folder: cargo names xtask's own when it runs it.
pub(crate) fn root() -> PathBuf {
    let manifest_dir =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest_dir.parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn package(value: &Value, root: &Path) -> Package {
    let manifest = PathBuf::from(text_of(value, "manifest_path"));
    let dir = manifest.parent().unwrap_or(Path::new(""));
    let targets = list(value, "targets");
    let named = |kind: &str| -> Vec<String> {
        targets.iter().filter(|target| has_kind(target, kind)).map(|target| text_of(target, "name")).collect()
    };
    Package {
        name: text_of(value, "name"),
        version: text_of(value, "version"),
        dir: dir.strip_prefix(root).unwrap_or(dir).to_owned(),
        // `publish = false` is an empty list of registries.
        publish: value.get("publish").and_then(Value::as_array).is_none_or(|registries| !registries.is_empty()),
        proc_macro: targets.iter().any(|target| has_kind(target, "proc-macro")),
        dependencies: list(value, "dependencies").iter().map(dependency).collect(),
        features: value
            .get("features")
            .and_then(Value::as_object)
            .map(|features| features.keys().cloned().collect())
            .unwrap_or_default(),
        bins: named("bin"),
        benches: named("bench"),
        metadata: value.clone(),
    }
}

fn dependency(value: &Value) -> Dependency {
    let kind = match value.get("kind").and_then(Value::as_str) {
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        _ => Kind::Normal,
    };
    Dependency { name: text_of(value, "name"), kind }
}

fn has_kind(target: &Value, kind: &str) -> bool {
    list(target, "kind").iter().any(|found| found == kind)
}

fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Git's view where there is one (new files too, ignored ones not), else all files.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let git =
        Program::new("git").dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).capture();
    let mut files = match git {
        Ok(names) => names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect(),
        // No git, no repository, or one that git does not trust.
        Err(_) => {
            let mut found = Vec::new();
            walk(root, Path::new(""), &mut found)
                .map_err(|error| Failure(format!("cannot list the files in {}: {error}", root.display())))?;
            found
        }
    };
    files.retain(|path| root.join(path).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root.join(dir))? {
        let entry = entry?;
        let path = dir.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            found.push(path);
        } else if path != Path::new("target") && path != Path::new(".git") {
            walk(root, &path, found)?;
        }
    }
    Ok(())
}
