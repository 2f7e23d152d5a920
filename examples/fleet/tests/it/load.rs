//! Constant load: callers that each call as soon as they are answered, and calls at a fixed rate whatever becomes of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use addsvc::{Add, ConcatRequest, SumRequest};
use kit_base::{Context, Deadline};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Callers that call again as soon as they are answered.
pub(crate) const CALLERS: usize = 16;
/// A call each 5 ms besides.
const PACE: Duration = Duration::from_millis(5);
/// A call that takes longer has hung.
const HANGS: Duration = Duration::from_secs(10);

/// A call may begin this long after the end of a backend and still be lost with it: as long as a busy machine may take to let
/// the client read that its connections are closed. An idle one takes some microseconds.
pub(crate) const NOTICES: Duration = Duration::from_secs(1);

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The caller; none for a call of the fixed rate.
    pub(crate) caller: Option<usize>,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) why: String,
}

/// What came of the load.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) calls: usize,
    pub(crate) failed: Vec<Failed>,
}

/// Load that goes on until it is [ended](Self::end).
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    callers: JoinSet<usize>,
    failed: mpsc::UnboundedReceiver<Failed>,
}

impl Load {
    pub(crate) fn start(service: impl Add) -> Self {
        let (service, mut callers) = (Arc::new(service), JoinSet::new());
        let (stop, stopping) = watch::channel(false);
        let (tell, failed) = mpsc::unbounded_channel();
        for caller in 0..CALLERS {
            let (service, tell, stopping) = (Arc::clone(&service), tell.clone(), stopping.clone());
            callers.spawn(async move {
                let mut calls = 0;
                while !*stopping.borrow() {
                    call(&*service, Some(caller), calls, &tell).await;
                    calls += 1;
                }
                calls
            });
        }
        callers.spawn(async move {
            let (mut running, mut calls) = (JoinSet::new(), 0);
            let mut pace = tokio::time::interval(PACE);
            while !*stopping.borrow() {
                pace.tick().await;
                let (service, tell) = (Arc::clone(&service), tell.clone());
                running.spawn(async move { call(&*service, None, calls, &tell).await });
                calls += 1;
                while running.try_join_next().is_some() {}
            }
            running.join_all().await;
            calls
        });
        Self { stop, callers, failed }
    }

    /// Ends it once all calls have ended.
    pub(crate) async fn end(mut self) -> Report {
        self.stop.send_replace(true);
        let calls = self.callers.join_all().await.into_iter().sum();
        let mut failed = Vec::new();
        while let Some(one) = self.failed.recv().await {
            failed.push(one);
        }
        Report { calls, failed }
    }
}

/// One call, of one method or the other, and told if it fails or is answered wrongly.
async fn call(service: &impl Add, caller: Option<usize>, number: usize, tell: &mpsc::UnboundedSender<Failed>) {
    let began = Instant::now();
    let cx = Context::new().with_deadline(Deadline::after(began, HANGS));
    let outcome = if number % 2 == 0 {
        let sum = service.sum(&cx, SumRequest { a: number as i64, b: 1 }).await;
        sum.map(|reply| reply.v.to_string()).map(|v| (v, (number + 1).to_string()))
    } else {
        let (a, b) = (number % 100_000, "-");
        let joined = service.concat(&cx, ConcatRequest { a: a.to_string(), b: b.to_owned() }).await;
        joined.map(|reply| (reply.v, format!("{a}{b}")))
    };
    let why = match outcome {
        Ok((v, wanted)) if v == wanted => return,
        Ok((v, wanted)) => format!("answered {v}, not {wanted}"),
        Err(error) => format!("{error:?}"),
    };
    let _ = tell.send(Failed { caller, began, ended: Instant::now(), why });
}
