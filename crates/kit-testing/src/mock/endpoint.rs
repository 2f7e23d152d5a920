//! The mock endpoint and its script.

use std::any::type_name;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit_base::{Endpoint, IntoService};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::handle::{Call, MockHandle, Responder};
use super::state::{CallCounts, InFlight, State};

/// An endpoint that answers as the test says, and records its calls.
///
/// ```
/// use kit_base::{Endpoint, Error, Kind};
/// use kit_testing::mock::MockEndpoint;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mock = MockEndpoint::new().then_ok("three").then_err(Error::unavailable("gone"));
///
/// assert_eq!(mock.call(3).await.unwrap(), "three");
/// assert_eq!(mock.call(4).await.unwrap_err().kind(), Kind::Unavailable);
/// assert_eq!(mock.requests(), [3, 4]);
/// # });
/// ```
///
/// The script is used up in order of the calls. After its end, a call panics, unless the mock was made by
/// [`from_fn`](Self::from_fn) (it asks the function) or [`pair`](Self::pair) (it asks the test).
///
/// Clones are the same mock. A call counts from the moment of `call`, before it is polled; see [`CallCounts`].
pub struct MockEndpoint<Req, Res, Err> {
    shared: Arc<Shared<Req, Res, Err>>,
}

struct Shared<Req, Res, Err> {
    plan: Mutex<Plan<Req, Res, Err>>,
    state: Arc<State>,
}

struct Plan<Req, Res, Err> {
    script: VecDeque<Answer<Res, Err>>,
    then: Then<Req, Res, Err>,
    requests: Vec<Req>,
}

/// What a call does.
enum Answer<Res, Err> {
    After(Duration, Result<Res, Err>),
    Pending,
    Panic(String),
    Hand(oneshot::Receiver<Result<Res, Err>>),
}

type Function<Req, Res, Err> = Box<dyn FnMut(&Req) -> Result<Res, Err> + Send>;

/// What calls do after the end of the script.
enum Then<Req, Res, Err> {
    Panic,
    Function(Function<Req, Res, Err>),
    Hand(UnboundedSender<Call<Req, Res, Err>>),
}

/// A mock as a tower service.
pub type MockService<Req, Res, Err> = IntoService<MockEndpoint<Req, Res, Err>>;

