//! The rules that h2, the library below, keeps differently, each with the reason why that is bearable. A rule that is
//! kept after all must leave this list: a test sees to it.

use super::Outcome::{self, Answer, GoAway, Reset};
use crate::frames::{PROTOCOL_ERROR, STREAM_CLOSED};

/// The connection ends, as it must; only the code it ends with says less.
const COARSE: &str = "PROTOCOL_ERROR instead of the code for this very error";
/// The client that broke the rule loses its other requests too, and nobody else does.
const WHOLE_CONNECTION: &str = "the whole connection ends instead of the stream";
/// The stream ends, and those that did nothing wrong go on.
const ONLY_STREAM: &str = "only the stream ends instead of the whole connection";
/// They are in nobody's way: the service does not see them.
const LEFT_OUT: &str = "pseudo fields in trailers are left out instead of refused";
/// hyper takes it for the end of the connection. It is that of the client who did it.
const UNSAID: &str = "the connection ends without a word instead of the stream";

const fn coarse(section: &'static str, rule: &'static str) -> Deviation {
    Deviation { section, rule, outcome: GoAway(PROTOCOL_ERROR), why: COARSE }
}

const fn whole(section: &'static str, rule: &'static str) -> Deviation {
    Deviation { section, rule, outcome: GoAway(PROTOCOL_ERROR), why: WHOLE_CONNECTION }
}

#[derive(Debug)]
pub(super) struct Deviation {
    pub(super) section: &'static str,
    pub(super) rule: &'static str,
    pub(super) outcome: Outcome,
    pub(super) why: &'static str,
}

pub(super) const DEVIATIONS: &[Deviation] = &[
    // RFC 7541
    coarse("2.3.3", "an index beyond both tables"),
    coarse("2.3.3", "the name of an entry beyond both tables"),
    coarse("4.2", "a new size of the table after a field"),
    coarse("4.3", "what was forgotten cannot be named"),
    coarse("5.1", "an integer without an end"),
    coarse("5.1", "an integer that is cut off"),
    coarse("5.2", "a text longer than the block"),
    coarse("5.2", "padding of a whole byte"),
    coarse("5.2", "padding other than ones"),
    coarse("5.2", "the end of text within a text"),
    coarse("6.1", "index 0"),
    coarse("6.3", "a table larger than allowed"),
    // RFC 9113
    whole("5.1", "half closed: DATA"),
    coarse("5.1", "closed: HEADERS"),
    Deviation { section: "5.1", rule: "closed: DATA", outcome: Reset(1, STREAM_CLOSED), why: ONLY_STREAM },
    whole("5.1", "reset by the client: HEADERS"),
    coarse("6.1", "no length of the padding"),
    whole("6.3", "PRIORITY has 5 bytes"),
    coarse("6.4", "RST_STREAM has 4 bytes"),
    coarse("6.5", "SETTINGS have a multiple of 6 bytes"),
    coarse("6.5", "a confirmation has no payload"),
    coarse("6.5.2", "INITIAL_WINDOW_SIZE below 2^31"),
    coarse("6.7", "PING has 8 bytes"),
    coarse("6.8", "GOAWAY has 8 bytes at least"),
    whole("6.9", "WINDOW_UPDATE of 0 for a stream"),
    coarse("6.9", "WINDOW_UPDATE has 4 bytes"),
    Deviation { section: "8.1", rule: "pseudo fields in trailers", outcome: Answer(1, 200), why: LEFT_OUT },
    whole("8.2.1", "an upper-case name"),
    whole("8.2.1", "a name with a space"),
    whole("8.2.1", "a name with a colon"),
    whole("8.2.1", "a name with a control character"),
    whole("8.2.1", "a value with NUL"),
    whole("8.2.1", "a value with CR"),
    whole("8.2.1", "a value with LF"),
    whole("8.3", "an unknown pseudo field"),
    whole("8.3.1", "an empty method"),
    whole("8.3.1", "a method with a space"),
    Deviation { section: "8.5", rule: "CONNECT announcing a body", outcome: Outcome::Closed, why: UNSAID },
];

pub(super) fn of(section: &str, rule: &str) -> Option<&'static Deviation> {
    DEVIATIONS.iter().find(|deviation| deviation.section == section && deviation.rule == rule)
}
