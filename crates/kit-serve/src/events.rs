//! What a server tells its observer.

use std::fmt;

use kit_base::{Event, Observer};

/// The source of all events.
const SOURCE: &str = "serve";

/// The user's observer, if there is one.
#[derive(Default)]
pub(crate) struct Events(Option<Box<dyn Observer>>);

impl Events {
    pub(crate) fn to(observer: impl Observer + 'static) -> Self {
        Self(Some(Box::new(observer)))
    }

    pub(crate) fn tell(&self, what: &'static str, key: &str) {
        if let Some(observer) = &self.0 {
            observer.observe(&Event::new(SOURCE, what, key));
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").field(&self.0.is_some()).finish()
    }
}

/// Why a connection ended: the key of its last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// By its client, by its last answer, or by the service that had taken it over.
    Ended,
    ProxyHeaderFailed,
    #[cfg(feature = "tls")]
    TlsFailed,
    HeadLate,
    Idle,
    AnswerSlow,
    PingTimeout,
    Aged,
    Stopped,
    Cut,
}

impl Why {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::ProxyHeaderFailed => "proxy_header_failed",
            #[cfg(feature = "tls")]
            Self::TlsFailed => "tls_failed",
            Self::HeadLate => "head_late",
            Self::Idle => "idle",
            Self::AnswerSlow => "answer_slow",
            Self::PingTimeout => "ping_timeout",
            Self::Aged => "aged",
            Self::Stopped => "stopped",
            Self::Cut => "cut",
        }
    }
}
