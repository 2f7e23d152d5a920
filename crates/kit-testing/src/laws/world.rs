//! What the inner services and the checker share: every call that arrived, and what becomes of it.

use std::collections::{BTreeSet, HashMap};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use kit_base::Deadline;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::law::{Broken, Law};

/// What the inner service does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) end: ReplyEnd,
    /// The parts of a body or stream before its end. A failure comes after them, and in the head when there are none.
    pub(crate) parts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyEnd {
    Ok,
    Fail,
    Panic,
}

impl Reply {
    pub(crate) const OK: Self = Self { end: ReplyEnd::Ok, parts: 0 };
    pub(crate) const FAIL: Self = Self { end: ReplyEnd::Fail, parts: 0 };
    pub(crate) const PANIC: Self = Self { end: ReplyEnd::Panic, parts: 0 };

    pub(crate) fn with_parts(self, parts: usize) -> Self {
        Self { parts, ..self }
    }
}

/// How far a call inside has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Running,
    /// The head was given, the rest was not.
    Streaming,
    Ended,
    Dropped,
}

/// A call that reached an inner service.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) outer: u64,
    pub(crate) node: usize,
    pub(crate) life: Life,
    pub(crate) at: Instant,
    pub(crate) reply: Option<Reply>,
    /// Parts of the body that may be given out now.
    released: usize,
    /// Polls until it answers by itself.
    polls: usize,
    /// An endpoint has no readiness: what arrives at one that is not ready waits.
    pub(crate) waits_for_node: bool,
    waker: Option<Waker>,
}

impl Arrived {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.life, Life::Running | Life::Streaming)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NodeState {
    #[default]
    Ready,
    Pending,
    Broken,
}

#[derive(Debug, Default)]
struct Node {
    state: NodeState,
    wakers: Vec<Waker>,
}

/// What was sent, to compare with what arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) idempotent: bool,
    pub(crate) deadline: Option<Deadline>,
}

/// What an inner service saw of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) outer: Option<u64>,
    pub(crate) deadline: Option<Deadline>,
    /// Of the operation, if there was one.
    pub(crate) idempotent: Option<bool>,
    pub(crate) metadata_kept: bool,
}

/// Every call is answered by itself, after some polls; for threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Auto {
    pub(crate) reply: Reply,
    pub(crate) polls: usize,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) arrived: Vec<Arrived>,
    /// The numbers of what arrived for each call, which are looked up after each step.
    by_outer: HashMap<u64, Vec<usize>>,
    pub(crate) broken: Option<Broken>,
    pub(crate) instances: usize,
    /// Calls whose head is not there yet, and the most there ever were.
    pub(crate) running: usize,
    pub(crate) most_running: usize,
    /// Calls whose head or rest is not there yet, by number.
    pub(crate) open: BTreeSet<usize>,
    sent: HashMap<u64, Sent>,
    nodes: HashMap<usize, Node>,
    auto: Option<Auto>,
    steps: Vec<String>,
    /// Told of each arrival.
    checker: Option<Arc<Notify>>,
}

impl State {
    fn begin(&mut self) {
        self.running += 1;
        self.open.insert(self.arrived.len() - 1);
        self.most_running = self.most_running.max(self.running);
    }

    fn pass_to(&mut self, number: usize, life: Life) {
        let call = &mut self.arrived[number];
        let (was_running, was_open) = (call.life == Life::Running, call.is_running());
        call.life = life;
        self.running -= usize::from(was_running && life != Life::Running);
        if was_open && !self.arrived[number].is_running() {
            self.open.remove(&number);
        }
    }

    pub(crate) fn reached_by(&self, outer: u64) -> impl Iterator<Item = (usize, &Arrived)> {
        let numbers = self.by_outer.get(&outer).into_iter().flatten();
        numbers.map(|&number| (number, &self.arrived[number]))
    }

    fn node(&mut self, node: usize) -> &mut Node {
        self.nodes.entry(node).or_default()
    }

    fn breaks(&mut self, law: Law, found: String) {
        self.broken.get_or_insert(Broken { law, found });
    }
}

/// Shared by the checker and all inner services of a run.
#[derive(Debug, Default)]
pub(crate) struct World(Mutex<State>);

impl World {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down a step, for the report.
    pub(crate) fn note(&self, step: impl Into<String>) {
        self.lock().steps.push(step.into());
    }

