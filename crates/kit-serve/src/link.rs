//! The state of one connection, shared by its stream, its requests and its driver.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use kit_base::Peer;
use tokio::sync::Notify;

use crate::activity::Activity;
use crate::shared::Shared;
use crate::stream::Stream;

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    /// Whether the connection is under TLS, so that its requests are for `https`.
    pub(crate) is_secure: bool,
    /// Whether the peer's word is taken for the addresses of the clients behind it.
    pub(crate) is_proxy: bool,
    pub(crate) activity: Activity,
    /// Whether the stream asks the operating system itself for bytes of which the runtime does not know yet.
    probing: AtomicBool,
    /// Whether the connection was dropped with answers on their way.
    broken: AtomicBool,
    /// The stream, once hyper or who took it over is done with it and drops it: a connection that is to end well
    /// outlives that.
    left_over: Mutex<Option<Stream>>,
    left: Notify,
    /// A second handle on a socket that was upgraded and so is somebody else's, to cut it by.
    handle: Mutex<Option<socket2::Socket>>,
}

impl Link {
    pub(crate) fn new(shared: Arc<Shared>, peer: Peer, is_secure: bool) -> Self {
        let is_proxy = shared.forwarding.as_ref().is_some_and(|forwarding| forwarding.proxies.trusts_peer(peer.addr));
        Self {
            shared,
            peer,
            is_secure,
            is_proxy,
            activity: Activity::new(),
            probing: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            left_over: Mutex::new(None),
            left: Notify::new(),
            handle: Mutex::new(None),
        }
    }

    /// The peer of a request: the client, where a trusted proxy tells of one.
    pub(crate) fn peer_of(&self, headers: &HeaderMap) -> Peer {
        let mut peer = self.peer.clone();
        if self.is_proxy {
            let forwarding = self.shared.forwarding.as_ref();
            peer.addr = forwarding.and_then(|forwarding| forwarding.client(headers)).or(peer.addr);
        }
        peer
    }

    pub(crate) fn set_probing(&self, probing: bool) {
        self.probing.store(probing, Relaxed);
    }

    pub(crate) fn is_probing(&self) -> bool {
        self.probing.load(Relaxed)
    }

    pub(crate) fn leave(&self, stream: Stream) {
        if self.broken.load(Relaxed) {
            stream.socket().reset_on_close();
        }
        *lock(&self.left_over) = Some(stream);
        self.left.notify_one();
    }

    /// For the time in which HTTP is spoken: whoever is dropped in it, as at the end of the stop, breaks its answers off.
    pub(crate) fn whole_or_broken(&self) -> WholeOrBroken<'_> {
        WholeOrBroken(Some(self))
    }

    pub(crate) fn take_stream(&self) -> Option<Stream> {
        lock(&self.left_over).take()
    }

    /// Waits until the stream of an upgraded connection was dropped. Dropping this future before cuts the connection.
    pub(crate) async fn stream_left(&self) {
        let cut = CutOnDrop(self);
        self.left.notified().await;
        drop(cut);
    }

    /// Keeps a way to cut the connection once its stream is somebody else's.
    pub(crate) fn keep_handle(&self, stream: &Stream) -> io::Result<()> {
        let mut handle = lock(&self.handle);
        if handle.is_none() {
            *handle = Some(stream.socket().try_clone()?);
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the end of a connection a reset if this is dropped while answers are on their way: to some clients (HTTP/1.0) the
/// end of the connection is that of the answer.
pub(crate) struct WholeOrBroken<'a>(Option<&'a Link>);

impl WholeOrBroken<'_> {
    pub(crate) fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for WholeOrBroken<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.0 {
            link.broken.store(link.activity.is_answering(), Relaxed);
        }
    }
}

/// Ends both directions of an upgraded socket, whoever holds it, and gives the second handle back.
struct CutOnDrop<'a>(&'a Link);

impl Drop for CutOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(socket) = lock(&self.0.handle).take() {
            // Fails when the client was faster, which is as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
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

    /// The service gives the connection, or this stream of it, to another protocol.
    pub(crate) fn upgrades(&self) {
        self.0.activity.set_upgraded();
    }

    /// For a part of the answer's body.
    pub(crate) fn unsent(&self) -> Unsent {
        self.0.activity.part_began();
        Unsent(Arc::clone(&self.0))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.activity.request_ended();
        self.0.shared.stats.request_ended();
    }
}

/// A part of a body on its way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Unsent(Arc<Link>);

impl Unsent {
    pub(crate) fn advanced(&self, bytes: usize) {
        self.0.activity.part_advanced(bytes);
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.0.activity.part_ended();
    }
}
