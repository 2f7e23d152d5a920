//! The refusal, and what it tells.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kit_base::{Error, RetryHint};

use crate::Standing;
use crate::gcra::{Short, duration};
use crate::headers;

/// Why a call was refused: the source of the [`Error`] that refuses it.
///
/// ```
/// use kit_base::{Endpoint, Error, Request};
/// use kit_ratelimit::{Guard, Layer, Limited, Quota, RateLimit, nonzero};
/// # struct Echo;
/// # impl Endpoint<Request<u32>> for Echo {
/// #     type Response = u32;
/// #     type Error = Error;
/// #     async fn call(&self, request: Request<u32>) -> Result<u32, Error> { Ok(request.into_message()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
///
/// let limit = RateLimit::new(Quota::per_hour(nonzero!(10))).named("pages").costing(|request: &Request<u32>| *request.message());
/// let endpoint = Guard::new(limit).layer(Echo);
///
/// assert!(endpoint.call(Request::new(8)).await.is_ok());
/// let refusal = endpoint.call(Request::new(3)).await.unwrap_err();
/// let limited = Limited::of(&refusal).expect("a limit has refused it");
/// assert_eq!((&*limited.name, limited.cost, limited.standing.remaining), ("pages", 3, 2));
/// assert_eq!(limited.retry_after, refusal.retry_after());
///
/// // More than there ever is.
/// let refusal = endpoint.call(Request::new(11)).await.unwrap_err();
/// assert_eq!(refusal.message(), "the request costs 11, more than the 10 of the rate limit");
/// assert_eq!(Limited::of(&refusal).unwrap().retry_after, None);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limited {
    /// The name of the limit.
    pub name: Arc<str>,
    /// How many tokens the call would have cost.
    pub cost: u32,
    /// How the bucket stood.
    pub standing: Standing,
    /// After how long there will be enough; never, if it costs more than a full bucket holds.
    pub retry_after: Option<Duration>,
}

impl Limited {
    /// What a refusal tells, if this error is one of a limit of this crate.
    pub fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }

    #[cold]
    pub(crate) fn error(name: &Arc<str>, cost: u32, standing: Standing, short: Short) -> Error {
        let (message, hint, retry_after) = match short {
            Short::For(ticks) => {
                let after = duration(ticks);
                (Cow::Borrowed("rate limit exceeded"), RetryHint::After(after), Some(after))
            }
            Short::Ever => {
                let message = format!("the request costs {cost}, more than the {} of the rate limit", standing.limit);
                (Cow::Owned(message), RetryHint::Never, None)
            }
        };
        let limited = Self { name: Arc::clone(name), cost, standing, retry_after };
        Error::resource_exhausted(message)
            .with_reason("RATE_LIMITED")
            .with_retry_hint(hint)
            .with_source(limited)
            .with_headers(|error, headers| {
                if let Some(Self { name, standing, retry_after, .. }) = Self::of(error) {
                    // Where calls may wait, one may come before there is a token for it.
                    let next = retry_after.map_or(standing.next, |after| after.min(standing.next));
                    headers::write(name, Standing { next, ..*standing }, headers);
                }
            })
    }
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Standing { limit, window, remaining, .. } = self.standing;
        write!(f, "{remaining} of {limit} per {window:?} left, and the call costs {}", self.cost)?;
        match self.retry_after {
            Some(after) => write!(f, ": it can be made in {after:?}"),
            None => f.write_str(": it can never be made"),
        }
    }
}

impl StdError for Limited {}
