//! Why there is no instance to call.

use std::sync::Arc;

use kit_base::{Error, Instances, Origin};

use crate::Set;
use crate::set::Basis;

impl<C, K> Set<C, K> {
    /// Why the choice took none; nothing while none is known yet, and so it is worth to wait.
    #[cold]
    pub(crate) fn why_none(&self) -> Option<Error> {
        let Basis { told, failure } = &self.basis;
        let (why, cause) = match &told.instances {
            _ if !self.is_empty() => return Some(no_endpoints(&format!("the choice takes none of {}", self.len()))),
            Instances::Pending => ("the registry cannot be asked", Some(told.error.as_ref()?)),
            Instances::Absent => ("the registry does not know the service", told.error.as_ref()),
            Instances::Known(known) if known.is_empty() => ("the service has no instances", told.error.as_ref()),
            Instances::Known(_) if failure.is_some() => ("no instance can be connected", failure.as_ref()),
            Instances::Known(_) => ("every instance has the weight 0", None),
        };
        Some(match cause {
            Some(cause) => no_endpoints(why).with_source(Arc::clone(cause)),
            None => no_endpoints(why),
        })
    }
}

/// The error of a call for which there is no instance.
pub(crate) fn no_endpoints(why: &str) -> Error {
    Error::unavailable(format!("no endpoints available: {why}")).with_origin(Origin::NotSent)
}
