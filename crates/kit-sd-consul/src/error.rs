//! What can be wrong with a setting.

use std::error::Error as StdError;
use std::fmt;

/// A setting that makes no sense. Shows the bad value, but no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSetting(String);

impl InvalidSetting {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for InvalidSetting {}
