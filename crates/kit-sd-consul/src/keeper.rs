//! The task of a registration: makes the agent know what it is to know, again and again.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use kit_base::{Error, Event, Kind, Pauses, Readiness, caught};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::call::{Answer, Call};
use crate::check::check_id;
use crate::passing::{again, asked_pause, passes};
use crate::plan::{LONGEST, Plan};
use crate::service::Service;
use crate::{Consul, RegistrationState};

/// To the head of an answer, and from there to its end, where the handle sets no shorter limits.
const REQUEST: Duration = Duration::from_secs(5);

/// How long a handle that was dropped may still try to deregister.
const LEAVE: Duration = Duration::from_secs(2);

/// How often a change of the readiness is looked for: reading it costs nothing.
const READINESS: Duration = Duration::from_millis(200);

/// What the handle asks of the task.
pub(crate) enum Command {
    Update(Box<Service>, oneshot::Sender<Result<(), Error>>),
    /// Until this time.
    Deregister(Instant, oneshot::Sender<Result<(), Error>>),
}

/// An update that nobody has been answered yet.
struct Update {
    before: Box<Service>,
    reply: oneshot::Sender<Result<(), Error>>,
}

type Sending = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>;

pub(crate) struct Keeper {
    consul: Consul,
    plan: Plan,
    /// What the agent is to know.
    service: Box<Service>,
    update: Option<Update>,
    /// A registration that is on its way. It outlives what interrupts it: at the agent, requests of two connections have
    /// no order, and an older one that is taken last would undo an update, or stay after the end.
    sending: Option<Sending>,
    /// Whether the agent is to be told: it is not known to know.
    due: bool,
    /// Whether it may know of the instance.
    known: bool,
    /// What it was told last.
    ready: bool,
    next: Instant,
    pauses: Pauses,
    token: watch::Receiver<Option<HeaderValue>>,
    state: watch::Sender<RegistrationState>,
}

impl Keeper {
    pub(crate) fn new(
        consul: Consul,
        plan: Plan,
        pauses: Pauses,
        service: Service,
        state: watch::Sender<RegistrationState>,
    ) -> Self {
        let (token, next, service) = (consul.token().replaced(), Instant::now(), Box::new(service));
        let (update, sending, due, known, ready) = (None, None, true, false, false);
        Self { consul, plan, service, update, sending, due, known, ready, next, pauses, token, state }
    }

