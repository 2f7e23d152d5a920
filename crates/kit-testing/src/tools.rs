//! Programs that a test needs and a machine may lack.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Whether a test that needs `program` may go on.
///
/// Where the program is missing and the environment variable `CI` is set to something other than `false`, `0` or
/// nothing, it panics: what CI leaves out, nobody tests. Elsewhere it writes one line to stderr that says how to get
/// the program, and returns false.
///
/// In CI it does so too for the programs whose names stand in the variable `KIT_TESTING_MAY_LACK`, separated by commas:
/// those that whoever runs CI has tried to get, and that are no longer to be had.
///
/// ```
/// use kit_testing::tools::skip_unless;
///
/// fn curl_sees_the_health_page() {
///     if !skip_unless("curl") {
///         return;
///     }
///     // ...
/// }
/// # curl_sees_the_health_page();
/// ```
///
/// # Panics
///
/// In CI, when the program is missing.
#[must_use = "a test whose program is missing must return"]
pub fn skip_unless(program: &str) -> bool {
    skip_unless_or(program, &format!("install it, on Debian by `apt-get install {program}`"))
}

/// As [`skip_unless`], for a program that is not in a package of its own name. `how_to_get_it` ends the message.
///
/// # Panics
///
/// In CI, when the program is missing.
#[must_use = "a test whose program is missing must return"]
pub fn skip_unless_or(program: &str, how_to_get_it: &str) -> bool {
    if find(program).is_some() {
        return true;
    }
    let why = format!("`{program}` is missing");
    if ci_may_lack(program) {
        say_skipped(&why, how_to_get_it);
    } else {
        skip(&why, how_to_get_it);
    }
    false
}

/// Whether whoever runs CI says that it may go on without this program, by its name or the last part of its path.
fn ci_may_lack(program: &str) -> bool {
    let name = Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or(program);
    env::var("KIT_TESTING_MAY_LACK").is_ok_and(|names| names.split(',').any(|lacked| lacked.trim() == name))
}

/// Says why a test is skipped, or panics in CI.
pub(crate) fn skip(why: &str, how_to_get_it: &str) {
    let ci = env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"));
    assert!(!ci, "{why}, and CI skips nothing: {how_to_get_it}");
    say_skipped(why, how_to_get_it);
}

/// Says why a test is skipped, also in CI: for what no test run can get by itself.
pub(crate) fn say_skipped(why: &str, how_to_get_it: &str) {
    // Not `eprintln!`: the test harness swallows what a passing test prints by it.
    let _ = writeln!(io::stderr(), "skipped: {why}; to run this test, {how_to_get_it}");
}

/// Where a program is, as a shell would find it on `PATH`.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &std::path::Path) -> bool {
    file.is_file() || file.with_extension("exe").is_file()
}
