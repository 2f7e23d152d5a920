//! The five places where users put it, with real servers and clients: what of the backend trips it there, what does not, how
//! its refusal arrives, and how it closes.

mod arrives;
mod business;
pub(crate) mod channel;
mod client;
mod endpoint;
pub(crate) mod health;
pub(crate) mod router;
pub(crate) mod server;
mod streams;

use std::time::Duration;

use kit_base::{Clock, Endpoint, Error, Guard, Kind, Standard};
use kit_breaker::{Breaker, Settings, Snapshot, State};
use kit_testing::clock::ManualClock;
use tokio::time::{sleep, timeout};
use tower_layer::Layer;

/// Whatever takes longer hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(20);

/// What opens it, and for how long it is open then.
const FAILURES: u64 = 3;
pub(crate) const OPEN_FOR: Duration = Duration::from_secs(30);

/// A limit of time that passes soon.
pub(crate) const SOON: Duration = Duration::from_millis(100);

fn settings() -> Settings {
    Settings::new().consecutive_failures(3).open_for(OPEN_FOR)
}

/// A guard and its clock, which stands still until the test moves it.
pub(crate) struct Circuit {
    pub(crate) guard: Guard<Breaker, Standard, ManualClock>,
    pub(crate) clock: ManualClock,
}

impl Circuit {
    pub(crate) fn new(settings: Settings) -> Self {
        let clock = ManualClock::new();
        Self { guard: Guard::with(Breaker::new(settings).unwrap(), Standard, clock.clone()), clock }
    }

    pub(crate) fn seen(&self) -> Snapshot {
        self.guard.gate().snapshot_at(self.clock.now())
    }

    /// Waits until it looks so: a server may see the end of an answer after its client does.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) {
        let held = async {
            while !holds(&self.seen()) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(HANGS, held).await.unwrap_or_else(|_| panic!("{what}: {:?}", self.seen()));
    }
}

/// What a caller sees.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Good,
    /// An error of the backend, whatever it looks like.
    Failed(String),
    /// A refusal by the breaker, as it looks at this place.
    Refused,
}

/// A place with a breaker, a caller on one side of it and a backend on the other. What is asked for is a word that the
/// backend knows; `ok` everywhere.
pub(crate) trait Place {
    async fn ask(&self, word: &str) -> Outcome;

    /// How many calls the backend has seen.
    fn reached(&self) -> usize;
}

/// Opens it by three answers to this word.
async fn open(circuit: &Circuit, place: &impl Place, word: &str) {
    let (reached, failures) = (place.reached(), circuit.seen().failures);
    for n in 1..=FAILURES {
        assert_eq!(circuit.seen().state, State::Closed, "{word}");
        let outcome = timeout(HANGS, place.ask(word)).await.expect(word);
        assert!(matches!(outcome, Outcome::Failed(_)), "{word}: {outcome:?}");
        circuit.until(word, |seen| seen.failures == failures + n).await;
    }
    circuit.until(word, |seen| seen.state == State::Open).await;
    assert_eq!(place.reached() - reached, 3, "{word}");
}

/// Lets its time pass, after it has refused a call.
async fn half_open(circuit: &Circuit, place: &impl Place) {
    let reached = place.reached();
    assert_eq!(place.ask("ok").await, Outcome::Refused);
    assert_eq!(place.reached(), reached, "a refused call reaches nobody");
    circuit.clock.advance(OPEN_FOR);
    assert_eq!(circuit.seen().state, State::HalfOpen);
}

/// One probe reaches the backend, and its success closes the circuit.
async fn closes(circuit: &Circuit, place: &impl Place) {
    let reached = place.reached();
    assert_eq!(place.ask("ok").await, Outcome::Good);
    circuit.until("closed", |seen| seen.state == State::Closed).await;
    assert_eq!(place.ask("ok").await, Outcome::Good);
    assert_eq!(place.reached() - reached, 2);
}

