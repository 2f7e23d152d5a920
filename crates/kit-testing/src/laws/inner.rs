//! The service inside of the layer under test.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HeaderName, HeaderValue};
use kit_base::{
    BoxFuture, Endpoint, Operation, OperationInfo, Request, RequestParts, Response, ServerStream, Streaming, wire,
};
use tower_service::Service;

use super::body::{InnerBody, InnerStream};
use super::fault::Fault;
use super::law::Law;
use super::world::{NodeState, Reply, ReplyEnd, Seen, World};

/// The header that marks a request, and by which an inner answer is known.
pub(crate) static CALL: HeaderName = HeaderName::from_static("x-laws-call");

/// What every checked call is a call of, idempotent or not.
pub(crate) static IDEMPOTENT: OperationInfo = OperationInfo::new("laws", "read").idempotent(true);
pub(crate) static ONCE: OperationInfo = OperationInfo::new("laws", "write");

/// The service inside of the layer under test: it does as the checker says, and sees all that the layer does to it.
///
/// It is an endpoint and a tower service over messages, `Request<u64>` to `Response<u64>`, with the error [`Fault`]; an
/// endpoint whose answer streams; and a tower service over HTTP with any body, which fails by status. As a tower service
/// it is strict: each instance must be asked for its readiness before each call, and a clone has not been asked.
///
/// For a layer over several services, [`node`](Self::node) gives the others.
#[derive(Debug)]
pub struct Inner {
    world: Arc<World>,
    node: usize,
    ready: bool,
    broken: bool,
}

impl Inner {
    pub(crate) fn new(world: &Arc<World>, node: usize) -> Self {
        world.lock().instances += 1;
        Self { world: Arc::clone(world), node, ready: false, broken: false }
    }

    /// A new connection to service `number`, counted from 0; this is number 0.
    #[must_use]
    pub fn node(&self, number: usize) -> Self {
        Self::new(&self.world, number)
    }

    fn poll_ready<E>(&mut self, cx: &mut Context<'_>, broken: Option<E>) -> Poll<Result<(), E>> {
        if self.broken {
            self.world.breaks(Law::Readiness, "an instance was asked again after it had said that it is broken");
        }
        match (self.world.poll_node(self.node, broken.is_some(), cx), broken) {
            (Poll::Ready(NodeState::Broken), Some(error)) => {
                self.broken = true;
                Poll::Ready(Err(error))
            }
            (Poll::Ready(_), _) => {
                self.ready = true;
                Poll::Ready(Ok(()))
            }
            (Poll::Pending, _) => {
                self.ready = false;
                Poll::Pending
            }
        }
    }

    fn call(&mut self, seen: Seen) -> Running {
        if self.broken {
            self.world.breaks(Law::Readiness, "an instance was called after it had said that it is broken");
        } else if !self.ready {
            let outer = seen.outer.map_or_else(|| "a call".to_owned(), |outer| format!("call {outer}"));
            let found = format!("{outer} was made on an instance that had not said that it is ready");
            self.world.breaks(Law::Readiness, found);
        }
        self.ready = false;
        self.start(seen, false)
    }

    fn start(&self, seen: Seen, waits_for_node: bool) -> Running {
        let number = self.world.arrive(self.node, seen, waits_for_node);
        Running { world: Arc::clone(&self.world), number, given_on: false }
    }
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        // What is broken is the connection, which clones share; that it is ready is a matter of each instance.
        let mut clone = Self::new(&self.world, self.node);
        clone.broken = self.broken;
        clone
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.world.lock().instances -= 1;
    }
}

/// A call inside, until it has been answered or given up.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) world: Arc<World>,
    pub(crate) number: usize,
    given_on: bool,
}

impl Running {
    async fn head(&self, whole: bool) -> Reply {
        poll_fn(|cx| self.world.poll_head(self.number, whole, cx)).await
    }

    /// The call goes on as a body or stream.
    pub(crate) fn rest(mut self) -> Self {
        self.given_on = true;
        Self { world: Arc::clone(&self.world), number: self.number, given_on: false }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.given_on {
            self.world.leave(self.number);
        }
    }
}

/// Whether a checked operation is idempotent; nothing where it is not the one that was called.
fn idempotent(operation: &Operation) -> Option<bool> {
    (operation.service() == "laws").then(|| operation.is_idempotent())
}

fn seen_in<S>(request: &Request<u64, S>) -> Seen {
    let number = request.context().inbound().get(&CALL).and_then(|value| value.to_str().ok()?.parse().ok());
    Seen {
        outer: Some(*request.message()),
        deadline: request.context().deadline(),
        idempotent: idempotent(request.context().operation()),
        metadata_kept: number == Some(*request.message()),
    }
}

impl Endpoint<Request<u64>> for Inner {
    type Response = Response<u64>;
    type Error = Fault;

    fn call(&self, request: Request<u64>) -> impl Future<Output = Result<Response<u64>, Fault>> + Send {
        unary(self.start(seen_in(&request), true))
    }
}

async fn unary(running: Running) -> Result<Response<u64>, Fault> {
    match running.head(true).await.end {
        ReplyEnd::Ok => Ok(Response::new(running.number as u64)),
        ReplyEnd::Fail | ReplyEnd::Panic => Err(Fault::of_call(running.number)),
    }
}

impl Endpoint<Request<u64, ServerStream>> for Inner {
    type Response = Response<Streaming<u64>>;
    type Error = Fault;

    fn call(
        &self,
        request: Request<u64, ServerStream>,
    ) -> impl Future<Output = Result<Response<Streaming<u64>>, Fault>> + Send {
        let running = self.start(seen_in(&request), true);
        async move {
            let reply = running.head(false).await;
            if reply == Reply::FAIL {
                return Err(Fault::of_call(running.number));
            }
            Ok(Response::new(Streaming::new(InnerStream::new(running.rest()))))
        }
    }
}

impl Service<Request<u64>> for Inner {
    type Response = Response<u64>;
    type Error = Fault;
    type Future = BoxFuture<Result<Response<u64>, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.poll_ready(cx, Some(Fault::not_ready()))
    }

    fn call(&mut self, request: Request<u64>) -> Self::Future {
        Box::pin(unary(self.call(seen_in(&request))))
    }
}

impl<B: Send + 'static> Service<http::Request<B>> for Inner {
    type Response = http::Response<InnerBody>;
    type Error = Infallible;
    type Future = BoxFuture<Result<http::Response<InnerBody>, Infallible>>;

    /// Over HTTP nothing breaks but by status, so a broken service is one that is never ready.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.poll_ready(cx, None)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let outer = request.headers().get(&CALL).and_then(|value| value.to_str().ok()?.parse().ok());
        let seen = Seen {
            outer,
            deadline: request.deadline(tokio::time::Instant::now().into_std()),
            idempotent: request.extensions().get().and_then(idempotent),
            metadata_kept: true,
        };
        let grpc = wire::is_grpc(request.headers());
        let running = self.call(seen);
        Box::pin(async move {
            let reply = running.head(false).await;
            let number = HeaderValue::from(running.number);
            let mut response = InnerBody::answer(running, reply, grpc);
            response.headers_mut().insert(CALL.clone(), number);
            Ok(response)
        })
    }
}
