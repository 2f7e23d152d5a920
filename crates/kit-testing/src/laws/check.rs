//! Declaring what a layer is, and checking that it is so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use http_body::Body;
use kit_base::{Endpoint, Request, Response, ServerStream, Streaming};
use tower_layer::Layer;
use tower_service::Service;

use super::bench::Bench;
use super::declared::{Breaker, Declared, Kind, Readiness};
use super::inner::Inner;
use super::law::Law;
use super::report::{Finding, Report};
use super::scenarios::{SCENARIOS, Scenario, threads};
use super::setup::{LawsClock, Setup};
use super::subject::{BoxError, EndpointHandle, Handle, Http, Messages, Mount, Mounted, ServiceHandle, Streams};
use super::world::World;

const SEEDS: u64 = 60;
const THREADS: &str = "threads/0";

type Make = Box<dyn Fn(&Setup) -> Box<dyn Mount>>;

/// A check of a layer: where it is put, what is declared of it. [`check`](Self::check) runs it.
///
/// Each constructor takes a function that makes a new layer, with a state of its own; it is called for each run.
/// Numbers go up to 64, and times up to a day: a small limit shows what a large one would.
#[must_use = "nothing is checked before `check` or `report`"]
pub struct Laws {
    make: Make,
    tower: bool,
    declared: Declared,
    seeds: u64,
    replay: Option<String>,
    threads: bool,
}

impl Laws {
    fn new(tower: bool, make: Make) -> Self {
        Self { make, tower, declared: Declared::new(), seeds: SEEDS, replay: None, threads: true }
    }

    /// The layer over an endpoint of messages.
    pub fn endpoint<M, L>(make: M) -> Self
    where
        M: Fn(&Setup) -> L + 'static,
        L: Layer<Inner> + 'static,
        L::Service: Endpoint<Request<u64>, Response = Response<u64>> + 'static,
        <L::Service as Endpoint<Request<u64>>>::Error: Into<BoxError> + 'static,
    {
        let handle = |endpoint| Box::new(EndpointHandle::new(endpoint, Messages)) as Box<dyn Handle>;
        Self::new(false, Box::new(move |setup| Box::new(Mounted(make(setup), handle))))
    }

    /// The layer over an endpoint whose answer is a stream.
    pub fn stream<M, L>(make: M) -> Self
    where
        M: Fn(&Setup) -> L + 'static,
        L: Layer<Inner> + 'static,
        L::Service: Endpoint<Request<u64, ServerStream>, Response = Response<Streaming<u64>>> + 'static,
        <L::Service as Endpoint<Request<u64, ServerStream>>>::Error: Into<BoxError> + 'static,
    {
        let handle = |endpoint| Box::new(EndpointHandle::new(endpoint, Streams)) as Box<dyn Handle>;
        Self::new(false, Box::new(move |setup| Box::new(Mounted(make(setup), handle))))
    }

    /// The layer over an endpoint of HTTP, such as a `reqwest::Client` behind [`kit_base::FromHttpService`].
    pub fn http_endpoint<B, B2, M, L>(make: M) -> Self
    where
        B: Default + Send + 'static,
        B2: Body<Error: Into<BoxError> + 'static> + Send + 'static,
        M: Fn(&Setup) -> L + 'static,
        L: Layer<Inner> + 'static,
        L::Service: Endpoint<http::Request<B>, Response = http::Response<B2>> + 'static,
        <L::Service as Endpoint<http::Request<B>>>::Error: Into<BoxError> + 'static,
    {
        let handle = |endpoint| Box::new(EndpointHandle::new(endpoint, Http)) as Box<dyn Handle>;
        Self::new(false, Box::new(move |setup| Box::new(Mounted(make(setup), handle))))
    }

    /// The layer over a tower service of messages.
    pub fn service<M, L>(make: M) -> Self
    where
        M: Fn(&Setup) -> L + 'static,
        L: Layer<Inner> + 'static,
        L::Service: Service<Request<u64>, Response = Response<u64>> + Clone + Send + 'static,
        <L::Service as Service<Request<u64>>>::Future: Send + 'static,
        <L::Service as Service<Request<u64>>>::Error: Into<BoxError> + 'static,
    {
        let handle = |service| Box::new(ServiceHandle::new(service, Messages, Some(Clone::clone))) as Box<dyn Handle>;
        Self::new(true, Box::new(move |setup| Box::new(Mounted(make(setup), handle))))
    }

