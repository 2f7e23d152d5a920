//! The tower adapter: readiness, the very instance that was ready, and the three ways of refusing.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use kit_base::{
    BoxFuture, Call, Endpoint, Error, FromHttpService, FromService, Guard, IntoService, Kind, NameOperation, Operation,
    Request, RequestParts, ServiceError, Tower,
};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_layer::Layer;

use crate::support::{Func, Log, Probe, Watch, now, poll_once};

/// The error of a foreign service: nothing can be made into it.
#[derive(Debug, PartialEq)]
struct Foreign(&'static str);

/// A service that is never ready, and never answers.
#[derive(Clone)]
struct Hangs;

impl Service<Request<u8>> for Hangs {
    type Response = u8;
    type Error = Error;
    type Future = std::future::Pending<Result<u8, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<u8>) -> Self::Future {
        panic!("called without readiness")
    }
}

/// A service that keeps tower's contract to the letter: it panics when an instance is called that was not ready.
#[derive(Default)]
struct Strict {
    ready: bool,
    calls: Arc<AtomicU32>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false, calls: self.calls.clone() }
    }
}

impl Service<Request<u8>> for Strict {
    type Response = u8;
    type Error = Error;
    type Future = Ready<Result<u8, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<u8>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without readiness");
        self.calls.fetch_add(1, SeqCst);
        ready(Ok(1))
    }
}

fn is_ready<Req, S: Service<Req>>(service: &mut S) -> bool {
    service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn a_stack_that_may_refuse_is_ready_at_once_and_refuses_even_if_the_service_hangs() {
    let log = Log::default();
    let mut service = Tower::new(Guard::new(Probe::refusing("p", &log))).layer(Hangs);
    assert!(is_ready::<Request<u8>, _>(&mut service));
    let error = now(service.call(Request::new(1))).unwrap_err();
    assert_eq!(error.message(), "full");
}

#[test]
fn a_stack_that_may_refuse_waits_for_the_service_within_the_call() {
    let log = Log::default();
    let mut service = Tower::new(Guard::new(Probe::new("p", &log))).layer(Hangs);
    assert!(is_ready::<Request<u8>, _>(&mut service));
    let mut call = service.call(Request::new(1));
    assert!(poll_once(call.as_mut()).is_pending());
    drop(call);
    log.expect(["p admits", "p: caller, Left"]);
}

#[test]
fn a_stack_that_never_refuses_passes_readiness_through() {
    let log = Log::default();
    let watch = || Guard::new(Watch(Probe::new("w", &log)));
    assert!(!is_ready::<Request<u8>, _>(&mut Tower::new(watch()).layer(Hangs)));
    assert!(!is_ready::<Request<u8>, _>(&mut Tower::new((watch(), watch())).layer(Hangs)));
    let mixed = (watch(), Guard::new(Probe::new("p", &log)));
    assert!(is_ready::<Request<u8>, _>(&mut Tower::new(mixed).layer(Hangs)));
}

#[test]
fn the_very_instance_that_was_ready_is_called() {
    let log = Log::default();
    let strict = Strict::default();
    let calls = strict.calls.clone();
    for refuses in [false, true] {
        let one: BoxService = if refuses {
            boxed(Tower::new(Guard::new(Probe::new("p", &log))).layer(strict.clone()))
        } else {
            boxed(Tower::new(Guard::new(Watch(Probe::new("w", &log)))).layer(strict.clone()))
        };
        let mut service = one;
        for _ in 0..3 {
            assert_eq!(now(now(service.ready()).unwrap().call(Request::new(1))).unwrap(), 1);
        }
    }
    assert_eq!(calls.load(SeqCst), 6);
}

type BoxService = tower::util::BoxService<Request<u8>, u8, Error>;

fn boxed<S>(service: S) -> BoxService
where
    S: Service<Request<u8>, Response = u8, Error = Error, Future: Send> + Send + 'static,
{
    BoxService::new(service)
}

/// With readiness passed through, tower's own load shedding and limits work outside of a watching stack.
#[test]
fn load_shed_and_concurrency_limit_work_around_a_stack_that_never_refuses() {
    let log = Log::default();
    let service = ServiceBuilder::new()
        .load_shed()
        .layer(Tower::new(Guard::new(Watch(Probe::new("w", &log)))))
        .concurrency_limit(2)
        .service(tower::service_fn(|_: Request<u8>| std::future::pending::<Result<u8, Error>>()));
    let shed = |error: tower::BoxError| error.is::<tower::load_shed::error::Overloaded>();
    // `concurrency_limit` has an error type of its own only under `load_shed`, so nothing needs a `From`.
    let mut calls: Vec<_> = (0..5).map(|_| Box::pin(service.clone().oneshot(Request::new(1)))).collect();
    let outcomes: Vec<_> = calls.iter_mut().map(|call| poll_once(call.as_mut())).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_pending()).count(), 2);
    for outcome in outcomes {
        if let Poll::Ready(outcome) = outcome {
            assert!(shed(outcome.unwrap_err()));
        }
    }
    drop(calls);
    assert!(poll_once(Box::pin(service.oneshot(Request::new(1))).as_mut()).is_pending());
}

