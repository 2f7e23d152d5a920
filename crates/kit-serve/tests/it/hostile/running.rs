//! A service that counts how many of its futures live at once.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use http::{Request, Response};
use kit_serve::RequestBody;

use crate::support::{Body, text};

#[derive(Clone, Debug, Default)]
pub(super) struct Running {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    begun: Arc<AtomicUsize>,
}

struct Alive(Running);

impl Running {
    pub(super) fn most(&self) -> usize {
        self.most.load(SeqCst)
    }

    pub(super) fn begun(&self) -> usize {
        self.begun.load(SeqCst)
    }

    /// Over HTTP/2 a POST hangs until its future is dropped; all else is answered.
    pub(super) fn serve(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + use<> {
        let hangs = request.method() == http::Method::POST;
        // Counted from the call on, not from the first poll.
        let alive = hangs.then(|| {
            let now = self.now.fetch_add(1, SeqCst) + 1;
            self.most.fetch_max(now, SeqCst);
            self.begun.fetch_add(1, SeqCst);
            Alive(self.clone())
        });
        async move {
            let _request = request;
            if let Some(_alive) = alive {
                std::future::pending::<()>().await;
            }
            Ok(text("hello"))
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}
