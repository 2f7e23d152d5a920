//! Folders that vanish with the test.

use std::io;

/// A folder that is removed with all its content on drop, also when the test panics. It stays when the process is
/// killed; then it is in the system's temporary folder under a name that begins with `kit-test-`.
pub use tempfile::TempDir;

/// Makes a new, empty folder.
///
/// ```
/// let folder = kit_testing::temp::temp_dir()?;
/// std::fs::write(folder.path().join("hosts.json"), "[]")?;
///
/// let path = folder.path().to_owned();
/// drop(folder);
/// assert!(!path.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// When the system's temporary folder cannot be written.
pub fn temp_dir() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("kit-test-").tempdir()
}