    /// The layer over a tower service of messages, where what comes out has no clones. Calls go through it one after the
    /// other, and there are no threads.
    pub fn lone_service<M, L>(make: M) -> Self
    where
        M: Fn(&Setup) -> L + 'static,
        L: Layer<Inner> + 'static,
        L::Service: Service<Request<u64>, Response = Response<u64>> + Send + 'static,
        <L::Service as Service<Request<u64>>>::Future: Send + 'static,
        <L::Service as Service<Request<u64>>>::Error: Into<BoxError> + 'static,
    {
        let handle = |service| Box::new(ServiceHandle::new(service, Messages, None)) as Box<dyn Handle>;
        Self::new(true, Box::new(move |setup| Box::new(Mounted(make(setup), handle))))
    }

    /// The layer over a tower service of HTTP: an `axum::Router`, tonic's server, a tonic `Channel`.
    pub fn http_service<B, B2, M, L>(make: M) -> Self
    where
        B: Default + Send + 'static,
        B2: Body<Error: Into<BoxError> + 'static> + Send + 'static,
        M: Fn(&Setup) -> L + 'static,
        L: Layer<Inner> + 'static,
        L::Service: Service<http::Request<B>, Response = http::Response<B2>> + Clone + Send + 'static,
        <L::Service as Service<http::Request<B>>>::Future: Send + 'static,
        <L::Service as Service<http::Request<B>>>::Error: Into<BoxError> + 'static,
    {
        let handle = |service| Box::new(ServiceHandle::new(service, Http, Some(Clone::clone))) as Box<dyn Handle>;
        Self::new(true, Box::new(move |setup| Box::new(Mounted(make(setup), handle))))
    }

    /// As [`http_service`](Self::http_service), with gRPC calls: failures are in `grpc-status`, in the head or the trailers.
    pub fn grpc_service<B, B2, M, L>(make: M) -> Self
    where
        B: Default + Send + 'static,
        B2: Body<Error: Into<BoxError> + 'static> + Send + 'static,
        M: Fn(&Setup) -> L + 'static,
        L: Layer<Inner> + 'static,
        L::Service: Service<http::Request<B>, Response = http::Response<B2>> + Clone + Send + 'static,
        <L::Service as Service<http::Request<B>>>::Future: Send + 'static,
        <L::Service as Service<http::Request<B>>>::Error: Into<BoxError> + 'static,
    {
        let mut laws = Self::http_service(make);
        laws.declared.grpc = true;
        laws
    }

    /// It calls the inner service once, refuses nothing, and changes nothing: a log, metrics, a trace. The default.
    pub fn pass_through(self) -> Self {
        self.kind(Kind::PassThrough)
    }

    /// It admits a call or refuses it, at once: a breaker, a limiter, load shedding, a check of credentials.
    pub fn refusing(self) -> Self {
        self.kind(Kind::Refusing)
    }

    /// It lets calls wait: a concurrency limit, a limiter that delays, a queue.
    pub fn waiting(self) -> Self {
        self.kind(Kind::Waiting)
    }

    /// It tries again what failed, if the operation is idempotent; `attempts` in all, at most.
    pub fn retrying(self, attempts: usize) -> Self {
        self.kind(Kind::Retrying { attempts, overlapping: false })
    }

    /// It makes another attempt while the first is under way, if the operation is idempotent; `attempts` in all, at most.
    pub fn hedging(self, attempts: usize) -> Self {
        self.kind(Kind::Retrying { attempts, overlapping: true })
    }

    /// It chooses among several services, [`Inner::node`]s, with these weights: a balancer, a router.
    pub fn selecting<W: IntoIterator<Item = u32>>(self, weights: W) -> Self {
        self.kind(Kind::Selecting { weights: weights.into_iter().collect() })
    }

    fn kind(mut self, kind: Kind) -> Self {
        self.declared.kind = kind;
        self
    }

    /// At most so many calls are inside at the same time.
    pub fn at_most(mut self, calls: usize) -> Self {
        self.declared.at_most = Some(calls);
        self
    }

    /// A call counts as inside until the end of its body or stream.
    pub fn holds_bodies(mut self) -> Self {
        self.declared.holds_bodies = true;
        self
    }

    /// At most so many calls get in at once, and as many more in each period.
    pub fn quota(mut self, calls: usize, period: Duration) -> Self {
        self.declared.quota = Some((calls, period));
        self
    }

    /// It opens after failures, and is half-open after a while.
    pub fn breaks(mut self, breaker: Breaker) -> Self {
        self.declared.breaker = Some(breaker);
        self
    }

    /// It refuses what the inner service is not ready for.
    pub fn sheds(mut self) -> Self {
        self.declared.sheds = true;
        self
    }

    /// It ends a call that takes so long.
    pub fn gives_up_after(mut self, limit: Duration) -> Self {
        self.declared.gives_up = Some(limit);
        self
    }

    /// A call that waits in it ends at the deadline in its context.
    pub fn keeps_deadlines(mut self) -> Self {
        self.declared.keeps_deadlines = true;
        self
    }

