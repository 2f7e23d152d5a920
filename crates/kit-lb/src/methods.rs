//! The endpoints that were made from a connection, one for each method of a service.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

const NODE: usize = 8;

/// How many a connection keeps. Names that come from a caller (of a proxy, say) have no end.
pub(crate) const MOST: usize = 256;

/// The endpoints of a connection, made when first called. Found by number without a lock; they live as long as the
/// connection. An instance that nobody calls has room for none.
#[derive(Default)]
pub(crate) struct Methods(OnceLock<Box<Node>>);

#[derive(Default)]
struct Node {
    slots: [OnceLock<Box<dyn Any + Send + Sync>>; NODE],
    more: Methods,
}

/// An endpoint that is kept, or that was made for one call.
pub(crate) enum Made<'a, E> {
    Kept(&'a E),
    Once(Box<E>),
}

impl Methods {
    /// The endpoint of this number, made by `make` at the first call; beyond the most that are kept, at each call.
    #[inline]
    pub(crate) fn get_or_make<E: Send + Sync + 'static>(&self, number: usize, make: impl Fn() -> E) -> Made<'_, E> {
        match self.kept(number, &make) {
            Some(kept) => Made::Kept(kept),
            None => Made::once(make),
        }
    }

    fn kept<E: Send + Sync + 'static>(&self, number: usize, make: &impl Fn() -> E) -> Option<&E> {
        let node = self.0.get_or_init(Box::default);
        match node.slots.get(number) {
            Some(slot) => slot.get_or_init(|| Box::new(make())).downcast_ref(),
            None if number < MOST => node.more.kept(number - NODE, make),
            None => None,
        }
    }
}

impl<E> Made<'_, E> {
    #[cold]
    fn once(make: impl Fn() -> E) -> Self {
        Self::Once(Box::new(make()))
    }
}

impl<E> Deref for Made<'_, E> {
    type Target = E;

    #[inline]
    fn deref(&self) -> &E {
        match self {
            Self::Kept(kept) => kept,
            Self::Once(made) => made,
        }
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Methods").finish_non_exhaustive()
    }
}
