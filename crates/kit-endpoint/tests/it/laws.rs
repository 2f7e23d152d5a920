//! The laws of middleware, checked on every layer of this crate: over endpoints, over streams, and on the tower face.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kit_endpoint::base::{End, Gate, Guard, Now, ServerStream, ServiceError, Standard, Streaming, Tower};
use kit_endpoint::{
    BoxEndpoint, DeadlineLayer, EndpointExt, Error, Failer, Failing, FinishHook, Finished, Kind, Layer, Next,
    Operation, Request, Response, chain, finish_hook, middleware_fn, per_operation,
};
use kit_testing::laws::{Ends, Fault, Inner, Law, Laws, LawsClock, Readiness, Setup};
use tokio::sync::Semaphore;
use tower::layer::layer_fn;

const MOST: usize = 3;
const LIMIT: Duration = Duration::from_secs(1);

/// At most [`MOST`] calls at a time. Clones are the same limit.
#[derive(Clone, Default)]
struct AtMost(Arc<AtomicUsize>);

impl<Req, Res, Err> Gate<Req, Res, Err> for AtMost {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        let room = |running| (running < MOST).then_some(running + 1);
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, room);
        taken.map(drop).map_err(|running| Error::resource_exhausted(format!("{running} calls are running")))
    }

    fn finish(&self, (): (), _: &End<'_>) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

type Over<G> = Guard<G, Standard, LawsClock>;

fn guard<G>(setup: &Setup, gate: G) -> Over<G> {
    Guard::with(gate, Standard, setup.clock())
}

fn telling(ends: Ends) -> FinishHook<impl Fn(&Finished<'_>) + Send + Sync + use<>> {
    finish_hook(move |call| {
        assert_eq!(call.operation.service(), "laws");
        ends.add();
    })
}

fn hook(setup: &Setup) -> Over<FinishHook<impl Fn(&Finished<'_>) + Send + Sync + use<>>> {
    guard(setup, telling(setup.ends()))
}

fn limited(laws: Laws) -> Laws {
    laws.refusing().at_most(MOST)
}

#[test]
fn a_finish_hook() {
    Laws::endpoint(hook).pass_through().tells_ends().check();
    Laws::stream(hook).pass_through().tells_ends().check();
    Laws::service(|setup| Tower::new(hook(setup))).pass_through().tells_ends().check();
    Laws::http_service::<String, _, _, _>(|setup| Tower::new(hook(setup)).answered())
        .pass_through()
        .tells_ends()
        .check();
    Laws::grpc_service::<String, _, _, _>(|setup| Tower::new(hook(setup)).answered())
        .pass_through()
        .tells_ends()
        .check();
    // Beside a gate that refuses, it sees the refusals too.
    let beside = |setup: &Setup| guard(setup, (telling(setup.ends()), AtMost::default()));
    limited(Laws::endpoint(beside)).tells_ends().check();
    limited(Laws::stream(beside)).holds_bodies().tells_ends().check();
    limited(Laws::service(move |setup| Tower::new(beside(setup)))).tells_ends().check();
}

#[test]
fn a_default_deadline() {
    let layer = |_: &Setup| DeadlineLayer::new().with_default(LIMIT).unwrap();
    Laws::endpoint(layer).pass_through().gives_up_after(LIMIT).keeps_deadlines().check();
    Laws::stream(layer).pass_through().gives_up_after(LIMIT).keeps_deadlines().check();
    Laws::service(move |setup| Tower::new(layer(setup)))
        .pass_through()
        .readiness(Readiness::AtOnce)
        .gives_up_after(LIMIT)
        .keeps_deadlines()
        .check();
}

#[test]
fn a_cap_on_deadlines() {
    let layer = |_: &Setup| DeadlineLayer::new().with_cap(LIMIT).unwrap();
    Laws::endpoint(layer).pass_through().gives_up_after(LIMIT).keeps_deadlines().check();
    Laws::stream(layer).pass_through().gives_up_after(LIMIT).keeps_deadlines().check();
    Laws::service(move |setup| Tower::new(layer(setup)))
        .pass_through()
        .readiness(Readiness::AtOnce)
        .gives_up_after(LIMIT)
        .keeps_deadlines()
        .check();
    let both = |_: &Setup| DeadlineLayer::new().with_default(LIMIT / 2).unwrap().with_cap(LIMIT).unwrap();
    Laws::endpoint(both).pass_through().gives_up_after(LIMIT / 2).keeps_deadlines().check();
}

#[test]
fn the_callers_deadline() {
    let layer = |_: &Setup| DeadlineLayer::new();
    Laws::endpoint(layer).pass_through().keeps_deadlines().check();
    Laws::stream(layer).pass_through().keeps_deadlines().check();
    Laws::service(move |setup| Tower::new(layer(setup)))
        .pass_through()
        .readiness(Readiness::AtOnce)
        .keeps_deadlines()
        .check();
    // A limit of another length than declared is seen.
    let slow = |_: &Setup| DeadlineLayer::new().with_default(LIMIT * 2).unwrap();
    assert_eq!(Laws::endpoint(slow).pass_through().gives_up_after(LIMIT).report().law(), Some(Law::Clock));
}

#[test]
fn a_middleware_that_calls_on() {
    Laws::endpoint(|_| middleware_fn(|req: Request<u64>, next: Next<Inner>| async move { next.call(req).await }))
        .pass_through()
        .check();
    Laws::stream(|_| {
        middleware_fn(|req: Request<u64, ServerStream>, next: Next<Inner>| async move { next.call(req).await })
    })
    .pass_through()
    .check();
    Laws::service(|_| {
        Tower::new(middleware_fn(|req: Request<u64>, next: Next<_>| async move { next.call(req).await }))
    })
    .pass_through()
    .readiness(Readiness::AtOnce)
    .check();
}

/// A second try for what is idempotent. A macro, since the endpoint that comes next differs with the face.
macro_rules! twice {
    () => {
        middleware_fn(|req: Request<u64>, next: Next<_>| async move {
            match next.call(req.clone()).await {
                Err(_) if req.context().operation().is_idempotent() => next.call(req).await,
                outcome => outcome,
            }
        })
    };
}

#[test]
fn a_middleware_that_tries_twice() {
    Laws::endpoint(|_| twice!()).retrying(2).check();
    Laws::service(|_| Tower::new(twice!())).retrying(2).readiness(Readiness::AtOnce).check();
    // With nobody asking whether that is safe.
    let careless = middleware_fn(|req: Request<u64>, next: Next<Inner>| async move {
        match next.call(req.clone()).await {
            Err(_) => next.call(req).await,
            outcome => outcome,
        }
    });
    assert_eq!(Laws::endpoint(move |_| careless.clone()).retrying(2).report().law(), Some(Law::Unasked));
}

/// A place of a semaphore for each call, until its future is over.
macro_rules! in_turn {
    ($req:ty) => {{
        let places = Arc::new(Semaphore::new(MOST));
        middleware_fn(move |req: $req, next: Next<_>| {
            let places = Arc::clone(&places);
            async move {
                let _place = places.acquire_owned().await.map_err(|_| Error::unavailable("closed"))?;
                next.call(req).await
            }
        })
    }};
}

#[test]
fn a_middleware_that_waits() {
    Laws::endpoint(|_| in_turn!(Request<u64>)).waiting().at_most(MOST).check();
    Laws::stream(|_| in_turn!(Request<u64, ServerStream>)).waiting().at_most(MOST).check();
    Laws::service(|_| Tower::new(in_turn!(Request<u64>))).waiting().at_most(MOST).readiness(Readiness::AtOnce).check();
    // A deadline around it bounds the waiting too.
    Laws::endpoint(|_| (DeadlineLayer::new(), in_turn!(Request<u64>)))
        .waiting()
        .at_most(MOST)
        .keeps_deadlines()
        .check();
    let without = Laws::endpoint(|_| in_turn!(Request<u64>)).waiting().at_most(MOST).keeps_deadlines();
    assert_eq!(without.report().law(), Some(Law::NoHang));
}

#[test]
fn a_state_for_each_operation() {
    // The hook's state is the same for all, and so is told as one.
    let hooks = |setup: &Setup| {
        let ends = setup.ends();
        guard(setup, per_operation(move |_| telling(ends.clone())))
    };
    Laws::endpoint(hooks).pass_through().tells_ends().check();
    Laws::stream(hooks).pass_through().tells_ends().check();
    Laws::service(move |setup| Tower::new(hooks(setup))).pass_through().tells_ends().check();
    Laws::http_service::<String, _, _, _>(move |setup| Tower::new(hooks(setup)).answered())
        .pass_through()
        .tells_ends()
        .check();
    // One limit for all operations.
    let one = |setup: &Setup| {
        let limit = AtMost::default();
        guard(setup, per_operation(move |_| limit.clone()))
    };
    limited(Laws::endpoint(one)).check();
    limited(Laws::stream(one)).holds_bodies().check();
    limited(Laws::service(move |setup| Tower::new(one(setup)))).check();
    // A limit for each is more than one limit, as soon as there are two operations.
    let each = |setup: &Setup| guard(setup, per_operation(|_| AtMost::default()));
    Laws::endpoint(each).refusing().check();
    assert_eq!(limited(Laws::endpoint(each)).report().law(), Some(Law::Bound));
}

#[test]
fn a_name() {
    fn named<E>(inner: E) -> kit_endpoint::Named<E> {
        kit_endpoint::Named::new(inner, Operation::new("other", "name"))
    }
    Laws::endpoint(|_| layer_fn(named)).pass_through().check();
    Laws::stream(|_| layer_fn(named)).pass_through().check();
    // It lets readiness through where what is below does.
    Laws::service(|_| Tower::new(layer_fn(named))).pass_through().check();
    Laws::service(|setup| Tower::new((hook(setup), layer_fn(named), hook(setup)))).pass_through().check();
}

#[test]
fn a_box() {
    Laws::endpoint(|_| layer_fn(BoxEndpoint::<Request<u64>, Response<u64>, Fault>::new::<Inner>))
        .pass_through()
        .check();
    Laws::stream(|_| {
        layer_fn(BoxEndpoint::<Request<u64, ServerStream>, Response<Streaming<u64>>, Fault>::new::<Inner>)
    })
    .pass_through()
    .check();
    limited(Laws::endpoint(|setup| {
        let limit = guard(setup, AtMost::default());
        layer_fn(move |inner: Inner| -> BoxEndpoint<Request<u64>, Response<u64>, Fault> { limit.layer(inner).boxed() })
    }))
    .check();
    // What is in a box cannot say whether it refuses.
    Laws::service(|_| Tower::new(layer_fn(BoxEndpoint::<Request<u64>, Response<u64>, ServiceError<Fault>>::new)))
        .pass_through()
        .readiness(Readiness::AtOnce)
        .check();
}

/// An answer that could say that the call has failed.
struct Answer(u64);

impl Failer for Answer {
    fn failed(&self) -> Option<Kind> {
        (self.0 % 2 == 1).then_some(Kind::Unavailable)
    }
}

#[test]
fn answers_judged_by_what_they_say() {
    let judged = |setup: &Setup| {
        let guard = Guard::with((telling(setup.ends()), AtMost::default()), Failing, setup.clock());
        layer_fn(move |inner: Inner| {
            inner
                .middleware(|req: Request<u64>, next| async move { next.call(req).await.map(|res| res.map(Answer)) })
                .layer(guard.clone())
                .middleware(|req: Request<u64>, next| async move {
                    next.call(req).await.map(|res| res.map(|answer: Answer| answer.0))
                })
        })
    };
    limited(Laws::endpoint(judged)).tells_ends().check();
}

/// A hook, a limit, a deadline, a name and a middleware, from the outermost to the innermost.
macro_rules! five {
    ($setup:expr, $req:ty) => {
        chain((
            hook($setup),
            guard($setup, AtMost::default()),
            DeadlineLayer::new().with_default(LIMIT).unwrap().with_cap(LIMIT).unwrap(),
            layer_fn(|inner| kit_endpoint::Named::new(inner, Operation::new("other", "name"))),
            middleware_fn(|req: $req, next: Next<_>| async move { next.call(req).await }),
        ))
    };
}

fn stack(laws: Laws) -> Laws {
    limited(laws).gives_up_after(LIMIT).keeps_deadlines().tells_ends()
}

#[test]
fn a_full_stack() {
    stack(Laws::endpoint(|setup| five!(setup, Request<u64>))).check();
    stack(Laws::stream(|setup| five!(setup, Request<u64, ServerStream>))).holds_bodies().check();
    stack(Laws::service(|setup| Tower::new(five!(setup, Request<u64>)))).check();
    stack(Laws::endpoint(|setup| {
        let five = five!(setup, Request<u64>);
        layer_fn(move |inner: Inner| -> BoxEndpoint<Request<u64>, Response<u64>, Fault> { five.layer(inner).boxed() })
    }))
    .check();
    Laws::endpoint(|_| chain(())).pass_through().check();
}

#[test]
fn a_full_stack_with_its_limit_outside_counts_no_refusals() {
    let limit_first = |setup: &Setup| chain((guard(setup, AtMost::default()), hook(setup)));
    limited(Laws::endpoint(limit_first)).check();
    assert_eq!(limited(Laws::endpoint(limit_first)).tells_ends().report().law(), Some(Law::FinishOnce));
}
