//! The bell of a connection's timer and of the stop, apart from that of its bytes.

use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Wakes the task of a connection, and remembers that it did: so that bytes, which wake it far more often, cost no look at
/// the timer and at the stop.
#[derive(Debug)]
pub(crate) struct Alarm {
    bell: Arc<Bell>,
    waker: Waker,
    /// The task that the bell wakes.
    task: Waker,
}

#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    task: Mutex<Waker>,
}

impl Alarm {
    /// One that has rung: what it is for is looked at once, to learn of it.
    pub(crate) fn new() -> Self {
        let task = Waker::noop().clone();
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: Mutex::new(task.clone()) });
        Self { waker: Waker::from(Arc::clone(&bell)), bell, task }
    }

    /// Whether it has rung since this was last asked. From now on it wakes this task.
    pub(crate) fn has_rung(&mut self, task: &Waker) -> bool {
        if !self.task.will_wake(task) {
            self.task.clone_from(task);
            self.bell.task.lock().unwrap_or_else(PoisonError::into_inner).clone_from(task);
        }
        self.bell.rung.load(Relaxed) && self.bell.rung.swap(false, AcqRel)
    }

    /// What rings it.
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Release);
        self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
    }
}
