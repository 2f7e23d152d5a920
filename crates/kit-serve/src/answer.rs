//! One request on its way through the service.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::error::{BoxError, Problem};
use crate::link::InFlight;
use crate::request_body::RequestBody;
use crate::response_body::ResponseBody;

pin_project! {
    /// Waits until the service is ready, calls it, and turns an error or a panic into an empty 500.
    pub(crate) struct Answer<S>
    where
        S: Service<Request<RequestBody>>,
    {
        #[pin]
        state: State<S, S::Future>,
        in_flight: Option<InFlight>,
        connect: bool,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F> {
        Refused { status: StatusCode, close: bool },
        Readying { service: S, request: Option<Request<RequestBody>> },
        Running { #[pin] future: F },
        Done,
    }
}

impl<S> Answer<S>
where
    S: Service<Request<RequestBody>>,
{
    pub(crate) fn new(service: S, request: Request<RequestBody>, in_flight: InFlight) -> Self {
        let connect = request.method() == Method::CONNECT;
        Self { state: State::Readying { service, request: Some(request) }, in_flight: Some(in_flight), connect }
    }

    pub(crate) fn refused(status: StatusCode, close: bool, in_flight: InFlight) -> Self {
        Self { state: State::Refused { status, close }, in_flight: Some(in_flight), connect: false }
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
                    ready!(service.poll_ready(cx))?;
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

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let State::Refused { status, close } = *this.state {
            this.state.set(State::Done);
            *this.in_flight = None;
            return Poll::Ready(Ok(own_answer(status, close)));
        }
        // Unwind safe, because after a panic the service and its future are dropped without being polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| this.state.as_mut().poll_service(cx)));
        let outcome = match polled {
            Ok(poll) => Ok(ready!(poll)),
            Err(payload) => Err(payload),
        };
        this.state.set(State::Done);
        let in_flight = this.in_flight.take();
        let response = match outcome {
            Ok(Ok(response)) => {
                let status = response.status();
                if status == StatusCode::SWITCHING_PROTOCOLS || (*this.connect && status.is_success()) {
                    in_flight.iter().for_each(InFlight::upgrades);
                }
                return Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, in_flight))));
            }
            Ok(Err(error)) => {
                if let Some(in_flight) = in_flight {
                    in_flight.shared().report(&Problem::Service(error.into()));
                }
                own_answer(StatusCode::INTERNAL_SERVER_ERROR, false)
            }
            Err(payload) => {
                if let Some(in_flight) = in_flight {
                    in_flight.shared().report_panic(payload.as_ref());
                }
                own_answer(StatusCode::INTERNAL_SERVER_ERROR, false)
            }
        };
        Poll::Ready(Ok(response))
    }
}

/// An answer of the server itself: a status without a body.
fn own_answer<B>(status: StatusCode, close: bool) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    if close {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
