//! The handle to a watch.

use std::sync::Arc;

use kit_base::{Error, Instancer, Pauses, Publisher, Subscription};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::{InvalidSetting, ServiceQuery, expiry, watch};

/// A service of Consul, watched. Clones are the same watch; with the last of them its task ends at once, and its open
/// request with it. Subscribers see the end.
///
/// Its runtime may end first: then the last set stays, with an error that says so.
#[derive(Clone, Debug)]
#[must_use = "dropping it ends the watch"]
pub struct ConsulInstancer {
    watch: Arc<Watch>,
}

#[derive(Debug)]
struct Watch {
    publisher: Publisher,
    task: AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tells subscribers when the task ends by itself.
struct Ended(Publisher, String);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.fail(Error::unavailable(format!("the watch of {:?} has ended", self.1)));
    }
}

impl ConsulInstancer {
    pub(crate) fn begin(query: ServiceQuery, pauses: Pauses) -> Result<Self, InvalidSetting> {
        let runtime = Handle::try_current().map_err(|_| {
            let what = format!("the watch of {:?} needs a tokio runtime, and there is none here", query.service);
            InvalidSetting::new(what)
        })?;
        let publisher = Publisher::new();
        // Made here, since a runtime that has ended never begins the task.
        let ended = Ended(publisher.clone(), query.service.clone());
        let task = runtime.spawn(async move {
            let forgotten = || watch::tell(&query, "expired", &query.service, 1.0);
            tokio::select! {
                () = watch::run(&query, pauses, &ended.0) => {}
                () = expiry::forget_after(query.max_staleness, &ended.0, forgotten) => {}
            }
        });
        Ok(Self { watch: Arc::new(Watch { publisher, task: task.abort_handle() }) })
    }
}

impl Instancer for ConsulInstancer {
    fn subscribe(&self) -> Subscription {
        self.watch.publisher.subscribe()
    }
}
