//! Retries and hedges as careless authors write them, and the same ones put right.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::mem;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use kit_base::{BoxFuture, Classify, Endpoint, Request, RequestParts, Response, Standard, Tower};
use kit_testing::laws::{Fault, Law, Laws, Readiness};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tower_layer::{Layer, layer_fn};
use tower_service::Service;

use super::{accused_of_nothing, caught};

const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_millis(50);

/// The one thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Nothing,
    AsksNobody,
    NeedsASample,
    OneTooMany,
    SuccessToo,
    GoesOnInATask,
    LeavesATask,
    LosersGoOn,
    NotAskedAgain,
    OnAClone,
    FirstOnAClone,
}

/// A retry as an endpoint, for requests of any kind.
#[derive(Clone, Debug)]
struct Retrying<E> {
    inner: E,
    bug: Bug,
    seen: Arc<AtomicUsize>,
}

fn retry<E>(bug: Bug) -> impl Layer<E, Service = Retrying<E>> + Clone + Send + Sync {
    let seen = Arc::new(AtomicUsize::new(0));
    layer_fn(move |inner| Retrying { inner, bug, seen: Arc::clone(&seen) })
}

impl<E> Retrying<E> {
    fn attempts<Req: RequestParts>(&self, request: &Req) -> usize {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        match self.bug {
            Bug::AsksNobody => ATTEMPTS,
            _ if !request.operation().is_idempotent() => 1,
            Bug::NeedsASample if seen < 20 => 1,
            Bug::OneTooMany => ATTEMPTS + 1,
            _ => ATTEMPTS,
        }
    }
}

impl<Req, E> Endpoint<Req> for Retrying<E>
where
    Req: RequestParts + Clone + Send + Sync,
    E: Endpoint<Req>,
    Standard: Classify<Req, E::Response, E::Error>,
{
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, request: Req) -> Result<E::Response, E::Error> {
        let mut left = self.attempts(&request);
        loop {
            let outcome = self.inner.call(request.clone()).await;
            left -= 1;
            let again = Standard.judge(&outcome).is_failure() || self.bug == Bug::SuccessToo;
            if left == 0 || !again {
                return outcome;
            }
            drop(outcome);
            sleep(PAUSE).await;
        }
    }
}

fn endpoint(bug: Bug) -> Laws {
    Laws::endpoint(move |_| retry(bug)).retrying(ATTEMPTS)
}

fn service(bug: Bug) -> Laws {
    Laws::service(move |_| Tower::new(retry(bug))).retrying(ATTEMPTS).readiness(Readiness::AtOnce)
}

fn http(bug: Bug) -> Laws {
    let layer = move |_: &_| Tower::new(retry(bug)).answered();
    Laws::http_service::<String, _, _, _>(layer).retrying(ATTEMPTS).readiness(Readiness::AtOnce)
}

fn grpc(bug: Bug) -> Laws {
    let layer = move |_: &_| Tower::new(retry(bug)).answered();
    Laws::grpc_service::<String, _, _, _>(layer).retrying(ATTEMPTS).readiness(Readiness::AtOnce)
}

/// Another retry, whose error is what all errors fit into.
struct Boxing<E>(Retrying<E>);

impl<E> Endpoint<Request<u64>> for Boxing<E>
where
    E: Endpoint<Request<u64>, Error: StdError + Send + Sync + 'static>,
    Standard: Classify<Request<u64>, E::Response, E::Error>,
{
    type Response = E::Response;
    type Error = Box<dyn StdError + Send + Sync>;

    async fn call(&self, request: Request<u64>) -> Result<E::Response, Self::Error> {
        self.0.call(request).await.map_err(Box::from)
    }
}

/// Another retry, which lets its attempts run in a task.
struct InATask<E>(Retrying<E>);

impl<E> Endpoint<Request<u64>> for InATask<E>
where
    E: Endpoint<Request<u64>, Response = Response<u64>, Error = Fault> + Clone + 'static,
{
    type Response = Response<u64>;
    type Error = Fault;

    async fn call(&self, request: Request<u64>) -> Result<Response<u64>, Fault> {
        let retrying = self.0.clone();
        let attempts = async move { retrying.call(request).await };
        let outcome = if self.0.bug == Bug::GoesOnInATask {
            // A handle that is dropped lets go of its task, and does not end it.
            tokio::spawn(attempts).await
        } else {
            let mut tasks = JoinSet::new();
            tasks.spawn(attempts);
            match tasks.join_next().await {
                Some(outcome) => outcome,
                None => unreachable!("a task was spawned"),
            }
        };
        outcome.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }
}

