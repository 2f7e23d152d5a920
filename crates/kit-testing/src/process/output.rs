//! The lines of a child process, read by threads and waited for.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Lines kept; older ones go first.
const MAX_LINES: usize = 100_000;

/// Bytes of a line; longer ones are cut.
const MAX_LINE: u64 = 64 * 1024;

/// Lines shown when a test panics.
const SHOWN: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// Why the search for a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The time passed.
    Timeout,
    /// The program has ended, and all of its output was searched.
    End,
}

/// What a program has said, and whether more may come.
#[derive(Debug, Default)]
pub(super) struct Output {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<(Stream, String)>,
    /// How many lines went before the first one kept.
    forgotten: usize,
    /// Streams that are still read.
    open: usize,
    exited: bool,
}

impl Output {
    /// Reads a stream to its end, on a thread that ends with it.
    pub(super) fn read(self: Arc<Self>, stream: Stream, source: impl Read + Send + 'static) -> io::Result<()> {
        self.lock().open += 1;
        thread::Builder::new().name(format!("read {stream:?}")).spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line);
                self.push(stream, text.trim_end_matches(['\r', '\n']).to_owned());
                line.clear();
            }
            self.lock().open -= 1;
            self.changed.notify_all();
        })?;
        Ok(())
    }

    pub(super) fn exited(&self) {
        self.lock().exited = true;
        self.changed.notify_all();
    }

    /// Waits for the end of the process.
    pub(super) fn wait_exit(&self, timeout: Duration) -> bool {
        self.wait(timeout, |state| state.exited)
    }

    /// Waits for the end of both streams.
    pub(super) fn wait_end(&self, timeout: Duration) -> bool {
        self.wait(timeout, |state| state.open == 0)
    }

    /// Asks `find` about each line until it finds something.
    pub(super) fn find<T>(&self, timeout: Duration, mut find: impl FnMut(&str) -> Option<T>) -> Result<T, Seen> {
        let deadline = Instant::now() + timeout;
        let mut next = 0_usize;
        let mut state = self.lock();
        loop {
            let searched = next.saturating_sub(state.forgotten);
            if let Some(found) = state.lines.iter().skip(searched).find_map(|(_, line)| find(line)) {
                return Ok(found);
            }
            next = state.forgotten + state.lines.len();
            if state.exited && state.open == 0 {
                return Err(Seen::End);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Seen::Timeout);
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// One stream.
    pub(super) fn text(&self, stream: Stream) -> String {
        let state = self.lock();
        let lines = state.lines.iter().filter(|(from, _)| *from == stream);
        lines.flat_map(|(_, line)| [line.as_str(), "\n"]).collect()
    }

    /// The last lines of both streams, each with its origin.
    pub(super) fn dump(&self, last: usize) -> String {
        let state = self.lock();
        let skipped = state.lines.len().saturating_sub(last);
        let mut text = String::new();
        if skipped + state.forgotten > 0 {
            let _ = writeln!(text, "  ({} lines before)", skipped + state.forgotten);
        }
        for (stream, line) in state.lines.iter().skip(skipped) {
            let name = if *stream == Stream::Out { "out" } else { "err" };
            let _ = writeln!(text, "  {name}: {line}");
        }
        text
    }

    /// Writes the last lines to this process' stderr, for a test that fails.
    pub(super) fn show(&self, program: &str) {
        let _ = write!(io::stderr(), "`{program}` said:\n{}", self.dump(SHOWN));
    }

    fn push(&self, stream: Stream, line: String) {
        let mut state = self.lock();
        if state.lines.len() == MAX_LINES {
            state.lines.pop_front();
            state.forgotten += 1;
        }
        state.lines.push_back((stream, line));
        drop(state);
        self.changed.notify_all();
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&State) -> bool) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, timeout, |state| !done(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a user's `find` leaves the lines as they are.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
