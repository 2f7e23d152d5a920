//! What several modules use.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use kit_base::{Endpoint, Error, Instance, Request, Response};

/// Answers with the id of its instance. Counted while it lives.
pub(crate) struct Named {
    id: String,
    _alive: Alive,
}

/// One of those that are counted.
pub(crate) struct Alive(Arc<AtomicUsize>);

impl Alive {
    pub(crate) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Named {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn factory(
        alive: &Arc<AtomicUsize>,
    ) -> impl Fn(&Instance) -> Result<Named, Infallible> + Send + Sync + 'static {
        let alive = Arc::clone(alive);
        move |instance| Ok(Named { id: instance.id.clone(), _alive: Alive::new(&alive) })
    }
}

impl Endpoint<Request<()>> for Named {
    type Response = Response<String>;
    type Error = Error;

    async fn call(&self, _: Request<()>) -> Result<Response<String>, Error> {
        Ok(Response::new(self.id.clone()))
    }
}

pub(crate) async fn call(endpoint: &impl Endpoint<Request<()>, Response = Response<String>, Error = Error>) -> String {
    endpoint.call(Request::new(())).await.expect("an answer").into_message()
}

/// Lets every task that can go on do so, in a runtime of one thread.
pub(crate) async fn settled() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