fn in_a_task(bug: Bug) -> Laws {
    Laws::endpoint(move |_| layer_fn(move |inner| InATask(retry(bug).layer(inner)))).retrying(ATTEMPTS)
}

/// A retry with a task that would fill a budget up, time and again.
struct Budget {
    task: AbortHandle,
    bug: Bug,
}

impl Budget {
    fn new(bug: Bug) -> Self {
        let fill = async {
            loop {
                sleep(Duration::from_secs(60)).await;
            }
        };
        Self { task: tokio::spawn(fill).abort_handle(), bug }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if self.bug != Bug::LeavesATask {
            self.task.abort();
        }
    }
}

fn with_a_budget(bug: Bug) -> Laws {
    let layer = move |_: &_| {
        let budget = Arc::new(Budget::new(bug));
        layer_fn(move |inner| {
            let _ = &budget;
            retry(bug).layer(inner)
        })
    };
    Laws::endpoint(layer).retrying(ATTEMPTS)
}

/// A hedge as an endpoint.
struct Hedging<E> {
    inner: E,
    bug: Bug,
}

impl<E> Endpoint<Request<u64>> for Hedging<E>
where
    E: Endpoint<Request<u64>, Response = Response<u64>, Error = Fault> + Clone + 'static,
{
    type Response = Response<u64>;
    type Error = Fault;

    async fn call(&self, request: Request<u64>) -> Result<Response<u64>, Fault> {
        if !request.context().operation().is_idempotent() && self.bug != Bug::AsksNobody {
            return self.inner.call(request).await;
        }
        if self.bug == Bug::LosersGoOn {
            return self.with_tasks(request).await;
        }
        let mut first = pin!(self.inner.call(request.clone()));
        tokio::select! {
            biased;
            outcome = &mut first => return outcome,
            () = sleep(PAUSE) => {}
        }
        let second = self.inner.call(request);
        tokio::select! {
            biased;
            outcome = first => outcome,
            outcome = second => outcome,
        }
    }
}

impl<E> Hedging<E>
where
    E: Endpoint<Request<u64>, Response = Response<u64>, Error = Fault> + Clone + 'static,
{
    /// The first outcome wins, and nobody tells the task of the other.
    async fn with_tasks(&self, request: Request<u64>) -> Result<Response<u64>, Fault> {
        let (tell, mut told) = mpsc::channel(2);
        for pause in [Duration::ZERO, PAUSE] {
            let (inner, request, tell) = (self.inner.clone(), request.clone(), tell.clone());
            if !pause.is_zero() {
                tokio::select! {
                    biased;
                    Some(outcome) = told.recv() => return outcome,
                    () = sleep(pause) => {}
                }
            }
            tokio::spawn(async move { tell.send(inner.call(request).await).await });
        }
        drop(tell);
        match told.recv().await {
            Some(outcome) => outcome,
            None => resume_unwind(Box::new("both attempts panicked")),
        }
    }
}

fn hedge(bug: Bug) -> Laws {
    Laws::endpoint(move |_| layer_fn(move |inner| Hedging { inner, bug })).hedging(2)
}

/// A retry as a tower service.
#[derive(Clone)]
struct Again<S> {
    inner: S,
    bug: Bug,
}

impl<S> Service<Request<u64>> for Again<S>
where
    S: Service<Request<u64>, Response = Response<u64>, Error = Fault, Future: Send> + Clone + Send + 'static,
{
    type Response = Response<u64>;
    type Error = Fault;
    type Future = BoxFuture<Result<Response<u64>, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<u64>) -> Self::Future {
        let bug = self.bug;
        let mut service = self.inner.clone();
        if bug != Bug::FirstOnAClone {
            mem::swap(&mut service, &mut self.inner);
        }
        let mut left = if request.context().operation().is_idempotent() { ATTEMPTS } else { 1 };
        Box::pin(async move {
            loop {
                let outcome = service.call(request.clone()).await;
                left -= 1;
                if left == 0 || outcome.is_ok() {
                    return outcome;
                }
                sleep(PAUSE).await;
                match bug {
                    Bug::NotAskedAgain => {}
                    Bug::OnAClone => {
                        poll_fn(|cx| service.poll_ready(cx)).await?;
                        service = service.clone();
                    }
                    _ => poll_fn(|cx| service.poll_ready(cx)).await?,
                }
            }
        })
    }
}

fn by_hand(bug: Bug) -> Laws {
    Laws::service(move |_| layer_fn(move |inner| Again { inner, bug })).retrying(ATTEMPTS)
}

