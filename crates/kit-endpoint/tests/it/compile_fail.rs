//! Mistakes, and the first line of what the compiler says of each.
//!
//! A case is a file in `tests/compile_fail`. Its first line is the expected first line of the first error; lines that
//! end in `// here` are where that error must point. All cases are programs of one throw-away package, so that what
//! they need is checked once.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    message: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    message: String,
    rendered: Option<String>,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    is_primary: bool,
}

#[test]
fn each_mistake_is_named_in_the_first_line_of_the_first_error() {
    let cases = cases();
    assert!(cases.len() >= 15, "{} cases are too few to be all", cases.len());
    let errors = first_errors(&cases);
    let mut wrong = String::new();
    for (name, path) in &cases {
        let source = fs::read_to_string(path).unwrap();
        let expected = source.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap();
        let Some(error) = errors.get(name) else {
            writeln!(wrong, "{name}: compiles\n  expected: {expected}\n").unwrap();
            continue;
        };
        if error.message.lines().next() != Some(expected) || !points_at_marked_line(error, &source) {
            let rendered = error.rendered.as_deref().unwrap_or(&error.message);
            writeln!(wrong, "{name}:\n  expected: {expected}\n{rendered}\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn cases() -> BTreeMap<String, PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

/// Whether an error stands at a line that ends in `// here`, if there is one.
fn points_at_marked_line(error: &Diagnostic, source: &str) -> bool {
    let lines: Vec<&str> = source.lines().collect();
    if !lines.iter().any(|line| line.ends_with("// here")) {
        return true;
    }
    let mut primary = error.spans.iter().filter(|span| span.is_primary && span.file_name.contains("compile_fail"));
    primary.any(|span| lines.get(span.line_start - 1).is_some_and(|line| line.ends_with("// here")))
}

/// Checks all cases as the programs of one package; gives the first error of each.
fn first_errors(cases: &BTreeMap<String, PathBuf>) -> BTreeMap<String, Diagnostic> {
    let package = write_package(cases);
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--offline", "--keep-going", "--bins", "--message-format=json"])
        .arg("--target-dir")
        .arg(package.join("target"))
        .current_dir(&package)
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut errors = BTreeMap::new();
    for line in text.lines() {
        let Message { target: Some(target), message: Some(message) } = serde_json::from_str(line).unwrap() else {
            continue;
        };
        if message.level == "error" {
            errors.entry(target.name).or_insert(message);
        }
    }
    assert!(!errors.is_empty(), "nothing was compiled:\n{}", String::from_utf8_lossy(&output.stderr));
    errors
}

fn write_package(cases: &BTreeMap<String, PathBuf>) -> PathBuf {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    fs::create_dir_all(&package).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut manifest = format!(
        "[package]\nname = \"compile_fail\"\nversion = \"0.0.0\"\nedition = \"2024\"\nautobins = false\n\n\
         [dependencies]\nkit-endpoint = {{ path = {root:?} }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n\n[workspace]\n"
    );
    for (name, path) in cases {
        write!(manifest, "\n[[bin]]\nname = {name:?}\npath = {path:?}\n").unwrap();
    }
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    // The versions that the workspace has, which are here already: nothing is fetched.
    fs::copy(root.join("../../Cargo.lock"), package.join("Cargo.lock")).unwrap();
    package
}