#[test]
fn an_error_of_readiness_is_the_services_own() {
    #[derive(Clone)]
    struct Broken;
    impl Service<Request<u8>> for Broken {
        type Response = u8;
        type Error = Foreign;
        type Future = Ready<Result<u8, Foreign>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Foreign>> {
            Poll::Ready(Err(Foreign("no connection")))
        }
        fn call(&mut self, _: Request<u8>) -> Self::Future {
            panic!("called although not ready")
        }
    }
    let log = Log::default();
    let refuse = |_: Error| Ok(0);
    let probe = Tower::new(Guard::new(Probe::new("p", &log))).mapped(refuse).layer(Broken);
    assert_eq!(now(probe.oneshot(Request::new(1))), Err(Foreign("no connection")));
    log.expect(["p admits", "p answers transient", "p: transient, Answered"]);
    let watch = Tower::new(Guard::new(Watch(Probe::new("w", &log)))).mapped(refuse).layer(Broken);
    assert_eq!(now(watch.oneshot(Request::new(1))), Err(Foreign("no connection")));
}

#[test]
fn a_mapped_refusal_is_what_the_closure_makes_of_it() {
    let log = Log::default();
    let inner =
        tower::service_fn(|n: Request<u8>| ready(if n.into_message() == 0 { Err(Foreign("zero")) } else { Ok(1u8) }));
    let refusing = || Tower::new(Guard::new(Probe::refusing("p", &log)));
    let to_answer = refusing().mapped(|error| Ok(error.kind().grpc_code())).layer(inner);
    assert_eq!(now(to_answer.oneshot(Request::new(1))), Ok(8));
    let to_error = refusing().mapped(|_| Err(Foreign("refused"))).layer(inner);
    assert_eq!(now(to_error.oneshot(Request::new(1))), Err(Foreign("refused")));

    let admitting = Tower::new(Guard::new(Probe::new("p", &log))).mapped(|_| panic!("nothing is refused")).layer(inner);
    assert_eq!(now(admitting.clone().oneshot(Request::new(1))), Ok(1));
    assert_eq!(now(admitting.oneshot(Request::new(0))), Err(Foreign("zero")));
}

fn http_service() -> impl Service<http::Request<()>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    tower::service_fn(|_: http::Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::from("hello")))))
}

#[test]
fn an_answered_refusal_is_problem_details_for_a_service_that_cannot_fail() {
    let log = Log::default();
    let service = Tower::new(Guard::new(Probe::refusing("p", &log))).answered().layer(http_service());
    let answer = now(service.oneshot(http::Request::new(()))).unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let size = answer.body().size_hint().exact().unwrap();
    assert!(!answer.body().is_end_stream());
    let body = now(answer.into_body().collect()).unwrap().to_bytes();
    assert_eq!(size, body.len() as u64);
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&problem["kind"], &problem["detail"]), (&"RESOURCE_EXHAUSTED".into(), &"full".into()));
}

