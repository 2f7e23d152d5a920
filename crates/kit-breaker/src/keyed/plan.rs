//! The settings that all circuits share.

use std::sync::Arc;

use crate::rules::Rules;
use crate::{InvalidSettings, Settings};

/// Checked settings, to make circuits by.
pub(super) struct Plan {
    settings: Arc<Settings>,
    /// The rules of all circuits, where they count in nothing of their own.
    shared: Option<Arc<Rules>>,
}

impl Plan {
    pub(super) fn new(settings: Settings) -> Result<Self, InvalidSettings> {
        settings.check()?;
        let settings = Arc::new(settings);
        let keeps_nothing = !settings.measures() && settings.policy.is_none();
        let shared = keeps_nothing.then(|| Arc::new(Rules::of_checked(Arc::clone(&settings))));
        Ok(Self { settings, shared })
    }

    /// The rules of one more circuit.
    pub(super) fn rules(&self) -> Arc<Rules> {
        self.shared.clone().unwrap_or_else(|| Arc::new(Rules::of_checked(Arc::clone(&self.settings))))
    }
}