    /// What it does with readiness. Not said: what passes through or tries again passes readiness on, what refuses is
    /// ready at once, and what waits or selects has conditions of its own.
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.declared.readiness = Some(readiness);
        self
    }

    /// Its purpose is another error type, which has the inner error among its sources.
    pub fn wraps_errors(mut self) -> Self {
        self.declared.wraps_errors = true;
        self
    }

    /// Each service that it is put over has a state of its own, which only clones of that service share.
    pub fn state_per_service(mut self) -> Self {
        self.declared.state_per_service = true;
        self
    }

    /// It adds to [`Setup::ends`] at the end of each call; where the answer streams, at the end of that.
    pub fn tells_ends(mut self) -> Self {
        self.declared.tells_ends = true;
        self
    }

    /// It chooses among the services that are ready.
    pub fn skips_unready(mut self) -> Self {
        self.declared.skips_unready = true;
        self
    }

    /// How many seeds are tried where the order is left to chance. 60 if not said.
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds;
        self
    }

    /// Leaves the threads out, which are the only part that is not the same each time.
    pub fn without_threads(mut self) -> Self {
        self.threads = false;
        self
    }

    /// Runs only this: the [`seed`](Finding::seed) of a finding.
    pub fn replay(mut self, seed: impl Into<String>) -> Self {
        self.replay = Some(seed.into());
        self
    }

    /// Checks the layer.
    ///
    /// # Panics
    ///
    /// With the report, when a law is seen to be broken; and as [`report`](Self::report) does.
    #[track_caller]
    pub fn check(self) {
        let report = self.report();
        assert!(report.findings().is_empty(), "the layer breaks a law\n\n{report}");
    }

    /// Checks the layer, and reports.
    ///
    /// # Panics
    ///
    /// When what was declared makes no sense or cannot be checked, such as a limit of 0; inside of a tokio runtime; and when
    /// the seed to replay is of no run.
    #[track_caller]
    pub fn report(self) -> Report {
        if let Some(nonsense) = self.declared.nonsense(self.tower) {
            panic!("{nonsense}");
        }
        // A runtime cannot be started in another one, whose own words would not say what to do.
        let inside = tokio::runtime::Handle::try_current().is_ok();
        assert!(!inside, "a check has a runtime of its own: call it in a plain `#[test]`, not in a `#[tokio::test]`");
        let mut findings: Vec<Finding> = Vec::new();
        let mut runs = 0;
        // One finding says enough of a law.
        let mut found = |finding: Finding| {
            if findings.iter().all(|known| known.law() != finding.law()) {
                findings.push(finding);
            }
        };
        for scenario in &SCENARIOS {
            for case in self.cases(scenario) {
                runs += 1;
                if let Some(finding) = self.run(scenario, case) {
                    found(finding);
                    break;
                }
            }
        }
        let threads = self.threads && self.replay.as_ref().is_none_or(|seed| seed == THREADS);
        if threads {
            runs += 1;
            if let Err(broken) = threads::run(&self.declared, &self.make) {
                found(Finding::new(broken, THREADS.to_owned(), Vec::new(), false));
            }
        }
        if let (0, Some(seed)) = (runs, &self.replay) {
            let seed = if seed == THREADS { "threads/0, without threads" } else { seed };
            panic!("no run has the seed {seed:?}: take that of a finding, such as \"drops/3\"");
        }
        Report::new(findings, runs)
    }

    /// The cases of a scenario that are to be run.
    fn cases(&self, scenario: &Scenario) -> std::ops::Range<u64> {
        let Some(seed) = &self.replay else { return 0..(scenario.cases)(&self.declared, self.tower, self.seeds) };
        let case = seed.strip_prefix(scenario.name).and_then(|rest| rest.strip_prefix('/')?.parse().ok());
        // A seed of a run with more seeds than this one is as good.
        let cases = (scenario.cases)(&self.declared, self.tower, u64::from(u32::MAX));
        case.filter(|&case| case < cases).map_or(0..0, |case: u64| case..case + 1)
    }

    fn run(&self, scenario: &Scenario, case: u64) -> Option<Finding> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime starts");
        let world = Arc::new(World::default());
        // Polls are watched one by one. This is for what panics elsewhere, above all in a `Drop`.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let setup = Setup::new(LawsClock::tokio());
                let mut bench = Bench::new(&self.declared, setup, &self.make, Arc::clone(&world), case);
                (scenario.run)(&mut bench, case).await?;
                bench.close().await
            })
        }));
        let outcome = outcome.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Law::NoPanic.broken(format!("a panic outside of a poll: {}", text.unwrap_or("without words")))
        });
        let broken = outcome.err()?;
        Some(Finding::new(broken, format!("{}/{case}", scenario.name), world.take_steps(), true))
    }
}

impl std::fmt::Debug for Laws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Laws").field("declared", &self.declared).field("seeds", &self.seeds).finish_non_exhaustive()
    }
}
