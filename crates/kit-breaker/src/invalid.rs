//! The error of settings that make no sense.

use std::error::Error as StdError;
use std::fmt;

/// A setting that makes no sense. It says which one, what it was, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSettings(pub(crate) String);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for InvalidSettings {}
