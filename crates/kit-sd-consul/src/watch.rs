//! The loop of a watch: blocking queries by the book.
//!
//! Source: Consul's HTTP API, "Blocking Queries", implementation details.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use http::HeaderValue;
use kit_base::{Error, Event, Instancer, Instances, Pauses, Publisher, Subscription, caught};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep};

use crate::ServiceQuery;
use crate::floor::Floor;
use crate::health::{self, Health};
use crate::passing::asked_pause;

/// Watches for ever.
pub(crate) async fn run(query: &ServiceQuery, mut pauses: Pauses, publisher: &Publisher) {
    let mut token = query.consul.token().replaced();
    let mut floor = Floor::new(query.min_interval);
    let mut view = View { query, publisher, shown: publisher.subscribe(), doubt: None, left_out: BTreeSet::new() };
    // Without one, the answer comes at once.
    let mut index = None;
    loop {
        floor.pass().await;
        if token.has_changed().unwrap_or_default() {
            token.mark_unchanged();
            // It may see what the index of the old one knows nothing of.
            index = None;
        }
        let answer = tokio::select! {
            biased;
            () = replaced(&mut token) => {
                index = None;
                continue;
            }
            answer = health::ask(query, index, view.wait()) => answer,
        };
        match answer {
            // The server lost its state, or lags: its answer may be older than what is shown. Asked without an index, it
            // says what it holds.
            Ok(health) if index.is_some_and(|index| health.index < index) => {
                tell(query, "reset", &query.service, 1.0);
                index = None;
            }
            Ok(health) => {
                index = Some(health.index);
                pauses.reset();
                view.show(health);
            }
            Err(error) => {
                // The next answer must come at once, to show that all is well again.
                index = None;
                let pause = pauses.next().unwrap_or_default().max(asked_pause(&error));
                view.fail(error);
                tokio::select! {
                    () = sleep(pause) => {}
                    () = replaced(&mut token) => {}
                }
            }
        }
    }
}

/// What is shown to subscribers.
struct View<'a> {
    query: &'a ServiceQuery,
    publisher: &'a Publisher,
    shown: Subscription,
    /// Since when answers have been empty that are not believed yet.
    doubt: Option<Instant>,
    /// What the last answer held that could not be taken over.
    left_out: BTreeSet<String>,
}

impl View<'_> {
    /// How long the next query may wait for a change: in doubt, until it can be ended.
    fn wait(&self) -> Duration {
        let left = self.doubt.map(|since| self.query.empty_after.saturating_sub(since.elapsed()));
        left.map_or(self.query.wait, |left| left.min(self.query.wait))
    }

    fn show(&mut self, health: Health) {
        let Health { index: _, instances, left_out, age, leaderless } = health;
        for id in left_out.difference(&self.left_out) {
            tell(self.query, "left_out", id, 1.0);
        }
        self.left_out = left_out;
        if instances.as_ref().is_none_or(Vec::is_empty) && self.doubts() {
            return;
        }
        self.doubt = None;
        let before = self.shown.current();
        let now = Instant::now().into_std();
        let since = now.checked_sub(age).unwrap_or(now);
        match instances {
            Some(instances) => self.publisher.publish(instances, since),
            None => self.publisher.publish_absent(since),
        }
        let after = self.shown.current();
        if before.instances != after.instances {
            let known = if let Instances::Known(set) = &after.instances { set.len() } else { 0 };
            tell(self.query, "updated", &self.query.service, known as f64);
        }
        if leaderless {
            self.publisher.fail(Error::unavailable("consul has no leader, and its answer may be old"));
        }
    }

    /// Whether an empty answer is not believed yet.
    fn doubts(&mut self) -> bool {
        let (query, service) = (self.query, &self.query.service);
        let shown = self.shown.current();
        let shows_some = matches!(&shown.instances, Instances::Known(set) if !set.is_empty());
        if !shows_some || query.empty_after.is_zero() {
            return false;
        }
        let Some(since) = self.doubt else {
            self.doubt = Some(Instant::now());
            let after = query.empty_after;
            let message =
                format!("consul suddenly knows no instance of {service:?}; believed if still so after {after:?}");
            self.publisher.fail(Error::unavailable(message));
            tell(query, "doubted", service, 1.0);
            return true;
        };
        since.elapsed() < query.empty_after
    }

    fn fail(&mut self, error: Error) {
        self.doubt = None;
        tell(self.query, "failed", &self.query.service, 1.0);
        self.publisher.fail(error);
    }
}

async fn replaced(token: &mut Receiver<Option<HeaderValue>>) {
    if token.changed().await.is_err() {
        pending().await
    }
}

pub(crate) fn tell(query: &ServiceQuery, what: &'static str, key: &str, amount: f64) {
    let mut event = Event::new("consul", what, key);
    event.amount = amount;
    // Nobody can be told of a panic in the observer; the panic hook has been.
    let _ = caught(|| query.observer.observe(&event));
}
