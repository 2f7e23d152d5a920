//! The life of a server: accept, stop, drain, cut.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::connection;
use crate::door::Door;
use crate::error::{BoxError, Problem};
use crate::listener::Listener;
use crate::request_body::RequestBody;
use crate::shared::Shared;
use crate::socket::Socket;
use crate::stopped::Stopped;

/// How long to wait for cut tasks to be gone. A handler that blocks its thread cannot be cut, and must not hold up the
/// program's end.
const CUT_WAIT: Duration = Duration::from_millis(50);

/// A socket, and the address at its other end if it has one.
type Accepted = (Socket, Option<SocketAddr>);

/// What happened next.
enum Step {
    Stop,
    Accepted(Accepted, Arc<Door>),
    Failed(io::Error),
}

/// The listeners, which take turns.
struct Ports {
    ports: Vec<(Listener, Arc<Door>)>,
    turn: usize,
}

impl Ports {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        for _ in 0..self.ports.len() {
            let (listener, door) = &self.ports[self.turn];
            self.turn = (self.turn + 1) % self.ports.len();
            match listener.poll_accept(cx) {
                Poll::Ready(Ok(accepted)) => return Poll::Ready(Step::Accepted(accepted, Arc::clone(door))),
                Poll::Ready(Err(error)) => return Poll::Ready(Step::Failed(error)),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }
}

/// Runs a server to its end. All connections belong to this future.
pub(crate) async fn run<S, B>(
    listeners: Vec<Listener>,
    service: S,
    shutdown: impl Future<Output = ()>,
    shared: Arc<Shared>,
) -> Stopped
where
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (stop, _) = watch::channel(false);
    let ports = listeners.into_iter().map(|listener| {
        let door = Arc::new(listener.door.clone());
        (listener, door)
    });
    let mut ports = Ports { ports: ports.collect(), turn: 0 };
    let mut tasks = Tasks { set: JoinSet::new(), shared, is_full: false };
    let mut backoff = Backoff::default();
    let mut shutdown = pin!(shutdown);
    let accept = |tasks: &mut Tasks, accepted: Accepted, door: Arc<Door>| {
        let shared = Arc::clone(&tasks.shared);
        tasks.set.spawn(connection::run(accepted, door, service.clone(), shared, stop.subscribe()));
    };
    loop {
        match next(&mut ports, shutdown.as_mut(), &mut tasks, &mut backoff).await {
            Step::Stop => break,
            Step::Accepted(accepted, door) => {
                backoff.succeeded();
                accept(&mut tasks, accepted, door);
            }
            Step::Failed(error) => {
                backoff.failed(&error);
                tasks.shared.report(&Problem::Accept(error));
            }
        }
    }
    // A client that has connected has reason to believe that it will be served.
    for (listener, door) in ports.ports {
        let mut waiting = listener.into_waiting();
        while let Some(accepted) = tasks.has_room().then(|| waiting.next()).flatten() {
            accept(&mut tasks, accepted, Arc::clone(&door));
        }
    }
    stop.send_replace(true);
    tasks.end().await
}

async fn next(
    ports: &mut Ports,
    mut shutdown: Pin<&mut impl Future<Output = ()>>,
    tasks: &mut Tasks,
    backoff: &mut Backoff,
) -> Step {
    poll_fn(|cx| {
        if shutdown.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Step::Stop);
        }
        while let Poll::Ready(Some(ended)) = tasks.set.poll_join_next(cx) {
            tasks.note(&ended);
        }
        if !tasks.has_room() || backoff.poll_over(cx).is_pending() {
            return Poll::Pending;
        }
        ports.poll_accept(cx)
    })
    .await
}

/// The tasks of the connections.
struct Tasks {
    set: JoinSet<()>,
    shared: Arc<Shared>,
    is_full: bool,
}

impl Tasks {
    fn has_room(&mut self) -> bool {
        let is_full = self.set.len() >= self.shared.limits.connections;
        if is_full && !self.is_full {
            self.shared.events.tell("connections_full", "");
        }
        self.is_full = is_full;
        !is_full
    }

    fn note(&self, ended: &Result<(), JoinError>) {
        // The service's panics are caught at the request; this is what is left, such as one in its `clone`.
        if ended.as_ref().is_err_and(JoinError::is_panic) {
            self.shared.report(&Problem::Panic("a connection panicked".to_owned()));
        }
    }

    async fn drain(&mut self) {
        while let Some(ended) = self.set.join_next().await {
            self.note(&ended);
        }
    }

    async fn end(mut self) -> Stopped {
        let stop_within = self.shared.limits.stop_within;
        if timeout(stop_within, self.drain()).await.is_ok() {
            return Stopped::default();
        }
        let stats = &self.shared.stats;
        let stopped = Stopped { cut_connections: stats.connections_open(), cut_requests: stats.requests_open() };
        self.set.abort_all();
        let _ = timeout(CUT_WAIT, self.drain()).await;
        stopped
    }
}
