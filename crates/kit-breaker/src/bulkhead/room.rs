//! The places of a bulkhead and the line before them: who is inside, and who comes next.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Some places, and a line of those who wait for one. Nobody waits while a place is free, so nobody jumps the line.
pub(crate) struct Room(Mutex<Inside>);

struct Inside {
    limit: usize,
    taken: usize,
    /// Who waits, by number: the lowest is the first.
    line: BTreeMap<u64, oneshot::Sender<Place>>,
    next: u64,
}

/// What becomes of a caller at the door.
pub(crate) enum Entry {
    /// A place is taken for it; [`Room::leave`] gives it back.
    Inside,
    Waits(Waiter),
    /// So many places are taken, and so many wait.
    Full(usize, usize),
}

impl Room {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inside { limit, taken: 0, line: BTreeMap::new(), next: 0 })))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn limit(&self) -> usize {
        self.lock().limit
    }

    pub(crate) fn taken(&self) -> usize {
        self.lock().taken
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lock().line.len()
    }

    /// Takes a place, or joins the line where that has fewer than so many.
    pub(crate) fn enter(self: &Arc<Self>, at_most_waiting: usize) -> Entry {
        let mut inside = self.lock();
        if inside.taken < inside.limit {
            inside.taken += 1;
            return Entry::Inside;
        }
        if inside.line.len() >= at_most_waiting {
            return Entry::Full(inside.taken, inside.line.len());
        }
        let (sender, place) = oneshot::channel();
        let number = inside.next;
        inside.next += 1;
        inside.line.insert(number, sender);
        drop(inside);
        Entry::Waits(Waiter { room: Arc::clone(self), number, place })
    }

    /// Gives a place back: to the first in the line, unless there are more taken than there should be.
    pub(crate) fn leave(self: &Arc<Self>) {
        while let Some(heir) = self.heir() {
            match heir.send(Place(Some(Arc::clone(self)))) {
                Ok(()) => return,
                // It has left this very moment: the place is for the next one.
                Err(mut place) => place.0 = None,
            }
        }
    }

    /// Who gets a place that is given back; nobody where it becomes free, or is one too many.
    fn heir(&self) -> Option<oneshot::Sender<Place>> {
        let mut inside = self.lock();
        let first = if inside.taken > inside.limit { None } else { inside.line.pop_first() };
        if first.is_none() {
            inside.taken -= 1;
        }
        first.map(|(_, heir)| heir)
    }

    /// Sets the number of places. Those that are new go to the line first; those that are too many go as they are given back.
    pub(crate) fn resize(self: &Arc<Self>, limit: usize) {
        let mut heirs = Vec::new();
        let mut inside = self.lock();
        inside.limit = limit;
        while inside.taken < limit {
            let Some((_, heir)) = inside.line.pop_first() else { break };
            inside.taken += 1;
            heirs.push(heir);
        }
        // Wakers run code of others.
        drop(inside);
        for heir in heirs {
            // Who has left gives its place back by dropping it.
            drop(heir.send(Place(Some(Arc::clone(self)))));
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = self.lock();
        f.debug_struct("Room")
            .field("limit", &inside.limit)
            .field("taken", &inside.taken)
            .field("waiting", &inside.line.len())
            .finish()
    }
}

/// A place on its way to somebody who waited for it. Dropped, it goes to the next one.
pub(crate) struct Place(Option<Arc<Room>>);

impl Place {
    /// Takes it: whoever does leaves the room by [`Room::leave`].
    pub(crate) fn take(mut self) {
        self.0 = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(room) = self.0.take() {
            room.leave();
        }
    }
}

/// Somebody in the line. Dropped, it has left it.
pub(crate) struct Waiter {
    room: Arc<Room>,
    number: u64,
    place: oneshot::Receiver<Place>,
}

impl Waiter {
    /// The place, when it is this one's turn.
    pub(crate) async fn turn(&mut self) -> Option<Place> {
        // The room keeps the sender until it sends.
        (&mut self.place).await.ok()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // Outside of the lock it goes, since that wakes somebody.
        let sender = self.room.lock().line.remove(&self.number);
        drop(sender);
    }
}
