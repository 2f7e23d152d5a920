//! What is printed: a line a second of who served what.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many requests each backend has answered, and what has just happened. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    served: Arc<Mutex<BTreeMap<String, u64>>>,
    news: Arc<Mutex<VecDeque<String>>>,
}

impl Board {
    pub(crate) fn count(&self, name: &str) {
        let mut served = lock(&self.served);
        match served.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(served.insert(name.to_owned(), 1)),
        }
    }

    pub(crate) fn served(&self, name: &str) -> u64 {
        lock(&self.served).get(name).copied().unwrap_or_default()
    }

    pub(crate) fn tell(&self, news: impl Into<String>) {
        lock(&self.news).push_back(news.into());
    }

    pub(crate) fn has_news(&self) -> bool {
        !lock(&self.news).is_empty()
    }

    /// The oldest news, as far as they have room; one piece at least.
    fn news(&self, room: usize) -> String {
        let mut news = lock(&self.news);
        let mut line = news.pop_front().unwrap_or_default();
        while news.front().is_some_and(|next| line.len() + 2 + next.len() <= room) {
            line.push_str("; ");
            line.push_str(&news.pop_front().unwrap_or_default());
        }
        line
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// No line is wider, so that it fits each terminal.
const WIDTH: usize = 80;

/// How the gateway sees a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Used,
    /// It is passed over, since it could not be reached.
    Rests,
    /// Discovery does not tell of it.
    Gone,
}

/// The lines, each with what has been added since the one before.
#[derive(Debug)]
pub(crate) struct Table {
    names: &'static [&'static str],
    served: Vec<u64>,
    failed: usize,
    second: u64,
}

impl Table {
    pub(crate) fn new(names: &'static [&'static str]) -> Self {
        Self { served: vec![0; names.len()], names, failed: 0, second: 0 }
    }

    pub(crate) fn head(&self) -> String {
        let names: String = self.names.iter().map(|name| format!("{name:>10}")).collect();
        let legend = "answered a second; rests: not reached, so passed over; -: unknown to discovery";
        format!("{legend}\nsecond{names}  failed  what happened")
    }

    pub(crate) fn line(&mut self, board: &Board, seen: impl Fn(&str) -> Seen, failed: usize) -> String {
        self.second += 1;
        let mut line = format!("{:>6}", self.second);
        for (name, before) in self.names.iter().zip(&mut self.served) {
            let now = board.served(name);
            let new = now - std::mem::replace(before, now);
            let cell = match seen(name) {
                Seen::Gone if new == 0 => "-".to_owned(),
                Seen::Rests if new == 0 => "rests".to_owned(),
                Seen::Used | Seen::Rests | Seen::Gone => new.to_string(),
            };
            line.push_str(&format!("{cell:>10}"));
        }
        let new = failed - std::mem::replace(&mut self.failed, failed);
        line.push_str(&format!("{new:>8}  "));
        line.push_str(&board.news(WIDTH.saturating_sub(line.len())));
        line.trim_end().to_owned()
    }
}
