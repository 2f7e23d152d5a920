//! Calls that the test answers by hand.

use std::fmt;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

/// The test's side of a mock endpoint made by [`MockEndpoint::pair`](super::MockEndpoint::pair).
///
/// ```
/// use kit_base::{Endpoint, Error};
/// use kit_testing::mock::MockEndpoint;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (mock, mut handle) = MockEndpoint::<u32, String, Error>::pair();
/// let (answer, ()) = tokio::join!(mock.call(7), async {
///     let call = handle.next().await.unwrap();
///     assert_eq!((*call.request(), mock.in_flight()), (7, 1));
///     call.ok("seven".to_owned());
/// });
/// assert_eq!(answer.unwrap(), "seven");
/// # });
/// ```
///
/// When it is dropped, further calls stay pending.
pub struct MockHandle<Req, Res, Err> {
    calls: UnboundedReceiver<Call<Req, Res, Err>>,
}

impl<Req, Res, Err> MockHandle<Req, Res, Err> {
    pub(super) fn new(calls: UnboundedReceiver<Call<Req, Res, Err>>) -> Self {
        Self { calls }
    }

    /// Waits for the next call; nothing when the mock and all of its clones are gone. Calls come in order.
    ///
    /// *Cancellation:* no call is lost.
    pub async fn next(&mut self) -> Option<Call<Req, Res, Err>> {
        self.calls.recv().await
    }

    /// The next call, if one was made already.
    pub fn try_next(&mut self) -> Option<Call<Req, Res, Err>> {
        self.calls.try_recv().ok()
    }
}

impl<Req, Res, Err> fmt::Debug for MockHandle<Req, Res, Err> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockHandle").field("waiting", &self.calls.len()).finish_non_exhaustive()
    }
}

/// A call that waits for its answer.
#[must_use = "a call that is dropped stays pending"]
pub struct Call<Req, Res, Err> {
    request: Req,
    responder: Responder<Res, Err>,
}

impl<Req, Res, Err> Call<Req, Res, Err> {
    pub(super) fn new(request: Req, responder: Responder<Res, Err>) -> Self {
        Self { request, responder }
    }

    /// What was asked.
    #[must_use]
    pub fn request(&self) -> &Req {
        &self.request
    }

    /// Answers with a response. False when the caller has left.
    pub fn ok(self, response: Res) -> bool {
        self.responder.respond(Ok(response))
    }

    /// Answers with an error. False when the caller has left.
    pub fn err(self, error: Err) -> bool {
        self.responder.respond(Err(error))
    }

    /// The request, and the means to answer it.
    pub fn into_parts(self) -> (Req, Responder<Res, Err>) {
        (self.request, self.responder)
    }

    /// Waits until the caller drops the call's future.
    pub async fn cancelled(&mut self) {
        self.responder.cancelled().await;
    }
}

impl<Req: fmt::Debug, Res, Err> fmt::Debug for Call<Req, Res, Err> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("request", &self.request).finish_non_exhaustive()
    }
}

/// The means to answer one call. Dropped, it leaves the call pending, as a peer that hangs.
#[must_use = "a call whose responder is dropped stays pending"]
pub struct Responder<Res, Err> {
    sender: oneshot::Sender<Result<Res, Err>>,
}

impl<Res, Err> Responder<Res, Err> {
    pub(super) fn new(sender: oneshot::Sender<Result<Res, Err>>) -> Self {
        Self { sender }
    }

    /// Answers the call. False when the caller has left.
    pub fn respond(self, answer: Result<Res, Err>) -> bool {
        self.sender.send(answer).is_ok()
    }

    /// Waits until the caller drops the call's future.
    pub async fn cancelled(&mut self) {
        self.sender.closed().await;
    }
}

impl<Res, Err> fmt::Debug for Responder<Res, Err> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("cancelled", &self.sender.is_closed()).finish_non_exhaustive()
    }
}
