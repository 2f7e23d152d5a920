//! A value that is only reached by whoever owns it.

use std::sync::{Mutex, PoisonError};

/// May be shared between threads, since nothing can be done with it there: what `std::sync::Exclusive` will be. The lock
/// is never taken.
pub(crate) struct Exclusive<T>(Mutex<T>);

impl<T> Exclusive<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}
