//! Services that call what was not ready, or tell a readiness that is not theirs.

use std::mem;
use std::task::{Context, Poll, ready};

use kit_base::{BoxFuture, Request, Response};
use kit_testing::laws::{Fault, Inner, Law, Laws, Readiness};
use tower_layer::layer_fn;
use tower_service::Service;

use super::{accused_of_nothing, caught, ready};

pub(super) fn twins() -> Vec<(&'static str, Laws)> {
    vec![
        ("a service that passes readiness on", asks(Ready::Passed)),
        ("a service that is ready at once", asks(Ready::WaitsInTheCall).readiness(Readiness::AtOnce)),
        ("a service without clones", asks_alone(Ready::Passed)),
    ]
}

/// What a service does with the readiness of the one inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    /// It is passed on, and what was ready is called.
    Passed,
    /// It is passed on, and a clone of what was ready is called.
    PassedAndCloned,
    /// It is passed on once, and remembered.
    Remembered,
    /// It is passed on, but for an error.
    PassedWithoutErrors,
    /// It is waited for in the call.
    WaitsInTheCall,
    /// It is not asked for.
    Ignored,
}

#[derive(Clone)]
struct Asks {
    inner: Inner,
    was_ready: bool,
    how: Ready,
}

impl Service<Request<u64>> for Asks {
    type Response = Response<u64>;
    type Error = Fault;
    type Future = BoxFuture<Result<Response<u64>, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let at_once = match self.how {
            Ready::WaitsInTheCall | Ready::Ignored => true,
            Ready::Remembered => self.was_ready,
            Ready::Passed | Ready::PassedAndCloned | Ready::PassedWithoutErrors => false,
        };
        if at_once {
            return Poll::Ready(Ok(()));
        }
        let asked = ready!(Service::<Request<u64>>::poll_ready(&mut self.inner, cx));
        self.was_ready = asked.is_ok();
        Poll::Ready(if self.how == Ready::PassedWithoutErrors { Ok(()) } else { asked })
    }

    fn call(&mut self, req: Request<u64>) -> Self::Future {
        let clone = self.inner.clone();
        let mut inner = match self.how {
            Ready::PassedAndCloned => clone,
            _ => mem::replace(&mut self.inner, clone),
        };
        let waits = self.how == Ready::WaitsInTheCall;
        Box::pin(async move {
            if waits {
                ready(&mut inner).await?;
            }
            Service::call(&mut inner, req).await
        })
    }
}

fn asks(how: Ready) -> Laws {
    Laws::service(move |_| layer_fn(move |inner| Asks { inner, was_ready: false, how })).pass_through()
}

fn asks_alone(how: Ready) -> Laws {
    Laws::lone_service(move |_| layer_fn(move |inner| Asks { inner, was_ready: false, how })).pass_through()
}

/// The classic: the clone that goes into the future is not the instance that was ready (tower-rs/tower#547,
/// joshrotenberg/tower-resilience#392).
#[test]
fn a_clone_is_called_instead_of_what_was_ready() {
    caught(Law::Readiness, || asks(Ready::PassedAndCloned));
    accused_of_nothing(asks(Ready::Passed));
}

/// `poll_ready` returns `Ready`, since the author has never seen anything else (joshrotenberg/tower-resilience#392).
#[test]
fn nobody_asks_the_inner_service() {
    caught(Law::Readiness, || asks(Ready::Ignored));
    caught(Law::Readiness, || asks(Ready::Ignored).readiness(Readiness::AtOnce));
}

/// A readiness that is asked for once is not one for the next call (joshrotenberg/tower-resilience#392).
#[test]
fn the_readiness_of_the_last_call_is_remembered() {
    caught(Law::Readiness, || asks_alone(Ready::Remembered));
    // Where each call has a clone of its own, it shows on a clone of what was ready.
    caught(Law::Readiness, || asks(Ready::Remembered));
    accused_of_nothing(asks_alone(Ready::Passed));
}

/// What has said that it is broken is called all the same (joshrotenberg/tower-resilience#391).
#[test]
fn an_error_of_readiness_is_swallowed() {
    caught(Law::Readiness, || asks(Ready::PassedWithoutErrors));
}

/// It calls as it should, but says that it is ready while the inner service is not: a balancer outside sends calls here
/// that have to wait (tower-rs/tower#547).
#[test]
fn it_says_that_it_is_ready_and_the_inner_service_is_not() {
    caught(Law::Readiness, || asks(Ready::WaitsInTheCall).readiness(Readiness::Passed));
    accused_of_nothing(asks(Ready::WaitsInTheCall).readiness(Readiness::AtOnce));
}

/// Declared to be ready at once, it waits for a backend that hangs (joshrotenberg/tower-resilience#386).
#[test]
fn it_is_ready_only_when_the_inner_service_is() {
    caught(Law::Readiness, || asks(Ready::Passed).readiness(Readiness::AtOnce));
    accused_of_nothing(asks(Ready::Passed).readiness(Readiness::Passed));
}
