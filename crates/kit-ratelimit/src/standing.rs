//! How a bucket stands: the data of the `RateLimit` headers.

use std::num::NonZeroU32;
use std::time::Duration;

/// How a bucket stands at one moment. The fields of the headers `RateLimit-Policy` (`q` and `w`) and `RateLimit` (`r` and `t`).
/// Source: the IETF draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// How many tokens a full bucket holds: `q`.
    pub limit: NonZeroU32,
    /// How long an empty bucket takes to fill: `w`, in seconds there.
    pub window: Duration,
    /// How many tokens there are now: `r`.
    pub remaining: u32,
    /// How long it takes until there is one more than that, or, from a full bucket, until one comes back: `t`, in seconds
    /// there, "the time within which the client can use no more than the available quota". A `Retry-After` is never earlier.
    pub next: Duration,
    /// How long it takes until it is full.
    pub reset: Duration,
}
