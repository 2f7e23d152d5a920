//! Missing programs are skipped with a line, and never in CI.

use std::process::{Command, Output};

use kit_testing::tools::{find, skip_unless, skip_unless_or};

use crate::rerun::{has_role, in_role};

const MISSING: &str = "kit-no-such-program";

fn run(name: &str, ci: Option<&str>) -> Output {
    let mut command: Command = in_role(&format!("tools::{name}"), "skipper");
    command.env_remove("CI");
    if let Some(ci) = ci {
        command.env("CI", ci);
    }
    command.output().unwrap()
}

#[test]
fn a_program_on_the_path_is_found() {
    assert!(skip_unless("cat"));
    assert!(find("cat").unwrap().is_absolute());
}

#[test]
fn a_missing_program_skips_with_one_line() {
    if has_role("skipper") {
        assert!(!skip_unless(MISSING));
        return;
    }
    for ci in [None, Some("false"), Some("0"), Some("")] {
        let output = run("a_missing_program_skips_with_one_line", ci);
        assert!(output.status.success());
        let stderr = String::from_utf8(output.stderr).unwrap();
        let line = "skipped: `kit-no-such-program` is missing; to run this test, install it, on Debian by \
                    `apt-get install kit-no-such-program`\n";
        assert_eq!(stderr, line);
    }
}

#[test]
fn a_missing_program_fails_in_ci() {
    if has_role("skipper") {
        let _ = skip_unless_or(MISSING, "run `get-it`");
        return;
    }
    let output = run("a_missing_program_fails_in_ci", Some("true"));
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("`kit-no-such-program` is missing, and CI skips nothing: run `get-it`"), "{said}");
}

#[test]
fn a_program_that_ci_may_lack_is_skipped_there_with_the_line() {
    if has_role("skipper") {
        let _ = skip_unless_or("/no/such/folder/kit-no-such-program", "run `get-it`");
        return;
    }
    let name = "a_program_that_ci_may_lack_is_skipped_there_with_the_line";
    let run = |lacks: &str| {
        let mut command = in_role(&format!("tools::{name}"), "skipper");
        command.env("CI", "true").env("KIT_TESTING_MAY_LACK", lacks).output().unwrap()
    };
    let output = run("other, kit-no-such-program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("skipped: `/no/such/folder/kit-no-such-program` is missing"), "{stderr}");
    for lacks in ["", "other", "kit-no-such", "no-such-program"] {
        assert!(!run(lacks).status.success(), "{lacks:?} excuses nothing");
    }
}
