//! What policies tell about themselves, in one small vocabulary.

use std::sync::Arc;

/// Something that a policy did: a breaker opened, a limiter refused, an instance was added.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event<'a> {
    /// Who tells it: the crate's noun, `"breaker"`.
    pub source: &'static str,
    /// What happened, in the past tense: `"opened"`.
    pub what: &'static str,
    /// What it happened to, bounded in number: an operation, an instance. Empty where there is only one.
    pub key: &'a str,
    /// How much of it; 1 for an occurrence.
    pub amount: f64,
}

impl<'a> Event<'a> {
    /// One occurrence.
    pub const fn new(source: &'static str, what: &'static str, key: &'a str) -> Self {
        Self { source, what, key, amount: 1.0 }
    }
}

/// Whoever wants to know: metrics, a log, a recorder. Called on the path of the call, so it must be quick and not block.
///
/// A closure `Fn(&Event)` is one; `()` wants to know nothing and costs nothing.
pub trait Observer: Send + Sync {
    /// Takes note.
    fn observe(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync> Observer for F {
    fn observe(&self, event: &Event<'_>) {
        self(event);
    }
}

impl Observer for () {
    fn observe(&self, _: &Event<'_>) {}
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, event: &Event<'_>) {
        (**self).observe(event);
    }
}
