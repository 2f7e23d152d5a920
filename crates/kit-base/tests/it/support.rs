//! What the tests share: a gate that writes down what it sees, endpoints from closures, and polling by hand.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use kit_base::{End, Endpoint, Error, Gate, Judgement, Now};

/// What happened, in order. Clones write into the same log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: impl Into<String>) {
        // A test of panics must not poison the log.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(line.into());
    }

    /// What has happened since the last question.
    #[track_caller]
    pub(crate) fn expect<const N: usize>(&self, lines: [&str; N]) {
        assert_eq!(self.take(), lines);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// What a [`Probe`] does with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Act {
    Admit,
    Refuse,
    PanicInAdmit,
    PanicInAnswer,
}

/// A gate that writes into a log what it does and sees.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) name: &'static str,
    pub(crate) log: Log,
    pub(crate) act: Act,
}

impl Probe {
    pub(crate) fn new(name: &'static str, log: &Log) -> Self {
        Self { name, log: log.clone(), act: Act::Admit }
    }

    pub(crate) fn refusing(name: &'static str, log: &Log) -> Self {
        Self { act: Act::Refuse, ..Self::new(name, log) }
    }

    pub(crate) fn doing(name: &'static str, log: &Log, act: Act) -> Self {
        Self { act, ..Self::new(name, log) }
    }

    fn ended(&self, end: &End<'_>) {
        let trailers = end.trailers.map(|trailers| format!(", {} trailers", trailers.len())).unwrap_or_default();
        self.log.add(format!("{}: {}, {:?}{trailers}", self.name, end.judgement.verdict.as_str(), end.cause));
    }
}

impl<Req, Res, Err> Gate<Req, Res, Err> for Probe {
    /// The name, to see that each gate gets its own permit back.
    type Permit = &'static str;

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<&'static str, Error> {
        match self.act {
            Act::Refuse => {
                self.log.add(format!("{} refuses", self.name));
                Err(Error::resource_exhausted("full"))
            }
            Act::PanicInAdmit => panic!("in admit"),
            Act::Admit | Act::PanicInAnswer => {
                self.log.add(format!("{} admits", self.name));
                Ok(self.name)
            }
        }
    }

    fn answer(&self, permit: &mut &'static str, _: &mut Result<Res, Err>, judgement: &Judgement) {
        assert_eq!(*permit, self.name);
        assert_ne!(self.act, Act::PanicInAnswer);
        self.log.add(format!("{} answers {}", self.name, judgement.verdict.as_str()));
    }

    fn finish(&self, permit: &'static str, end: &End<'_>) {
        assert_eq!(permit, self.name);
        self.ended(end);
    }
}

/// A gate that watches and never refuses.
#[derive(Clone, Debug)]
pub(crate) struct Watch(pub(crate) Probe);

impl<Req, Res, Err> Gate<Req, Res, Err> for Watch {
    const REFUSES: bool = false;
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        self.0.log.add(format!("{} admits", self.0.name));
        Ok(())
    }

    fn finish(&self, (): (), end: &End<'_>) {
        self.0.ended(end);
    }
}

/// An endpoint from a closure.
#[derive(Clone)]
pub(crate) struct Func<F>(pub(crate) F);

impl<Req, F, Fut, Res, Err> Endpoint<Req> for Func<F>
where
    F: Fn(Req) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Res, Err>> + Send,
    Res: Send,
    Err: Send,
{
    type Response = Res;
    type Error = Err;

    fn call(&self, req: Req) -> impl Future<Output = Result<Res, Err>> + Send {
        (self.0)(req)
    }
}

/// Gives the executor one turn.
pub(crate) async fn one_turn() {
    let mut turned = false;
    std::future::poll_fn(|cx| {
        if turned {
            return Poll::Ready(());
        }
        turned = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls once, with a waker that wakes nobody.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The outcome of a future that does not wait.
#[track_caller]
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match poll_once(pin!(future)) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("the future waits"),
    }
}

/// Runs code that panics, without the noise of the panic.
pub(crate) fn panics<T>(code: impl FnOnce() -> T) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code)).is_err()
}