#[test]
fn an_answered_refusal_of_a_grpc_call_is_a_grpc_status() {
    let log = Log::default();
    let service = Tower::new(Guard::new(Probe::refusing("p", &log))).answered().layer(http_service());
    for content_type in ["application/grpc", "application/grpc+proto"] {
        let request = http::Request::builder().header("content-type", content_type).body(()).unwrap();
        let answer = now(service.clone().oneshot(request)).unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        assert_eq!(answer.headers()["grpc-status"], "8");
        assert_eq!(answer.headers()["grpc-message"], "full");
        assert!(answer.body().is_end_stream());
        assert!(now(answer.into_body().collect()).unwrap().to_bytes().is_empty());
    }
    let web = http::Request::builder().header("content-type", "application/grpc-web").body(()).unwrap();
    assert_eq!(now(service.oneshot(web)).unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
}

#[test]
fn an_admitted_answer_passes_unchanged_where_refusals_are_answered() {
    let log = Log::default();
    let service = Tower::new(Guard::new(Probe::new("p", &log))).answered().layer(http_service());
    let answer = now(service.oneshot(http::Request::new(()))).unwrap();
    assert_eq!((answer.status(), answer.body().size_hint().exact()), (StatusCode::OK, Some(5)));
    assert_eq!(now(answer.into_body().collect()).unwrap().to_bytes(), "hello");
    log.expect(["p admits", "p answers success", "p: success, Answered"]);
}

#[test]
fn an_own_error_of_the_service_passes_where_refusals_are_answered() {
    let log = Log::default();
    let inner = tower::service_fn(|_: http::Request<()>| ready(Err::<Response<Full<Bytes>>, _>(Foreign("reset"))));
    let service = Tower::new(Guard::new(Probe::new("p", &log))).answered().layer(inner);
    assert_eq!(now(service.oneshot(http::Request::new(()))).map(drop), Err(Foreign("reset")));
    log.expect(["p admits", "p answers transient", "p: transient, Answered"]);
}

#[test]
fn clones_and_layers_share_the_state_of_the_stack() {
    let log = Log::default();
    let tower = Tower::new(Guard::new(Probe::new("p", &log)));
    let one = tower.clone().layer(Strict::default());
    for service in [one.clone(), one, tower.layer(Strict::default())] {
        now(service.oneshot(Request::new(1u8))).unwrap();
        log.expect(["p admits", "p answers success", "p: success, Answered"]);
    }
}

#[test]
fn a_stack_may_hold_middleware_in_async_form() {
    /// Calls twice.
    struct Twice<E>(E);
    impl<E: Endpoint<Request<u8>>> Endpoint<Request<u8>> for Twice<E> {
        type Response = E::Response;
        type Error = E::Error;
        async fn call(&self, req: Request<u8>) -> Result<E::Response, E::Error> {
            self.0.call(req.clone()).await?;
            self.0.call(req).await
        }
    }
    let log = Log::default();
    let strict = Strict::default();
    let calls = strict.calls.clone();
    let watch = Guard::new(Watch(Probe::new("w", &log)));
    let stack = (watch.clone(), tower_layer::layer_fn(Twice), watch);
    let mut service = Tower::new(stack).layer(strict);
    assert_eq!(now(now(service.ready()).unwrap().call(Request::new(1u8))).unwrap(), 1);
    assert_eq!(calls.load(SeqCst), 2);
}

#[test]
fn a_dropped_call_gives_its_permits_back_on_the_tower_face_too() {
    let log = Log::default();
    for polled in [false, true] {
        let mut service = Tower::new(Guard::new(Probe::new("p", &log)))
            .layer(tower::service_fn(|_: Request<u8>| std::future::pending::<Result<u8, Error>>()));
        let mut call = service.call(Request::new(1));
        if polled {
            assert!(poll_once(call.as_mut()).is_pending());
        }
        drop(call);
        // On the tower face a call is admitted at its first poll.
        if polled {
            log.expect(["p admits", "p: caller, Left"]);
        } else {
            log.expect([]);
        }
    }
}

#[tokio::test]
async fn a_gate_guards_and_names_the_routes_of_an_axum_router() {
    let log = Log::default();
    let seen = log.clone();
    let answer = move |request: axum::extract::Request| {
        seen.add(request.extensions().get::<Operation>().unwrap().to_string());
        async { "hello" }
    };
    let users = Operation::new("users", "get");
    let name = NameOperation(move |req: &axum::extract::Request| match req.uri().path() {
        "/users/7" => users.clone(),
        _ => Operation::UNMATCHED,
    });
    let app = axum::Router::new()
        .route("/users/{id}", axum::routing::get(answer.clone()))
        .fallback(answer)
        .layer(Tower::new(Guard::new((name, Probe::new("p", &log)))).answered());
    for (path, operation) in [("/users/7", "users/get"), ("/admin.php", "unmatched")] {
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
        log.expect(["p admits", operation, "p answers success", "p: success, Answered"]);
    }
}

#[test]
fn the_operation_that_was_named_is_seen_by_the_gates_behind() {
    let name = NameOperation(|_: &http::Request<()>| Operation::new("s", "m"));
    struct See;
    impl<Req: RequestParts, Res, Err> kit_base::Gate<Req, Res, Err> for See {
        type Permit = ();
        fn admit(&self, request: &mut Req, _: &kit_base::Now<'_>) -> Result<(), Error> {
            Err(Error::not_found(request.operation().to_string()))
        }
        fn finish(&self, (): (), _: &kit_base::End<'_>) {}
    }
    let endpoint = Func(|_: http::Request<()>| ready(Ok::<_, Error>(Response::new(Full::<Bytes>::default()))));
    let error = now(Guard::new((name, See)).layer(endpoint).call(http::Request::new(()))).map(drop).unwrap_err();
    assert_eq!(error.message(), "s/m");
}

#[tokio::test(start_paused = true)]
async fn a_service_as_an_endpoint_waits_for_its_readiness_within_the_call() {
    let limited = ServiceBuilder::new().concurrency_limit(1).service(tower::service_fn(|hold: Duration| async move {
        tokio::time::sleep(hold).await;
        Ok::<_, Infallible>(1u8)
    }));
    let endpoint = FromService::new(limited);
    let start = tokio::time::Instant::now();
    let hour = Duration::from_secs(3600);
    let (one, two) = tokio::join!(endpoint.call(hour), endpoint.call(hour));
    assert_eq!((one.unwrap(), two.unwrap()), (1, 1));
    assert_eq!(start.elapsed(), 2 * hour);
}

#[test]
fn a_service_as_an_endpoint_is_never_called_without_readiness() {
    let endpoint = FromService::new(Strict::default());
    assert_eq!(now(endpoint.call(Request::new(1))).unwrap(), 1);
    assert_eq!(now(endpoint.clone().call(Request::new(1))).unwrap(), 1);
    assert!(poll_once(Box::pin(FromService::new(Hangs).call(Request::new(1))).as_mut()).is_pending());
}

#[test]
fn an_endpoint_as_a_service_is_always_ready_and_clones_share_it() {
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let service = IntoService::new(Func(move |n: u8| {
        count.fetch_add(1, SeqCst);
        ready(if n == 0 { Err(Foreign("zero")) } else { Ok(n + 1) })
    }));
    assert!(is_ready::<u8, _>(&mut service.clone()));
    assert_eq!(now(service.clone().oneshot(1)), Ok(2));
    assert_eq!(now(service.clone().oneshot(0)), Err(Foreign("zero")));
    let mut call: BoxFuture<_> = service.clone().call(1);
    drop(service);
    assert!(matches!(poll_once(call.as_mut()), Poll::Ready(Ok(2))));
    assert_eq!(calls.load(SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn towers_own_layers_fit_over_an_endpoint() {
    let service = ServiceBuilder::new()
        .timeout(Duration::from_secs(1))
        .service(IntoService::new(Func(|_: u8| std::future::pending::<Result<u8, tower::BoxError>>())));
    assert!(service.oneshot(1).await.unwrap_err().is::<tower::timeout::error::Elapsed>());
}

/// A client with types of its own, as reqwest's: its request is made from an `http` one, its answer becomes one.
#[derive(Clone)]
struct Client;

struct ClientRequest(http::Request<&'static str>);

impl TryFrom<http::Request<&'static str>> for ClientRequest {
    type Error = Foreign;

    fn try_from(request: http::Request<&'static str>) -> Result<Self, Foreign> {
        if request.uri().host().is_none() { Err(Foreign("no host")) } else { Ok(Self(request)) }
    }
}

struct ClientAnswer(u16, &'static str);

impl From<ClientAnswer> for Response<Full<Bytes>> {
    fn from(ClientAnswer(status, body): ClientAnswer) -> Self {
        Response::builder().status(status).body(Full::from(body)).unwrap()
    }
}

impl Service<ClientRequest> for Client {
    type Response = ClientAnswer;
    type Error = Foreign;
    type Future = Ready<Result<ClientAnswer, Foreign>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Foreign>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ClientRequest) -> Self::Future {
        ready(match request.0.uri().path() {
            "/503" => Ok(ClientAnswer(503, "busy")),
            "/reset" => Err(Foreign("reset")),
            _ => Ok(ClientAnswer(200, "hello")),
        })
    }
}

#[test]
fn a_client_with_types_of_its_own_is_guarded_by_status_and_body() {
    let log = Log::default();
    let client = Guard::new(Probe::new("p", &log)).layer(FromHttpService::new(Client));
    let get = |uri: &str| now(client.call(http::Request::get(uri).body("").unwrap()));

    let answer = get("http://host/").unwrap();
    log.expect(["p admits", "p answers success"]);
    assert_eq!(now(answer.into_body().collect()).unwrap().to_bytes(), "hello");
    log.expect(["p: success, Answered"]);

    assert_eq!(get("http://host/503").map(drop).ok(), Some(()));
    log.expect(["p admits", "p answers transient", "p: transient, Answered"]);
    assert!(matches!(get("http://host/reset"), Err(ServiceError::Inner(Foreign("reset")))));
    log.expect(["p admits", "p answers transient", "p: transient, Answered"]);
    assert!(matches!(get("/"), Err(ServiceError::Inner(Foreign("no host")))));
}

#[test]
fn a_request_type_of_ones_own_can_be_guarded() {
    struct Job;
    impl<Res: Send> Call<Res> for Job {
        type Held<T: kit_base::Hold> = Res;
        fn streams(_: &Res) -> bool {
            false
        }
        fn hold<T: kit_base::Hold>(answer: Res, _: Option<T>) -> Res {
            answer
        }
    }
    let log = Log::default();
    let judge = |outcome: &Result<u8, Error>| match outcome {
        Ok(_) => kit_base::Judgement::SUCCESS,
        Err(error) => kit_base::Judgement::of(error),
    };
    let guard = Guard::with(Probe::new("p", &log), judge, kit_base::Monotonic);
    let error = now(guard.layer(Func(|_: Job| ready(Err::<u8, _>(Error::aborted("x"))))).call(Job)).unwrap_err();
    assert_eq!(error.kind(), Kind::Aborted);
    log.expect(["p admits", "p answers caller", "p: caller, Answered"]);
}
