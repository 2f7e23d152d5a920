//! What is said to a balanced channel: the changes of the set, and when there is nobody.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use kit_base::Instances;
use kit_lb::Changes;
use tokio::time::{Sleep, sleep};
use tonic::transport::Endpoint;
use tonic::transport::channel::Change;

/// An instance by its id, or nobody.
pub(crate) type Key = Option<Arc<str>>;

/// Where nobody can be: a connection to it is refused at once, without any network.
const NOBODY: &str = "http://127.0.0.1:0";

pub(crate) struct Feed {
    changes: Changes<Endpoint>,
    inserted: usize,
    /// Nobody is in the channel, for calls to fail by; they would wait for ever.
    nobody: bool,
    /// What comes after nobody has been removed.
    next: Option<Change<Key, Endpoint>>,
    first_wait: Pin<Box<Sleep>>,
}

impl Feed {
    pub(crate) fn new(changes: Changes<Endpoint>) -> Self {
        let first_wait = Box::pin(sleep(changes.first_wait()));
        Self { changes, inserted: 0, nobody: false, next: None, first_wait }
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Change<Key, Endpoint>> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(next);
        }
        Poll::Ready(match self.changes.poll_next(cx) {
            Poll::Ready(kit_lb::Change::Insert(id, endpoint)) => {
                self.inserted += 1;
                let insert = Change::Insert(Some(id), endpoint);
                if mem::take(&mut self.nobody) {
                    self.next = Some(insert);
                    Change::Remove(None)
                } else {
                    insert
                }
            }
            Poll::Ready(kit_lb::Change::Remove(id)) => {
                self.inserted -= 1;
                Change::Remove(Some(id))
            }
            Poll::Pending if self.inserted == 0 && !self.nobody && self.is_known(cx) => {
                self.nobody = true;
                Change::Insert(None, Endpoint::from_static(NOBODY))
            }
            Poll::Pending => return Poll::Pending,
        })
    }

    /// Whether an empty set is what is known, or calls have waited long enough.
    fn is_known(&mut self, cx: &mut Context<'_>) -> bool {
        let told = self.changes.told();
        told.instances != Instances::Pending || told.error.is_some() || self.first_wait.as_mut().poll(cx).is_ready()
    }
}