    pub(crate) fn take_steps(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().steps)
    }

    pub(crate) fn send(&self, outer: u64, sent: Sent) {
        self.lock().sent.insert(outer, sent);
    }

    pub(crate) fn breaks(&self, law: Law, found: impl Into<String>) {
        self.lock().breaks(law, found.into());
    }

    pub(crate) fn answer_by_itself(&self, auto: Option<Auto>) {
        self.lock().auto = auto;
    }

    pub(crate) fn tell(&self, checker: &Arc<Notify>) {
        self.lock().checker = Some(Arc::clone(checker));
    }

    /// A call reaches an inner service.
    pub(crate) fn arrive(&self, node: usize, seen: Seen, waits_for_node: bool) -> usize {
        let mut state = self.lock();
        let number = state.arrived.len();
        let outer = match seen.outer {
            Some(outer) => outer,
            None => {
                state.breaks(Law::Context, "a request arrived without the metadata that it was sent with".to_owned());
                u64::MAX
            }
        };
        if let Some(sent) = state.sent.get(&outer).copied() {
            let operation_kept = seen.idempotent == Some(sent.idempotent);
            if !operation_kept || !seen.metadata_kept {
                let what = if operation_kept { "metadata" } else { "operation" };
                state.breaks(Law::Context, format!("call {outer} arrived without its {what}"));
            }
            match (sent.deadline, seen.deadline) {
                (Some(_), None) => state.breaks(Law::Context, format!("call {outer} arrived without its deadline")),
                (Some(sent), Some(seen)) if seen > sent => {
                    state.breaks(
                        Law::Context,
                        format!("call {outer} arrived with a later deadline than it was sent with"),
                    );
                }
                _ => {}
            }
        }
        let polls = state.auto.map_or(0, |auto| auto.polls);
        state.by_outer.entry(outer).or_default().push(number);
        state.arrived.push(Arrived {
            outer,
            node,
            life: Life::Running,
            at: Instant::now(),
            reply: None,
            released: 0,
            polls,
            waits_for_node,
            waker: None,
        });
        state.begin();
        if let Some(checker) = &state.checker {
            checker.notify_one();
        }
        number
    }

    /// Asks for the head of an answer; for all of it where it is `whole`, and has no parts. A panic that was ordered goes off
    /// here, without a message on the console.
    pub(crate) fn poll_head(&self, number: usize, whole: bool, cx: &mut Context<'_>) -> Poll<Reply> {
        let mut state = self.lock();
        if state.arrived[number].waits_for_node {
            let node = state.arrived[number].node;
            let node = state.node(node);
            if node.state != NodeState::Ready {
                node.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
        }
        let auto = state.auto;
        let call = &mut state.arrived[number];
        if let (Some(auto), None) = (auto, call.reply) {
            if call.polls == 0 {
                call.reply = Some(auto.reply);
            } else {
                call.polls -= 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let Some(reply) = &mut call.reply else {
            // A waker may own what drops: not under the lock.
            let before = call.waker.replace(cx.waker().clone());
            drop(state);
            drop(before);
            return Poll::Pending;
        };
        if whole {
            reply.parts = 0;
        }
        let reply = *reply;
        if auto.is_some() {
            call.released = reply.parts + 1;
        }
        state.pass_to(number, if reply.parts > 0 { Life::Streaming } else { Life::Ended });
        if reply == Reply::PANIC {
            drop(state);
            resume_unwind(Box::new("the inner service panics, as told"));
        }
        Poll::Ready(reply)
    }

    /// Asks for the next part of a body or stream: a part, or the end.
    pub(crate) fn poll_part(&self, number: usize, cx: &mut Context<'_>) -> Poll<Part> {
        let mut state = self.lock();
        let call = &mut state.arrived[number];
        let Some(reply) = call.reply.as_mut().filter(|_| call.life == Life::Streaming) else {
            return Poll::Ready(Part::End(ReplyEnd::Ok));
        };
        if call.released == 0 {
            // A waker may own what drops: not under the lock.
            let before = call.waker.replace(cx.waker().clone());
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        call.released -= 1;
        if reply.parts > 0 {
            reply.parts -= 1;
            return Poll::Ready(Part::Data);
        }
        let end = reply.end;
        state.pass_to(number, Life::Ended);
        if end == ReplyEnd::Panic {
            drop(state);
            resume_unwind(Box::new("the inner body panics, as told"));
        }
        Poll::Ready(Part::End(end))
    }

    /// The future, body or stream of a call is dropped.
    pub(crate) fn leave(&self, number: usize) {
        let mut state = self.lock();
        if state.arrived[number].is_running() {
            state.pass_to(number, Life::Dropped);
        }
        let waker = state.arrived[number].waker.take();
        // A waker may own what drops: not under the lock.
        drop(state);
        drop(waker);
    }

    /// Answers a call that runs. Its parts wait to be released.
    pub(crate) fn answer(&self, number: usize, reply: Reply) {
        let mut state = self.lock();
        let call = &mut state.arrived[number];
        call.reply = Some(reply);
        let waker = call.waker.take();
        drop(state);
        wake(waker);
    }

    /// Lets one more part of an answer out.
    pub(crate) fn release(&self, number: usize) {
        let mut state = self.lock();
        let call = &mut state.arrived[number];
        call.released += 1;
        let waker = call.waker.take();
        drop(state);
        wake(waker);
    }

    pub(crate) fn node_state(&self, node: usize) -> NodeState {
        self.lock().node(node).state
    }

    pub(crate) fn set_node(&self, node: usize, to: NodeState) {
        let mut state = self.lock();
        let node = state.node(node);
        node.state = to;
        let wakers = std::mem::take(&mut node.wakers);
        drop(state);
        wake(wakers);
    }

    /// Asks a node for its readiness. One that cannot say that it is broken is never ready then.
    pub(crate) fn poll_node(&self, node: usize, says_broken: bool, cx: &mut Context<'_>) -> Poll<NodeState> {
        let mut state = self.lock();
        let node = state.node(node);
        if node.state == NodeState::Pending || (node.state == NodeState::Broken && !says_broken) {
            node.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(node.state)
    }
}

/// What comes next in a body or stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Data,
    End(ReplyEnd),
}

fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