impl<Req, Res, Err> MockEndpoint<Req, Res, Err> {
    /// A mock without any answer yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Then::Panic)
    }

    /// A mock that asks a function.
    #[must_use]
    pub fn from_fn(answer: impl FnMut(&Req) -> Result<Res, Err> + Send + 'static) -> Self {
        Self::with(Then::Function(Box::new(answer)))
    }

    /// A mock whose calls arrive at a handle, where the test answers each by hand, when it likes.
    #[must_use]
    pub fn pair() -> (Self, MockHandle<Req, Res, Err>) {
        let (sender, receiver) = unbounded_channel();
        (Self::with(Then::Hand(sender)), MockHandle::new(receiver))
    }

    fn with(then: Then<Req, Res, Err>) -> Self {
        let plan = Plan { script: VecDeque::new(), then, requests: Vec::new() };
        Self { shared: Arc::new(Shared { plan: Mutex::new(plan), state: Arc::default() }) }
    }

    /// Adds a response to the script.
    #[must_use]
    pub fn then_ok(self, response: Res) -> Self {
        self.then(Answer::After(Duration::ZERO, Ok(response)))
    }

    /// Adds an error to the script.
    #[must_use]
    pub fn then_err(self, error: Err) -> Self {
        self.then(Answer::After(Duration::ZERO, Err(error)))
    }

    /// Adds an answer that comes after a time, on tokio's clock.
    #[must_use]
    pub fn then_after(self, delay: Duration, answer: Result<Res, Err>) -> Self {
        self.then(Answer::After(delay, answer))
    }

    /// Adds a call that never ends.
    #[must_use]
    pub fn then_pending(self) -> Self {
        self.then(Answer::Pending)
    }

    /// Adds a call that panics when it is polled.
    #[must_use]
    pub fn then_panic(self, message: impl Into<String>) -> Self {
        self.then(Answer::Panic(message.into()))
    }

    /// The mock as a tower service, for tests of tower layers. It is kit's own bridge: always ready, and a call reaches
    /// the mock when its future is first polled. For scripted readiness, take `tower-test`.
    ///
    /// ```
    /// use kit_testing::mock::MockEndpoint;
    /// use tower_service::Service;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let mock = MockEndpoint::<u32, &str, String>::new().then_ok("three");
    /// let mut service = mock.service(); // wrap it in the layer under test
    /// assert_eq!(service.call(3).await, Ok("three"));
    /// assert_eq!(mock.requests(), [3]);
    /// # });
    /// ```
    #[must_use]
    pub fn service(&self) -> MockService<Req, Res, Err> {
        IntoService::new(self.clone())
    }

    /// The requests so far, in order of the calls. Those that went to a [`MockHandle`] are there, and not here.
    #[must_use]
    pub fn requests(&self) -> Vec<Req>
    where
        Req: Clone,
    {
        self.lock().requests.clone()
    }

    /// Takes the requests so far, for requests that cannot be cloned.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Req> {
        std::mem::take(&mut self.lock().requests)
    }

    /// What became of the calls so far.
    #[must_use]
    pub fn counts(&self) -> CallCounts {
        self.shared.state.counts()
    }

    /// Calls that were made.
    #[must_use]
    pub fn started(&self) -> usize {
        self.counts().started
    }

    /// Calls that are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.counts().in_flight()
    }

    /// Calls whose future was dropped before its end.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.counts().dropped
    }

    /// Waits until the counts are as wanted, and returns them.
    ///
    /// It waits for ever if that does not come. *Cancellation:* nothing is lost.
    ///
    /// ```
    /// use kit_base::{Endpoint, Error};
    /// use kit_testing::mock::MockEndpoint;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let mock = MockEndpoint::<u32, u32, Error>::new().then_pending();
    /// let task = tokio::spawn({ let mock = mock.clone(); async move { mock.call(1).await } });
    /// mock.until(|counts| counts.in_flight() == 1).await;
    /// task.abort();
    /// mock.until(|counts| counts.dropped == 1).await;
    /// # });
    /// ```
    pub async fn until(&self, reached: impl FnMut(&CallCounts) -> bool) -> CallCounts {
        self.shared.state.until(reached).await
    }

    fn then(self, answer: Answer<Res, Err>) -> Self {
        self.lock().script.push_back(answer);
        self
    }

    /// Records a request and says what its call does. Under one lock, so that requests and answers are in one order.
    fn plan(&self, request: Req) -> Answer<Res, Err> {
        let mut plan = self.lock();
        let plan = &mut *plan;
        let answer = match (plan.script.pop_front(), &mut plan.then) {
            (Some(answer), _) => answer,
            (None, Then::Function(function)) => Answer::After(Duration::ZERO, function(&request)),
            (None, Then::Hand(calls)) => {
                let (sender, receiver) = oneshot::channel();
                // Without a handle nobody answers: the call stays pending, as with a responder that is dropped.
                let _ = calls.send(Call::new(request, Responder::new(sender)));
                return Answer::Hand(receiver);
            }
            (None, Then::Panic) => Answer::Panic(format!(
                "mock endpoint: call {} has no answer in the script: add one by `then_ok`, `then_err` or another",
                plan.requests.len() + 1
            )),
        };
        plan.requests.push(request);
        answer
    }

    fn lock(&self) -> MutexGuard<'_, Plan<Req, Res, Err>> {
        // A panic in the user's function leaves script and record as they were.
        self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Req, Res, Err> Endpoint<Req> for MockEndpoint<Req, Res, Err>
where
    Req: Send,
    Res: Send,
    Err: Send,
{
    type Response = Res;
    type Error = Err;

    fn call(&self, request: Req) -> impl Future<Output = Result<Res, Err>> + Send {
        let call = InFlight::start(&self.shared.state);
        let answer = self.plan(request);
        async move {
            let result = match answer {
                Answer::After(delay, result) => {
                    if !delay.is_zero() {
                        sleep(delay).await;
                    }
                    result
                }
                Answer::Pending => pending().await,
                Answer::Panic(message) => panic!("{message}"),
                Answer::Hand(answer) => match answer.await {
                    Ok(result) => result,
                    Err(_) => pending().await,
                },
            };
            call.finish();
            result
        }
    }
}

impl<Req, Res, Err> Clone for MockEndpoint<Req, Res, Err> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<Req, Res, Err> Default for MockEndpoint<Req, Res, Err> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Req, Res, Err> fmt::Debug for MockEndpoint<Req, Res, Err> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The types say which mock it is; requests may hold what is not for logs.
        f.debug_struct("MockEndpoint")
            .field("request", &type_name::<Req>())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
