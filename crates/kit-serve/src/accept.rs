//! The life of a server: accept, stop, drain, cut.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use kit_base::Peer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::connection;
use crate::error::{BoxError, Problem};
use crate::request_body::RequestBody;
use crate::shared::Shared;
use crate::stopped::Stopped;

/// How many connections that waited in the operating system's queue are still taken at the stop; as many as the queue
/// of tokio's listener holds.
const LAST_CALL: usize = 1024;

/// How long to wait for cut tasks to be gone. A handler that blocks its thread cannot be cut, and must not hold up the
/// program's end.
const CUT_WAIT: Duration = Duration::from_millis(50);

/// What happened next.
enum Step {
    Stop,
    Accepted(TcpStream, SocketAddr),
    Failed(io::Error),
}

/// Runs a server to its end. All connections belong to this future.
pub(crate) async fn run<S, B>(
    listener: TcpListener,
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
    let mut tasks = Tasks { set: JoinSet::new(), shared };
    let mut backoff = Backoff::default();
    let mut shutdown = pin!(shutdown);
    let accept = |tasks: &mut Tasks, stream: TcpStream, addr: SocketAddr| {
        let shared = Arc::clone(&tasks.shared);
        tasks.set.spawn(connection::run(stream, Peer::from(addr), service.clone(), shared, stop.subscribe()));
    };
    loop {
        match next(&listener, shutdown.as_mut(), &mut tasks, &mut backoff).await {
            Step::Stop => break,
            Step::Accepted(stream, addr) => {
                backoff.succeeded();
                accept(&mut tasks, stream, addr);
            }
            Step::Failed(error) => {
                backoff.failed(&error);
                tasks.shared.report(&Problem::Accept(error));
            }
        }
    }
    // A client that has connected has reason to believe that it will be served.
    for (stream, addr) in waiting(listener) {
        if !tasks.has_room() {
            break;
        }
        accept(&mut tasks, stream, addr);
    }
    stop.send_replace(true);
    tasks.end().await
}

async fn next(
    listener: &TcpListener,
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
        listener.poll_accept(cx).map(|accepted| match accepted {
            Ok((stream, addr)) => Step::Accepted(stream, addr),
            Err(error) => Step::Failed(error),
        })
    })
    .await
}

/// Takes the connections that wait in the operating system's queue, then closes the port. The runtime may not
/// have heard of all of them, so this does not ask it.
fn waiting(listener: TcpListener) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    let listener = listener.into_std();
    let next = move || {
        let (stream, addr) = listener.as_ref().ok()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, addr))
    };
    std::iter::from_fn(next).take(LAST_CALL)
}

/// The tasks of the connections.
struct Tasks {
    set: JoinSet<()>,
    shared: Arc<Shared>,
}

impl Tasks {
    fn has_room(&self) -> bool {
        self.set.len() < self.shared.limits.connections
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
