//! Steady requests through the gateway, whatever becomes of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use addsvc::{Add, SumRequest};
use kit_base::{Context, Deadline};
use tokio::task::JoinSet;

/// How long a request waits for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) why: String,
}

/// What came of the requests so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    shared: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    failed: Vec<Failed>,
}

impl Tally {
    pub(crate) fn requests(&self) -> u64 {
        self.lock().requests
    }

    pub(crate) fn failed(&self) -> Vec<Failed> {
        self.lock().failed.clone()
    }

    fn count(&self, failed: Option<Failed>) {
        let mut counts = self.lock();
        counts.requests += 1;
        counts.failed.extend(failed);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends so many requests a second until this is so, then waits for the last answers. Dropped, it gives them up.
pub(crate) async fn steady(service: impl Add, rate: u32, tally: Tally, until: impl Future<Output = ()>) {
    let service = Arc::new(service);
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    let mut running = JoinSet::new();
    let sending = async {
        for number in 0.. {
            pace.tick().await;
            let (service, tally) = (Arc::clone(&service), tally.clone());
            running.spawn(async move { tally.count(request(&*service, number).await) });
            while running.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = sending => {}
        () = until => {}
    }
    while running.join_next().await.is_some() {}
}

/// One request; gives how it failed.
async fn request(service: &impl Add, number: i64) -> Option<Failed> {
    let began = Instant::now();
    let cx = Context::new().with_deadline(Deadline::after(began, PATIENCE));
    let (a, b) = (number % 1_000_000, 1);
    let why = match service.sum(&cx, SumRequest { a, b }).await {
        Ok(reply) if reply.v == a + b => return None,
        Ok(reply) => format!("{a} + {b} was answered by {}", reply.v),
        Err(error) => error.to_string(),
    };
    Some(Failed { began, ended: Instant::now(), why })
}