    /// Until it is asked to end, or the handle is gone. Each open request ends with what it was for, but registrations.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let command = tokio::select! {
                biased;
                command = commands.recv() => command,
                () = self.keep() => continue,
            };
            match command {
                Some(Command::Update(service, reply)) => {
                    let before = std::mem::replace(&mut self.service, service);
                    // One that is overtaken has no caller any more, and perhaps was never taken.
                    let before = self.update.take().map_or(before, |overtaken| overtaken.before);
                    self.update = Some(Update { before, reply });
                    (self.due, self.next) = (true, Instant::now());
                }
                Some(Command::Deregister(until, mut reply)) => {
                    tokio::select! {
                        result = self.deregister(until) => {
                            let _ = reply.send(result);
                        }
                        () = reply.closed() => self.leave().await,
                    }
                    return;
                }
                None => return self.leave().await,
            }
        }
    }

    /// One look at the agent, when it is time for it. *Cancellation:* whatever was not answered is due again.
    async fn keep(&mut self) {
        self.wait().await;
        let result = self.look().await;
        self.settle(result);
    }

    async fn wait(&mut self) {
        loop {
            let wake =
                if self.plan.readiness.is_some() { self.next.min(Instant::now() + READINESS) } else { self.next };
            tokio::select! {
                () = sleep_until(wake) => {}
                Ok(()) = self.token.changed() => {
                    // The agent writes to the catalog with the token that the service was registered with.
                    (self.due, self.next) = (true, Instant::now());
                }
            }
            let failing = self.state.borrow().error.is_some();
            if self.next <= Instant::now() || (self.is_ready() != self.ready && !failing) {
                return;
            }
        }
    }

    fn is_ready(&self) -> bool {
        self.plan.readiness.as_ref().is_none_or(Readiness::is_ready)
    }

    /// Makes sure that the agent knows the instance.
    async fn look(&mut self) -> Result<(), Error> {
        if self.due {
            self.register().await?;
        } else if self.confirm().await? {
            return Ok(());
        } else {
            self.lost();
            self.register().await?;
        }
        if self.plan.check.time_to_live().is_none() || self.confirm().await? {
            return Ok(());
        }
        self.lost();
        Err(Error::unavailable(format!("consul forgot {:?} as soon as it was registered", self.service.id)))
    }

    fn lost(&mut self) {
        self.due = true;
        self.state.send_modify(|state| state.registered_since = None);
        self.tell("lost");
    }

    async fn register(&mut self) -> Result<(), Error> {
        let _earlier = self.sent().await;
        self.ready = self.is_ready();
        let status = status(self.ready);
        let heartbeat = self.plan.check.time_to_live().is_some();
        if let Some(check) = self.service.check.as_mut().filter(|_| heartbeat) {
            check.status = Some(status);
        }
        let call = self.call(Method::PUT, &["v1", "agent", "service", "register"]);
        // So that a check that is wanted no more goes; those that stay keep their state.
        let call = call.query("replace-existing-checks", "true").json(&self.service)?;
        let knew = std::mem::replace(&mut self.known, true);
        self.sending = Some(Box::pin(call.send()));
        if let Some(Err(error)) = self.sent().await.map(|answer| answer.and_then(Answer::ok)) {
            self.known = knew || passes(&error);
            return Err(error);
        }
        self.due = false;
        let again = self.update.is_none() && self.state.borrow().registered_since.is_some();
        self.state.send_if_modified(|state| {
            state.registered_since.get_or_insert_with(|| Instant::now().into_std());
            false
        });
        if !again {
            self.tell(if self.update.is_some() { "updated" } else { "registered" });
        }
        Ok(())
    }

    /// The answer to the registration that is on its way, if there is one. *Cancellation:* it goes on.
    async fn sent(&mut self) -> Option<Result<Answer, Error>> {
        let answer = self.sending.as_mut()?.await;
        self.sending = None;
        Some(answer)
    }

    /// The heartbeat, or a question: whether the agent still knows the instance.
    async fn confirm(&mut self) -> Result<bool, Error> {
        let id = self.service.id.clone();
        let heartbeat = self.plan.check.time_to_live().is_some();
        let call = if heartbeat {
            self.ready = self.is_ready();
            let output = if self.ready { "the process is ready" } else { "the process is not ready" };
            let call = self.call(Method::PUT, &["v1", "agent", "check", "update", &check_id(&id)]);
            call.json(&Heartbeat { status: status(self.ready), output })?
        } else {
            self.call(Method::GET, &["v1", "agent", "service", &id])
        };
        let answer = call.send().await?;
        // Agents before 1.10 answer 500 for a check that they do not know, and the text varies.
        if answer.status == StatusCode::NOT_FOUND || heartbeat && answer.status == StatusCode::INTERNAL_SERVER_ERROR {
            return Ok(false);
        }
        answer.ok().map(|_| true)
    }

    fn settle(&mut self, result: Result<(), Error>) {
        let now = Instant::now();
        let Err(error) = result else {
            self.pauses.reset();
            self.next = now + self.interval();
            self.state.send_modify(|state| (state.confirmed, state.error) = (Some(now.into_std()), None));
            if let Some(update) = self.update.take() {
                let _ = update.reply.send(Ok(()));
            }
            return;
        };
        let error = Arc::new(error);
        self.tell("failed");
        self.next = now + self.pause().max(asked_pause(&error));
        if let Some(update) = self.update.take() {
            let _ = update.reply.send(Err(again(&error)));
            if error.kind() == Kind::InvalidArgument {
                // What no agent will ever take must not take the place of what it has.
                self.service = update.before;
                (self.due, self.next) = (true, now);
                return;
            }
        }
        self.state.send_modify(|state| state.error = Some(error));
    }

    fn pause(&mut self) -> Duration {
        self.pauses.next().unwrap_or(LONGEST).min(LONGEST)
    }

    fn interval(&self) -> Duration {
        self.plan.check.time_to_live().map_or(self.plan.poll, |ttl| ttl / 3)
    }

    /// Takes the instance back, and says whether the agent knows of it.
    async fn deregister(&mut self, until: Instant) -> Result<(), Error> {
        self.pauses.reset();
        let mut last = None;
        let error = loop {
            match timeout_at(until, self.withdraw(until)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if passes(&error) => last = Some(error),
                Ok(Err(error)) => break error,
                Err(_) => break last.unwrap_or_else(|| Error::deadline_exceeded("consul did not answer in time")),
            }
            sleep_until(until.min(Instant::now() + self.pause())).await;
        };
        self.tell("abandoned");
        Err(error)
    }

    async fn withdraw(&mut self, until: Instant) -> Result<(), Error> {
        let begun = Instant::now();
        let _answer = timeout(until.saturating_duration_since(begun) / 2, self.sent()).await;
        self.sending = None;
        let id = self.service.id.clone();
        let answer = self.call(Method::PUT, &["v1", "agent", "service", "deregister", &id]).send().await?;
        // There is nothing left to do where the agent does not know it: 404, or before 1.10 with ACLs this 500.
        let unknown =
            answer.status == StatusCode::INTERNAL_SERVER_ERROR && answer.text().starts_with("Unknown service");
        if answer.status != StatusCode::NOT_FOUND && !unknown {
            answer.ok()?;
        }
        self.known = false;
        self.tell("deregistered");
        Ok(())
    }

    /// The best effort for a handle that was dropped.
    async fn leave(&mut self) {
        let until = Instant::now() + LEAVE;
        if self.known && !matches!(timeout_at(until, self.withdraw(until)).await, Ok(Ok(()))) {
            self.tell("abandoned");
        }
    }

    fn call(&self, method: Method, path: &[&str]) -> Call {
        self.consul.call(method, path).at_most(REQUEST)
    }

    fn tell(&self, what: &'static str) {
        // A panic in the observer must not end the heartbeat.
        let _ = caught(|| self.plan.observer.observe(&Event::new("registrar", what, &self.service.id)));
    }
}

fn status(ready: bool) -> &'static str {
    if ready { "passing" } else { "critical" }
}

/// In the words of `/v1/agent/check/update`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Heartbeat {
    status: &'static str,
    output: &'static str,
}
