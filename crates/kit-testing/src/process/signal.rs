//! The signals that tests send.

/// A signal to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// SIGHUP: the terminal went away; for many servers, read the configuration again.
    Hangup,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: stop cleanly.
    Terminate,
    /// SIGKILL: end at once. It cannot be caught.
    Kill,
    /// SIGSTOP: freeze, as a machine that hangs. Its sockets stay open.
    Stop,
    /// SIGCONT: go on after [`Stop`](Self::Stop).
    Continue,
}

impl From<Signal> for rustix::process::Signal {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Hangup => Self::HUP,
            Signal::Interrupt => Self::INT,
            Signal::Terminate => Self::TERM,
            Signal::Kill => Self::KILL,
            Signal::Stop => Self::STOP,
            Signal::Continue => Self::CONT,
        }
    }
}
