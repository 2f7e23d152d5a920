//! An instancer as a stream of tower's changes.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use kit_base::{Instance, Instancer};
use kit_lb::{Changes, Settings};
use tower::discover::Change;

/// What an instancer finds, as tower's [`Discover`](tower::discover::Discover): services by the id of their instance.
///
/// The stream never fails and never ends: the [set stays](crate#behaviour) where the registry fails, or the instancer ends.
/// It is [`Unpin`] and [`Send`], as tower's `Balance` and `Buffer` want it.
#[derive(Debug)]
pub struct Discovered<S> {
    changes: Changes<S>,
}

impl<S> Discovered<S> {
    /// The instances that this instancer finds, each with the service that the factory makes for it.
    ///
    /// The factory must not wait: let the service connect when it is called or asked whether it is ready. One that fails, or
    /// panics, is tried again after a pause, up to 100 ms at first and up to 10 s later; its instance is not told of before.
    pub fn new<I, F, E>(instancer: I, factory: F) -> Self
    where
        I: Instancer + 'static,
        F: Fn(&Instance) -> Result<S, E> + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self::with(Settings::default(), instancer, factory)
    }

    /// The same with other pauses, and with an observer, which is told when instances are added and removed and when the
    /// factory fails. [`Settings::first_wait`] has no meaning here.
    pub fn with<I, F, E>(settings: Settings, instancer: I, factory: F) -> Self
    where
        I: Instancer + 'static,
        F: Fn(&Instance) -> Result<S, E> + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self { changes: Changes::with(settings, instancer, factory) }
    }
}

/// *Panics*, where the factory fails, outside of a tokio runtime with time.
impl<S> Stream for Discovered<S> {
    type Item = Result<Change<Arc<str>, S>, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().changes.poll_next(cx).map(|change| {
            Some(Ok(match change {
                kit_lb::Change::Insert(id, service) => Change::Insert(id, service),
                kit_lb::Change::Remove(id) => Change::Remove(id),
            }))
        })
    }
}
