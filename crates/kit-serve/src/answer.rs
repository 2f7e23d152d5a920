//! One request on its way through the service.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Request, Response, header};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower_service::Service;

use crate::error::{BoxError, Problem};
use crate::link::InFlight;
use crate::own::{Asked, Own};
use crate::request_body::RequestBody;
use crate::response_body::ResponseBody;
use crate::waiting::Wait;

pin_project! {
    /// Waits until the service is ready, calls it, and turns an error, a panic or lateness into an answer.
    pub(crate) struct Answer<S>
    where
        S: Service<Request<RequestBody>>,
    {
        #[pin]
        state: State<S, S::Future>,
        in_flight: Option<InFlight>,
        asked: Asked,
        // For a request with a body.
        wait: Option<Arc<Wait>>,
        // Made when the service does not answer at once; boxed, because this is moved before that.
        timer: Option<Pin<Box<Sleep>>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F> {
        Refused { own: Own },
        Readying { service: S, request: Option<Request<RequestBody>> },
        Running { #[pin] future: F },
        Done,
    }
}

impl<S> Answer<S>
where
    S: Service<Request<RequestBody>>,
{
    pub(crate) fn new(
        service: S,
        request: Request<RequestBody>,
        in_flight: InFlight,
        asked: Asked,
        wait: Option<Arc<Wait>>,
    ) -> Self {
        Self::with(State::Readying { service, request: Some(request) }, in_flight, asked, wait)
    }

    pub(crate) fn refused(own: Own, in_flight: InFlight, asked: Asked) -> Self {
        Self::with(State::Refused { own }, in_flight, asked, None)
    }

    fn with(state: State<S, S::Future>, in_flight: InFlight, asked: Asked, wait: Option<Arc<Wait>>) -> Self {
        Self { state, in_flight: Some(in_flight), asked, wait, timer: None }
    }

    /// Ready when the answer should have come.
    fn poll_late(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let limit = this.in_flight.as_ref().and_then(|in_flight| in_flight.shared().limits.request_timeout);
        let Some(limit) = limit else { return Poll::Pending };
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        loop {
            std::task::ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            let due = this.wait.as_ref().and_then(|wait| wait.last(now)).map(|last| last + limit);
            let Some(due) = due.filter(|due| *due > now) else { break };
            timer.as_mut().reset(due);
        }
        Poll::Ready(())
    }
}

impl<S, F> State<S, F>
where
    S: Service<Request<RequestBody>, Future = F>,
    F: Future<Output = Result<S::Response, S::Error>>,
{
    fn poll_service(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<S::Response, S::Error>> {
        loop {
            let future = match self.as_mut().project() {
                StateProj::Running { future } => return future.poll(cx),
                StateProj::Readying { service, request } => {
                    std::task::ready!(service.poll_ready(cx))?;
                    service.call(request.take().expect("the state changes when the request is taken"))
                }
                StateProj::Refused { .. } | StateProj::Done => return Poll::Pending,
            };
            self.set(State::Running { future });
        }
    }
}

impl<S, B> Future for Answer<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Refused { own } = self.state {
            let this = self.project();
            let in_flight = this.in_flight.take();
            if let Some(in_flight) = &in_flight {
                in_flight.shared().events.tell("refused", own.key());
            }
            return Poll::Ready(Ok(own.answer(*this.asked, in_flight)));
        }
        // Unwind safe, because after a panic the service and its future are dropped without being polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| self.as_mut().project().state.poll_service(cx)));
        let outcome = match polled {
            Ok(Poll::Ready(outcome)) => Some(Ok(outcome)),
            Ok(Poll::Pending) if self.as_mut().poll_late(cx).is_pending() => return Poll::Pending,
            Ok(Poll::Pending) => None,
            Err(payload) => Some(Err(payload)),
        };
        let mut this = self.project();
        // Here the service's future is dropped.
        this.state.set(State::Done);
        *this.timer = None;
        let in_flight = this.in_flight.take();
        let mut response = match outcome {
            Some(Ok(Ok(response))) => {
                if this.asked.is_granted(response.status()) {
                    in_flight.iter().for_each(InFlight::upgrades);
                }
                response.map(|body| ResponseBody::new(body, in_flight))
            }
            Some(Ok(Err(error))) => {
                if let Some(in_flight) = &in_flight {
                    in_flight.shared().report(&Problem::Service(error.into()));
                }
                Own::Failed.answer(*this.asked, in_flight)
            }
            Some(Err(payload)) => {
                if let Some(in_flight) = &in_flight {
                    in_flight.shared().report_panic(payload.as_ref());
                }
                Own::Failed.answer(*this.asked, in_flight)
            }
            None => {
                if let Some(in_flight) = &in_flight {
                    in_flight.shared().events.tell("request_late", "");
                }
                Own::Late.answer(*this.asked, in_flight)
            }
        };
        // The rest of a body that was given up is not waited for either.
        if this.asked.may_close() && this.wait.as_ref().is_some_and(|wait| wait.is_too_slow()) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}
