//! The body of a response, on its way to hyper.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::error::{BoxError, Problem};
use crate::link::InFlight;
use crate::part::Part;

pin_project! {
    /// The service's body, or the server's own. Its request counts as running until the body ends or is dropped.
    #[derive(Debug)]
    pub(crate) struct ResponseBody<B> {
        #[pin]
        body: Option<B>,
        own: Bytes,
        in_flight: Option<InFlight>,
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(body: B, in_flight: Option<InFlight>) -> Self {
        Self { body: Some(body), own: Bytes::new(), in_flight }
    }

    pub(crate) fn own(own: Bytes, in_flight: Option<InFlight>) -> Self {
        Self { body: None, own, in_flight }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Part<B::Data>;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            let in_flight = this.in_flight.take();
            let own = std::mem::take(this.own);
            let unsent = in_flight.as_ref().map(InFlight::unsent);
            return Poll::Ready((!own.is_empty()).then(|| Ok(Frame::data(Part::own(own, unsent)))));
        };
        // Unwind safe, because after a panic the body is dropped without being polled again.
        let failure: BoxError = match catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
            Ok(frame) => match ready!(frame) {
                Some(Ok(frame)) => {
                    let unsent = this.in_flight.as_ref().map(InFlight::unsent);
                    return Poll::Ready(Some(Ok(frame.map_data(|data| Part::new(data, unsent)))));
                }
                None => {
                    *this.in_flight = None;
                    return Poll::Ready(None);
                }
                Some(Err(error)) => {
                    let problem = Problem::Body(error.into());
                    if let Some(in_flight) = this.in_flight.as_ref() {
                        in_flight.shared().report(&problem);
                    }
                    problem.into()
                }
            },
            Err(payload) => {
                if let Some(in_flight) = this.in_flight.as_ref() {
                    in_flight.shared().report_panic(payload.as_ref());
                }
                "the body of the response panicked".into()
            }
        };
        this.body.set(None);
        *this.in_flight = None;
        Poll::Ready(Some(Err(failure)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().map_or(self.own.is_empty(), B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(self.own.len() as u64), B::size_hint)
    }
}
