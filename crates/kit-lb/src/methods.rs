//! The endpoints that were made from a connection, one for each method of a service.

use std::any::Any;
use std::fmt;
use std::sync::OnceLock;

const NODE: usize = 8;

/// The endpoints of a connection, made when first called. Found by number without a lock; they live as long as the
/// connection.
#[derive(Default)]
pub(crate) struct Methods {
    slots: [OnceLock<Box<dyn Any + Send + Sync>>; NODE],
    more: OnceLock<Box<Methods>>,
}

impl Methods {
    /// The endpoint of this number, made by `make` at the first call. Nothing where another type has the number.
    pub(crate) fn get_or_make<E: Send + Sync + 'static>(&self, number: usize, make: impl FnOnce() -> E) -> Option<&E> {
        match self.slots.get(number) {
            Some(slot) => slot.get_or_init(|| Box::new(make())).downcast_ref(),
            None => self.more.get_or_init(Box::default).get_or_make(number - NODE, make),
        }
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Methods").finish_non_exhaustive()
    }
}