/// The retries and hedges as they should be.
pub(super) fn twins() -> Vec<(&'static str, Laws)> {
    vec![
        ("a retry over an endpoint", endpoint(Bug::Nothing)),
        ("a retry over a tower service", service(Bug::Nothing)),
        ("a retry over HTTP", http(Bug::Nothing)),
        ("a retry over gRPC", grpc(Bug::Nothing)),
        ("a retry in a task", in_a_task(Bug::Nothing)),
        ("a retry with a task for its budget", with_a_budget(Bug::Nothing)),
        ("a retry written as a tower service", by_hand(Bug::Nothing)),
        ("a hedge", hedge(Bug::Nothing)),
    ]
}

pub(super) fn broken() -> Vec<(&'static str, Laws)> {
    vec![
        ("a retry", endpoint(Bug::AsksNobody)),
        ("a retry over gRPC", grpc(Bug::OneTooMany)),
        ("a retry in a task", in_a_task(Bug::GoesOnInATask)),
        ("a retry with a task for its budget", with_a_budget(Bug::LeavesATask)),
        ("a retry written as a tower service", by_hand(Bug::OnAClone)),
        ("a hedge", hedge(Bug::LosersGoOn)),
    ]
}

#[test]
fn correct_retries_are_accused_of_nothing() {
    for (_, twin) in twins() {
        accused_of_nothing(twin);
    }
}

#[track_caller]
fn caught_everywhere(law: Law, bug: Bug) {
    for place in [endpoint, service, http, grpc] {
        caught(law, || place(bug));
    }
}

/// dotnet/extensions#5699, for a retry: it does not ask whether the operation is idempotent.
#[test]
fn a_retry_of_what_is_not_idempotent() {
    caught_everywhere(Law::Unasked, Bug::AsksNobody);
}

/// dotnet/extensions#5699: a hedged order is two orders.
#[test]
fn a_hedge_of_what_is_not_idempotent() {
    caught(Law::Unasked, || hedge(Bug::AsksNobody));
}

/// joshrotenberg/tower-resilience#393: the attempt that was too slow goes on after the other has won.
#[test]
fn a_hedge_whose_loser_goes_on() {
    caught(Law::Cancelled, || hedge(Bug::LosersGoOn));
}

/// cloudwego/kitex#181: there must be enough calls before there is a retry, and at low traffic there never are.
#[test]
fn a_retry_that_needs_a_sample_of_calls() {
    caught_everywhere(Law::Attempts, Bug::NeedsASample);
}

/// The first attempt was not counted.
#[test]
fn an_attempt_too_many() {
    caught_everywhere(Law::Attempts, Bug::OneTooMany);
}

/// It looks at the number of attempts, and not at the outcome.
#[test]
fn a_retry_of_what_went_well() {
    caught_everywhere(Law::Attempts, Bug::SuccessToo);
}

/// The caller leaves, and the attempts go on in a task that nobody owns.
#[test]
fn a_retry_that_goes_on_without_its_caller() {
    caught(Law::Cancelled, || in_a_task(Bug::GoesOnInATask));
}

/// Go kit's Consul instancer, in a retry: the task that fills its budget lives on after the layer.
#[test]
fn a_task_that_outlives_its_retry() {
    caught(Law::NothingLeft, || with_a_budget(Bug::LeavesATask));
}

/// tower-rs/tower#131, #794: the last error comes out in a box, and nobody outside can match on it. Said, it may be so.
#[test]
fn a_retry_that_boxes_the_last_error() {
    let laws = || Laws::endpoint(|_| layer_fn(|inner| Boxing(retry(Bug::Nothing).layer(inner)))).retrying(ATTEMPTS);
    caught(Law::Unchanged, laws);
    accused_of_nothing(laws().wraps_errors());
}

/// joshrotenberg/tower-resilience#392: the service is called again without having been asked again.
#[test]
fn a_second_attempt_that_asks_for_no_readiness() {
    caught(Law::Readiness, || by_hand(Bug::NotAskedAgain));
}

/// tower-rs/tower#547: the service was asked, and its clone is called.
#[test]
fn a_second_attempt_on_a_clone() {
    caught(Law::Readiness, || by_hand(Bug::OnAClone));
}

/// The same, at the first attempt: the clone goes into the future, and what was ready stays behind.
#[test]
fn a_first_attempt_on_a_clone() {
    caught(Law::Readiness, || by_hand(Bug::FirstOnAClone));
}
