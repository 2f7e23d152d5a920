//! A service and a client that tonic has generated: those of tonic-health, with an implementation that does as it is told.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

use kit_base::Operation;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
pub(crate) use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
pub(crate) use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

pub(crate) fn check() -> Operation {
    Operation::new("grpc.health.v1.Health", "Check")
}

pub(crate) fn ask(service: impl Into<String>) -> HealthCheckRequest {
    HealthCheckRequest { service: service.into() }
}

/// Does what the request names: `panic`, `hang`, a code to fail with; all else is answered with its length as the status.
/// `Watch` does so after one message.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub(crate) calls: Arc<AtomicUsize>,
    /// How many calls have been dropped, or are over.
    pub(crate) over: Arc<AtomicUsize>,
}

impl Told {
    pub(crate) fn service(&self) -> HealthServer<Self> {
        HealthServer::new(self.clone())
    }

    fn begin(&self) -> impl Drop + Send + use<> {
        struct Over(Arc<AtomicUsize>);
        impl Drop for Over {
            fn drop(&mut self) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        self.calls.fetch_add(1, SeqCst);
        Over(self.over.clone())
    }
}

async fn act(told: String) -> Result<HealthCheckResponse, Status> {
    match (told.as_str(), told.parse::<i32>()) {
        ("panic", _) => panic!("as told"),
        ("hang", _) => pending().await,
        (_, Ok(code)) => Err(Status::new(code.into(), "no")),
        (text, _) => Ok(HealthCheckResponse { status: text.len() as i32 }),
    }
}

#[tonic::async_trait]
impl Health for Told {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let _over = self.begin();
        act(request.into_inner().service).await.map(Response::new)
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let over = self.begin();
        let first = tokio_stream::once(Ok(HealthCheckResponse { status: 0 }));
        if request.get_ref().service == "endless" {
            return Ok(Response::new(Box::pin(tokio_stream::iter(std::iter::repeat_with(move || {
                let _ = &over;
                Ok(HealthCheckResponse { status: 1 })
            })))));
        }
        let mut then = Box::pin(async move {
            let _over = over;
            // tonic sends what it has when it has to wait.
            tokio::task::yield_now().await;
            act(request.into_inner().service).await
        });
        let mut done = false;
        let then = futures_fn(move |cx| match done {
            true => Poll::Ready(None),
            false => then.as_mut().poll(cx).map(|item| {
                done = true;
                Some(item)
            }),
        });
        Ok(Response::new(Box::pin(first.chain(then))))
    }
}

/// A stream of a closure.
fn futures_fn<T, F>(poll: F) -> impl Stream<Item = T> + Send
where
    F: FnMut(&mut std::task::Context<'_>) -> Poll<Option<T>> + Send + Unpin,
{
    struct Of<F>(F);
    impl<T, F: FnMut(&mut std::task::Context<'_>) -> Poll<Option<T>> + Unpin> Stream for Of<F> {
        type Item = T;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<T>> {
            (self.0)(cx)
        }
    }
    Of(poll)
}

pub(crate) fn channel(url: &str) -> Channel {
    Channel::from_shared(url.to_owned()).expect("a URL").connect_lazy()
}

pub(crate) fn client(url: &str) -> HealthClient<Channel> {
    HealthClient::new(channel(url))
}