/// Three answers to this word open it; it refuses, lets one probe through, and closes.
async fn trips(circuit: &Circuit, place: &impl Place, word: &str) {
    open(circuit, place, word).await;
    half_open(circuit, place).await;
    closes(circuit, place).await;
}

/// Hanging opens it, by a limit of time inside of it, and it closes again.
async fn hanging_trips(circuit: &Circuit, place: &impl Place) {
    open(circuit, place, "hang").await;
    half_open(circuit, place).await;
    recovers(circuit, place).await;
}

/// A half-open circuit closes by the first probe that does well. On a busy machine a limit of time may pass before that, which
/// opens it again.
pub(crate) async fn recovers(circuit: &Circuit, place: &impl Place) {
    for tries in 1.. {
        match place.ask("ok").await {
            Outcome::Good => break,
            Outcome::Failed(_) if tries < 20 => {
                circuit.until("open again", |seen| seen.open_for == Some(OPEN_FOR)).await;
                circuit.clock.advance(OPEN_FOR);
            }
            outcome => panic!("{outcome:?}"),
        }
    }
    circuit.until("closed", |seen| seen.state == State::Closed).await;
}

/// Answers to this word say nothing against the backend, and arrive.
async fn passes(circuit: &Circuit, place: &impl Place, word: &str) {
    let reached = place.reached();
    for _ in 0..5 {
        let outcome = timeout(HANGS, place.ask(word)).await.expect(word);
        assert_ne!(outcome, Outcome::Refused, "{word}");
        assert_eq!(matches!(outcome, Outcome::Good), word == "ok", "{word}: {outcome:?}");
    }
    // If one of them counted, one of these would be the third in a row.
    for _ in 0..2 {
        place.ask(word).await;
    }
    let seen = circuit.seen();
    assert_eq!((seen.state, seen.failures, seen.opened), (State::Closed, 0, 0), "{word}");
    assert_eq!(place.reached() - reached, 7, "{word}");
}

/// While a probe is under way, and says nothing yet, everybody else is refused. Its caller leaves then: that is no failure,
/// and another probe may go.
async fn a_probe_is_alone_and_may_be_left(circuit: &Circuit, place: &impl Place, bad: &str) {
    open(circuit, place, bad).await;
    half_open(circuit, place).await;
    let (reached, failures) = (place.reached(), circuit.seen().failures);
    tokio::select! {
        outcome = place.ask("hang") => panic!("it hangs, and did not: {outcome:?}"),
        () = async {
            circuit.until("a probe", |seen| seen.probes == 1 && place.reached() == reached + 1).await;
            for _ in 0..3 {
                assert_eq!(place.ask("ok").await, Outcome::Refused);
            }
            assert_eq!((circuit.seen().state, place.reached()), (State::HalfOpen, reached + 1));
        } => {}
    }
    circuit.until("left", |seen| seen.probes == 0).await;
    assert_eq!((circuit.seen().state, circuit.seen().failures), (State::HalfOpen, failures));
    closes(circuit, place).await;
    // Nor is it one while closed.
    for _ in 0..4 {
        let reached = place.reached();
        tokio::select! {
            outcome = place.ask("hang") => panic!("it hangs, and did not: {outcome:?}"),
            () = circuit.until("it hangs", |_| place.reached() == reached + 1) => {}
        }
    }
    assert_eq!(place.ask("ok").await, Outcome::Good);
    assert_eq!((circuit.seen().state, circuit.seen().failures), (State::Closed, failures));
}

/// A limit of time, as users write one: an async layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(pub(crate) Duration);

#[derive(Clone, Debug)]
pub(crate) struct Limited<E>(E, Duration);

impl<E> Layer<E> for Limit {
    type Service = Limited<E>;

    fn layer(&self, inner: E) -> Limited<E> {
        Limited(inner, self.0)
    }
}

impl<Req: Send, E: Endpoint<Req, Error: From<Error>>> Endpoint<Req> for Limited<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        match timeout(self.1, self.0.call(req)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(Kind::DeadlineExceeded, "too late").into()),
        }
    }
}
