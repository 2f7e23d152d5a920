//! A crate outside of the workspace, as a user's would be, that has kit-base alone: its gate guards all five places.

use std::path::Path;
use std::process::Command;

/// Runs the tests of `tests/outside`, which call real servers and clients over loopback.
#[test]
fn a_crate_with_kit_base_alone_guards_all_five_places() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    // A flag or wrapper that the outer cargo runs with (for its coverage, its lints) is not meant for this build.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(variable);
    }
    let run = cargo
        .args(["test", "--locked", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside"))
        .current_dir(manifest.parent().unwrap())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{output}");
    let ran = output.lines().filter(|line| line.contains("test result: ok. 6 passed")).count();
    assert_eq!(ran, 1, "{output}");
}
