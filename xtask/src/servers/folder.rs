//! Folders that are filled beside their place and then renamed, so that what was cut short is never taken for whole.

use std::fs;
use std::path::Path;

use crate::run::{Failure, Result};

pub(super) fn make_empty(folder: &Path) -> Result {
    remove(folder)?;
    fs::create_dir_all(folder).map_err(|error| failure(folder, &error))
}

pub(super) fn remove(folder: &Path) -> Result {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| failure(folder, &error))?;
    }
    Ok(())
}

/// Puts the filled folder in the place of what is there.
pub(super) fn put(part: &Path, whole: &Path) -> Result {
    remove(whole)?;
    fs::rename(part, whole).map_err(|error| failure(whole, &error))
}

pub(super) fn failure(path: &Path, error: &std::io::Error) -> Failure {
    Failure(format!("{}: {error}", path.display()))
}
