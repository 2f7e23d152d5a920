//! The checker's hands: it makes calls, polls, answers, leaves, lets time pass, and looks at every law after each step.

use std::sync::Arc;
use std::time::Duration;

use kit_base::Deadline;
use tokio::runtime::Handle as Tokio;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, advance, timeout};

use super::declared::Declared;
use super::law::{Law, Step};
use super::outer::{Alarm, End, Outer, Polled, Stage};
use super::setup::Setup;
use super::subject::{Ask, Failed, Handle, Mount};
use super::world::{NodeState, Reply, ReplyEnd, Sent, World};

/// How long a call may wait, in virtual time, when nothing keeps it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3600);
/// Polls in a row, with nothing else happening, after which a call that asks for more waits by spinning.
const SPIN: usize = 200;

/// A layer with its inner services, and the calls to it.
pub(crate) struct Bench<'a> {
    pub(crate) declared: &'a Declared,
    pub(crate) world: Arc<World>,
    pub(crate) setup: Setup,
    pub(crate) rng: fastrand::Rng,
    pub(crate) calls: Vec<Outer>,
    mount: Box<dyn Mount>,
    /// One service for each time that the layer was put over an inner service.
    services: Vec<Box<dyn Handle>>,
    checker: Arc<Notify>,
    pub(crate) began: Instant,
    /// The arrivals that have been looked at.
    pub(crate) seen: usize,
    /// Calls whose future was dropped before its first poll: a layer may have seen them, or not.
    pub(crate) unpolled: usize,
    /// Whether all calls go through one clone, and that clone between two calls.
    one_clone: bool,
    clone: Option<Box<dyn Handle>>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(
        declared: &'a Declared,
        setup: Setup,
        make: &dyn Fn(&Setup) -> Box<dyn Mount>,
        world: Arc<World>,
        seed: u64,
    ) -> Self {
        let checker = Arc::default();
        // What arrives through a task, such as that of a connection, wakes nobody else.
        world.tell(&checker);
        let mount = make(&setup);
        let services = vec![mount.mount(&world)];
        Self {
            declared,
            world,
            setup,
            rng: fastrand::Rng::with_seed(seed),
            calls: Vec::new(),
            mount,
            services,
            checker,
            began: Instant::now(),
            seen: 0,
            unpolled: 0,
            one_clone: false,
            clone: None,
        }
    }

    pub(crate) fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }

    /// Puts the layer over an inner service once more, and gives the number of the new service.
    pub(crate) fn layer_again(&mut self) -> usize {
        self.world.note("the layer is put over an inner service once more");
        self.services.push(self.mount.mount(&self.world));
        self.services.len() - 1
    }

    /// From now on calls go through one clone, as long as they come one after the other, or through clones of their own.
    pub(crate) fn use_one_clone(&mut self, one_clone: bool) {
        self.one_clone = one_clone;
        self.clone = None;
    }

    pub(crate) fn has_clones(&self) -> bool {
        self.services[0].another().is_some()
    }

    /// The services that calls may go through: one, or where layering twice shares the state, two.
    pub(crate) fn a_service(&mut self) -> usize {
        self.rng.usize(..self.services.len())
    }

    /// Whether a new call could be made: a service without clones waits for one at a time.
    pub(crate) fn can_start(&self) -> bool {
        self.has_clones() || !self.calls.iter().any(|call| matches!(call.stage, Stage::Readying | Stage::Ready))
    }

    pub(crate) fn ask(&self, idempotent: bool, deadline: Option<Duration>) -> Ask {
        let deadline = deadline.map(|left| Deadline::after(self.now(), left));
        Ask { id: self.calls.len() as u64 + 1, idempotent, deadline, grpc: self.declared.grpc }
    }

    /// Makes a call through a clone of a service, without a poll.
    pub(crate) fn make(&mut self, service: usize, ask: Ask) -> usize {
        self.world.send(ask.id, Sent { idempotent: ask.idempotent, deadline: ask.deadline });
        self.world.note(format!("call {} is made{}", ask.id, if ask.idempotent { "" } else { ", not idempotent" }));
        let service = if self.has_clones() { service } else { 0 };
        self.calls.push(Outer {
            ask,
            began: Instant::now(),
            handle: self.clone.take().or_else(|| self.services[service].another()),
            stage: Stage::Readying,
            alarm: Alarm::new(&self.checker),
            answered_by: None,
            was_called: false,
        });
        self.calls.len() - 1
    }

    /// Makes a call through a clone of the very instance that another call uses.
    pub(crate) fn make_through_a_clone_of(&mut self, call: usize, ask: Ask) -> usize {
        let made = self.make(0, ask);
        self.calls[made].handle = self.calls[call].handle.as_ref().and_then(|handle| handle.another());
        made
    }

    /// Makes an idempotent call, and polls it as long as it asks for that.
    pub(crate) async fn start(&mut self) -> Step<usize> {
        self.start_through(0, true).await
    }

    pub(crate) async fn start_through(&mut self, service: usize, idempotent: bool) -> Step<usize> {
        let ask = self.ask(idempotent, None);
        let call = self.make(service, ask);
        self.drive(call).await?;
        Ok(call)
    }

    /// Polls a call once.
    pub(crate) async fn poll(&mut self, call: usize) -> Step {
        let outer = &mut self.calls[call];
        let id = outer.ask.id;
        let polled = outer.poll(self.services[0].as_mut());
        let outcome = match polled {
            Polled::Waits => "waits".to_owned(),
            Polled::Ready => {
                outer.stage = Stage::Ready;
                outer.alarm.ring();
                "finds the service ready".to_owned()
            }
            Polled::Part => {
                outer.alarm.ring();
                "gets a part".to_owned()
            }
            Polled::Head(number, rest) => {
                outer.answered_by = Some(number);
                match rest {
                    Some(rest) => {
                        outer.stage = Stage::Rest(rest);
                        outer.alarm.ring();
                        "gets the head of its answer".to_owned()
                    }
                    None => {
                        outer.stage = Stage::Over(End::Answered);
                        "is answered".to_owned()
                    }
                }
            }
            Polled::Over(end) => {
                let text = match &end {
                    End::Answered => "is answered to the end".to_owned(),
                    End::Failed(Failed::Inner { .. }) => "gets the inner error".to_owned(),
                    End::Failed(Failed::Refused(text)) => format!("is refused: {text}"),
                    End::Panicked => "panics".to_owned(),
                    End::Left => "leaves".to_owned(),
                };
                outer.stage = Stage::Over(end);
                text
            }
        };
        // What has been called is not asked for its readiness any more, so this clone goes.
        if !matches!(outer.stage, Stage::Readying | Stage::Ready) {
            let clone = outer.handle.take().filter(|_| self.one_clone);
            self.clone = clone.or(self.clone.take());
        }
        self.world.note(format!("call {id} is polled: it {outcome}"));
        self.settle().await;
        self.inspect(Some(call))
    }

    /// Polls a call as long as it asks for that.
    pub(crate) async fn drive(&mut self, call: usize) -> Step {
        for _ in 0..SPIN {
            if self.calls[call].is_over() || !self.calls[call].alarm.has_rung() {
                return Ok(());
            }
            self.poll(call).await?;
        }
        self.spins(call)
    }

    fn spins(&self, call: usize) -> Step {
        let id = self.calls[call].ask.id;
        Law::NoHang
            .broken(format!("call {id} asks again and again to be polled, and nothing changes: it waits by spinning"))
    }

    /// Polls all calls as long as one of them asks for that.
    pub(crate) async fn drive_all(&mut self) -> Step {
        let mut polls = 0;
        loop {
            let asks = |call: &Outer| !call.is_over() && call.alarm.has_rung();
            let Some(call) = self.calls.iter().position(asks) else { return Ok(()) };
            polls += 1;
            if polls > SPIN * self.calls.len() {
                return self.spins(call);
            }
            self.poll(call).await?;
        }
    }

    /// Calls the service, and drops the future before its first poll.
    pub(crate) async fn leave_unpolled(&mut self, call: usize) -> Step {
        let outer = &mut self.calls[call];
        let id = outer.ask.id;
        let handle = match &mut outer.handle {
            Some(handle) => handle.as_mut(),
            None => self.services[0].as_mut(),
        };
        handle.call_and_leave(outer.ask);
        outer.leave();
        self.unpolled += 1;
        self.world.note(format!("call {id} leaves between the call and the first poll"));
        self.settle().await;
        self.inspect(Some(call))
    }

    /// The caller leaves: future, body or stream are dropped.
    pub(crate) async fn leave(&mut self, call: usize) -> Step {
        if self.calls[call].is_over() {
            return Ok(());
        }
        let id = self.calls[call].ask.id;
        self.calls[call].leave();
        self.world.note(format!("call {id} leaves"));
        self.settle().await;
        self.inspect(Some(call))
    }

    /// Answers a call inside.
    pub(crate) async fn answer(&mut self, number: usize, reply: Reply) -> Step {
        let outer = self.world.lock().arrived[number].outer;
        let what = match (reply.end, reply.parts) {
            (ReplyEnd::Ok, 0) => "answers".to_owned(),
            (ReplyEnd::Fail, 0) => "fails".to_owned(),
            (ReplyEnd::Panic, 0) => "panics".to_owned(),
            (end, parts) => format!("answers with {parts} parts, then {end:?}"),
        };
        self.world.note(format!("inner call {number} (of call {outer}) {what}"));
        self.world.answer(number, reply);
        self.settle().await;
        self.inspect(None)
    }

    pub(crate) async fn advance(&mut self, step: Duration) -> Step {
        self.world.note(format!("{step:?} pass"));
        advance(step).await;
        self.settle().await;
        self.inspect(None)
    }

    pub(crate) fn set_nodes(&self, state: NodeState) {
        (0..self.declared.nodes()).for_each(|node| self.set_node(node, state));
    }

    pub(crate) fn set_node(&self, node: usize, state: NodeState) {
        self.world.note(format!(
            "inner service {node} is {}",
            match state {
                NodeState::Ready => "ready",
                NodeState::Pending => "not ready",
                NodeState::Broken => "broken",
            }
        ));
        self.world.set_node(node, state);
    }

    /// Lets the layer's tasks do what there is to do now, without time passing.
    async fn settle(&self) {
        let turns = if Tokio::current().metrics().num_alive_tasks() > 0 { 12 } else { 1 };
        for _ in 0..turns {
            yield_now().await;
        }
    }

    /// The inner calls that wait for an answer.
    pub(crate) fn unanswered(&self) -> Vec<usize> {
        let state = self.world.lock();
        state.open.iter().copied().filter(|&number| state.arrived[number].reply.is_none()).collect()
    }

    /// How many inner calls this call has led to.
    pub(crate) fn reached(&self, call: usize) -> usize {
        self.world.lock().reached_by(self.calls[call].ask.id).count()
    }

    /// The same, without those at an endpoint, which has no readiness to ask for, and waits in the call.
    pub(crate) fn called(&self, call: usize) -> usize {
        self.world.lock().reached_by(self.calls[call].ask.id).filter(|(_, inner)| !inner.waits_for_node).count()
    }

    /// Answers all that arrives, until every call is over; time passes as it must.
    pub(crate) async fn finish(&mut self) -> Step {
        for node in 0..self.declared.nodes() {
            if self.world.node_state(node) != NodeState::Ready {
                self.set_node(node, NodeState::Ready);
            }
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.drive_all().await?;
            for number in self.unanswered() {
                self.answer(number, Reply::OK).await?;
            }
            let streaming: Vec<usize> = {
                let state = self.world.lock();
                state.open.iter().copied().filter(|&number| state.arrived[number].reply.is_some()).collect()
            };
            for number in streaming {
                self.world.release(number);
            }
            self.drive_all().await?;
            if self.calls.iter().all(Outer::is_over) {
                return Ok(());
            }
            if !self.unanswered().is_empty() {
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let checker = Arc::clone(&self.checker);
            if timeout(left, checker.notified()).await.is_err() {
                let waits: Vec<u64> =
                    self.calls.iter().filter(|call| !call.is_over()).map(|call| call.ask.id).collect();
                return Law::NoHang.broken(format!("call {waits:?} waits for ever, with nothing left to wait for"));
            }
        }
    }

    /// Waits until a call asks to be polled, or this much time has passed. True for the former.
    pub(crate) async fn wait(&mut self, at_most: Duration) -> Step<bool> {
        let checker = Arc::clone(&self.checker);
        let end = Instant::now() + at_most;
        loop {
            if self.calls.iter().any(|call| !call.is_over() && call.alarm.has_rung()) {
                return Ok(true);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || timeout(left, checker.notified()).await.is_err() {
                self.inspect(None)?;
                return Ok(self.calls.iter().any(|call| !call.is_over() && call.alarm.has_rung()));
            }
        }
    }

    /// Drops everything. Nothing may be left.
    pub(crate) async fn close(mut self) -> Step {
        self.calls.clear();
        self.services.clear();
        self.clone = None;
        let Self { mount, world, .. } = self;
        drop(mount);
        let tasks = || Tokio::current().metrics().num_alive_tasks();
        for _ in 0..32 {
            yield_now().await;
        }
        if tasks() > 0 {
            return Law::NothingLeft.broken(format!("{} tasks live on after the layer and its calls", tasks()));
        }
        let state = world.lock();
        if !state.open.is_empty() {
            return Law::Cancelled
                .broken(format!("{} inner calls live on after the layer and its calls", state.open.len()));
        }
        match state.instances {
            0 => Ok(()),
            left => Law::NothingLeft.broken(format!("{left} inner services live on after the layer and its calls")),
        }
    }
}
