//! The owner of the tasks of an HTTP/2 connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::rt::Executor;
use tokio::task::JoinSet;

/// Owns one task per HTTP/2 stream and ends them all when it is dropped: a task spawned freely would outlive its
/// server.
#[derive(Debug)]
pub(crate) struct Streams(Spawner);

/// Starts tasks that belong to a [`Streams`].
#[derive(Clone, Debug)]
pub(crate) struct Spawner(Arc<Mutex<Option<JoinSet<()>>>>);

impl Streams {
    pub(crate) fn new() -> Self {
        Self(Spawner(Arc::new(Mutex::new(Some(JoinSet::new())))))
    }

    pub(crate) fn spawner(&self) -> Spawner {
        self.0.clone()
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        // Each task holds a spawner, so the set would never go away by itself.
        let tasks = self.0.lock().take();
        drop(tasks);
    }
}

impl Spawner {
    fn lock(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        if let Some(tasks) = self.lock().as_mut() {
            // Ended tasks leave the set here, so it holds at most as many as ran at once.
            while tasks.try_join_next().is_some() {}
            tasks.spawn(future);
        }
    }
}
