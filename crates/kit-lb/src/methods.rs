//! The endpoints that were made from a connection, one for each method of a service.

use std::any::Any;
use std::fmt;
use std::sync::OnceLock;

const NODE: usize = 8;

/// The endpoints of a connection, made when first called. Found by number without a lock; they live as long as the
/// connection. An instance that nobody calls has room for none.
#[derive(Default)]
pub(crate) struct Methods(OnceLock<Box<Node>>);

#[derive(Default)]
struct Node {
    slots: [OnceLock<Box<dyn Any + Send + Sync>>; NODE],
    more: Methods,
}

impl Methods {
    /// The endpoint of this number, made by `make` at the first call. Nothing where another type has the number.
    pub(crate) fn get_or_make<E: Send + Sync + 'static>(&self, number: usize, make: impl FnOnce() -> E) -> Option<&E> {
        let node = self.0.get_or_init(Box::default);
        match node.slots.get(number) {
            Some(slot) => slot.get_or_init(|| Box::new(make())).downcast_ref(),
            None => node.more.get_or_make(number - NODE, make),
        }
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Methods").finish_non_exhaustive()
    }
}
