//! The state of one connection, shared by its stream, its requests and its driver.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use kit_base::Peer;
use tokio::net::TcpStream;

use crate::activity::Activity;
use crate::shared::Shared;

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    pub(crate) activity: Activity,
    /// Whether the stream asks the operating system itself for bytes of which the runtime does not know yet.
    probing: AtomicBool,
    /// The stream, once hyper is done with it: hyper drops it, and a connection that is to end well outlives that.
    left_over: Mutex<Option<TcpStream>>,
}

impl Link {
    pub(crate) fn new(shared: Arc<Shared>, peer: Peer) -> Self {
        Self { shared, peer, activity: Activity::new(), probing: AtomicBool::new(false), left_over: Mutex::new(None) }
    }

    pub(crate) fn set_probing(&self, probing: bool) {
        self.probing.store(probing, Relaxed);
    }

    pub(crate) fn is_probing(&self) -> bool {
        self.probing.load(Relaxed)
    }

    pub(crate) fn leave(&self, stream: TcpStream) {
        *self.left_over.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    }

    pub(crate) fn take_stream(&self) -> Option<TcpStream> {
        self.left_over.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A request that runs, until this is dropped: it travels in the service's future, then in the response's body.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Link>);

impl InFlight {
    pub(crate) fn begin(link: &Arc<Link>) -> Self {
        link.activity.request_began();
        link.shared.stats.request_began();
        Self(Arc::clone(link))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.activity.request_ended();
        self.0.shared.stats.request_ended();
    }
}
