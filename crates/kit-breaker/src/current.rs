//! The rules in use, which a change replaces.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

use arc_swap::{ArcSwapOption, Guard};

use crate::rules::Rules;

/// Rules that nobody has changed yet are looked at in place, which costs one load. Later ones are held while they are looked
/// at, which costs two locked instructions: most of what a call would cost.
#[derive(Debug)]
pub(crate) struct Current {
    first: Arc<Rules>,
    changed: AtomicBool,
    later: ArcSwapOption<Rules>,
}

impl Current {
    pub(crate) fn new(first: Arc<Rules>) -> Self {
        Self { first, changed: AtomicBool::new(false), later: ArcSwapOption::empty() }
    }

    #[inline]
    pub(crate) fn load(&self) -> Loaded<'_> {
        if self.changed.load(Acquire) { self.load_later() } else { Loaded::First(&self.first) }
    }

    #[cold]
    fn load_later(&self) -> Loaded<'_> {
        Loaded::Later(self.later.load(), &self.first)
    }

    pub(crate) fn store(&self, rules: Arc<Rules>) {
        self.later.store(Some(rules));
        self.changed.store(true, Release);
    }
}

/// Rules that stay while they are looked at.
pub(crate) enum Loaded<'a> {
    First(&'a Rules),
    /// And the first ones, in whose place they are.
    Later(Guard<Option<Arc<Rules>>>, &'a Rules),
}

impl Deref for Loaded<'_> {
    type Target = Rules;

    #[inline]
    fn deref(&self) -> &Rules {
        match self {
            Self::First(first) => first,
            Self::Later(later, first) => later.as_deref().unwrap_or(first),
        }
    }
}
