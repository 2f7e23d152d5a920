//! What several modules use.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use kit_base::{Endpoint, Error, Instance, Request, Response};

/// Answers with the id of its instance, and counts how many of its kind there are.
pub(crate) struct Named {
    pub(crate) id: String,
    alive: Arc<AtomicUsize>,
}

impl Named {
    pub(crate) fn factory(
        alive: &Arc<AtomicUsize>,
    ) -> impl Fn(&Instance) -> Result<Named, Infallible> + Send + Sync + 'static {
        let alive = Arc::clone(alive);
        move |instance| {
            alive.fetch_add(1, SeqCst);
            Ok(Named { id: instance.id.clone(), alive: Arc::clone(&alive) })
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
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
    endpoint.call(Request::new(())).await.unwrap().into_message()
}
