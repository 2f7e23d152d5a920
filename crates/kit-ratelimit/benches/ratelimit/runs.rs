//! How a subject is called: by a loop around an endpoint, a service, a gate or a question.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use kit_base::{Endpoint, Error, Gate, Monotonic, Now, Response};
use tower::Service;

use crate::harness::{Bound, Row};
use crate::subjects::Ask;

/// No bound.
pub(crate) const FREE: Bound = Bound { allocations: None, over: None };

/// No allocation, and so many instructions more.
pub(crate) const fn at_most(instructions: u64) -> Bound {
    boxes(0.0, instructions)
}

/// So many allocations, and so many instructions more.
pub(crate) const fn boxes(allocations: f64, instructions: u64) -> Bound {
    Bound { allocations: Some(allocations), over: Some(instructions) }
}

/// The rows so far.
#[derive(Debug)]
pub(crate) struct Rows(pub(crate) Vec<Row>);

impl Rows {
    pub(crate) fn row(
        &mut self,
        title: &'static str,
        over: Option<&'static str>,
        bound: Bound,
        run: impl Fn(u64) + Send + Sync + 'static,
    ) {
        self.0.push(Row { title, over, bound, shared: true, run: Box::new(run) });
    }

    /// Says that two threads may not call the row that was put in last.
    pub(crate) fn alone(&mut self) {
        self.0.iter_mut().next_back().into_iter().for_each(|row| row.shared = false);
    }

    /// A question to a limiter, and nothing around it.
    pub(crate) fn question<T>(
        &mut self,
        title: &'static str,
        over: Option<&'static str>,
        bound: Bound,
        question: impl Fn(u64) -> T + Send + Sync + 'static,
    ) {
        self.row(title, over, bound, move |calls| {
            for number in 0..calls {
                black_box(put(&question, black_box(number)));
            }
        });
    }

    /// A gate alone, with a clock of its own.
    pub(crate) fn gate<G: Gate<u64, (), Error>>(
        &mut self,
        title: &'static str,
        over: Option<&'static str>,
        bound: Bound,
        gate: G,
    ) {
        self.question(title, over, bound, move |mut number| gate.admit(&mut number, &Now::new(&Monotonic)));
    }

    /// An endpoint, called with a number.
    pub(crate) fn endpoint<E>(&mut self, title: &'static str, over: Option<&'static str>, bound: Bound, endpoint: E)
    where
        E: Endpoint<Ask, Response = Response<u64>, Error = Error> + 'static,
    {
        self.endpoint_with(title, over, bound, endpoint, Ask::new);
    }

    /// An endpoint, called with what is made of a number.
    pub(crate) fn endpoint_with<E>(
        &mut self,
        title: &'static str,
        over: Option<&'static str>,
        bound: Bound,
        endpoint: E,
        ask: impl Fn(u64) -> Ask + Send + Sync + 'static,
    ) where
        E: Endpoint<Ask, Response = Response<u64>, Error = Error> + 'static,
    {
        self.row(title, over, bound, move |calls| {
            for number in 0..calls {
                drop(answer(pin!(call(&endpoint, ask(black_box(number))))));
            }
        });
    }

    /// A tower service, called with what is made of a number.
    pub(crate) fn service<S, Req>(
        &mut self,
        title: &'static str,
        over: Option<&'static str>,
        bound: Bound,
        service: S,
        ask: impl Fn(u64) -> Req + Send + Sync + 'static,
    ) where
        S: Service<Req, Future: Send> + Clone + Send + Sync + 'static,
    {
        self.row(title, over, bound, move |calls| {
            let mut service = service.clone();
            for number in 0..calls {
                let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(ready, Poll::Ready(Ok(()))), "it is ready at once");
                drop(answer(pin!(call_service(&mut service, ask(black_box(number))))));
            }
        });
    }
}

// Futures are made behind a call that is not inlined, as where a router, a box or another crate calls.

#[inline(never)]
fn call<E: Endpoint<Req>, Req>(endpoint: &E, request: Req) -> impl Future<Output = Result<E::Response, E::Error>> {
    endpoint.call(request)
}

#[inline(never)]
pub(crate) fn call_service<S: Service<Req>, Req>(service: &mut S, request: Req) -> S::Future {
    service.call(request)
}

#[inline(never)]
fn put<T>(question: impl Fn(u64) -> T, number: u64) -> T {
    question(number)
}

/// Polls a future until it is ready, through a vtable and at a place of which the optimiser knows nothing: as a runtime
/// polls a task.
#[inline(never)]
pub(crate) fn answer<T>(mut future: Pin<&mut dyn Future<Output = T>>) -> T {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = black_box(future.as_mut()).poll(&mut cx) {
            return answer;
        }
    }
}
