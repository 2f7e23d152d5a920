//! The subjects: an endpoint of no work, and what one would write by hand to balance over some of them.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use kit_base::{Connect, End, Endpoint, Error, Gate, Instance, Now, Operation, Request, Response};
use tower::Service;

/// A connection of no work: it looks at the request, and answers at its first poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf;

impl Leaf {
    pub(crate) fn factory(_: &Instance) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

impl Endpoint<Request<u64>> for Leaf {
    type Response = Response<u64>;
    type Error = Error;

    async fn call(&self, request: Request<u64>) -> Result<Response<u64>, Error> {
        Ok(Response::new(black_box(request.into_message())))
    }
}

/// A gate that does nothing.
#[derive(Debug)]
pub(crate) struct Idle;

impl<Req, Res, Err> Gate<Req, Res, Err> for Idle {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn finish(&self, (): (), _: &End<'_>) {}
}

/// As a client of a whole service.
impl Connect<kit_base::Unary, u64, u64> for Leaf {
    type Endpoint = Self;

    fn connect(&self, _: Operation) -> Self {
        *self
    }
}

/// The same as a tower service.
impl Service<Request<u64>> for Leaf {
    type Response = Response<u64>;
    type Error = Error;
    type Future = Ready<Result<Response<u64>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<u64>) -> Self::Future {
        ready(Ok(Response::new(black_box(request.into_message()))))
    }
}

/// The least that balances over a list that may be replaced: no records, no weights, nobody rests.
#[derive(Debug)]
pub(crate) struct ByHand {
    nodes: ArcSwap<Vec<Arc<Node>>>,
    calls: AtomicUsize,
}

/// One of the list.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) leaf: Leaf,
    pending: AtomicU64,
}

impl ByHand {
    pub(crate) fn new(instances: usize) -> Self {
        let node = |_| Arc::new(Node { leaf: Leaf, pending: AtomicU64::new(0) });
        Self { nodes: ArcSwap::from_pointee((0..instances).map(node).collect()), calls: AtomicUsize::new(0) }
    }

    pub(crate) fn round_robin(&self) -> Option<Arc<Node>> {
        let nodes = self.nodes.load();
        nodes.get(self.calls.fetch_add(1, Relaxed) % nodes.len().max(1)).cloned()
    }

    pub(crate) fn less_loaded(&self) -> Option<Pending> {
        let nodes = self.nodes.load();
        let (bits, len) = (fastrand::u64(..), nodes.len() as u64);
        let drawn = |bits: u64| nodes.get(((bits * len) >> 32) as usize);
        let (one, other) = (drawn(bits >> 32)?, drawn(bits & u64::from(u32::MAX))?);
        let less = other.pending.load(Relaxed) < one.pending.load(Relaxed);
        let node = Arc::clone(if less { other } else { one });
        node.pending.fetch_add(1, Relaxed);
        Some(Pending(node))
    }
}

/// A call that runs.
#[derive(Debug)]
pub(crate) struct Pending(pub(crate) Arc<Node>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Relaxed);
    }
}
