//! A gate that a user would write: ten lines, and it guards every place.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use kit_base::{End, Error, Gate, Now};

/// Refuses everything once three calls in a row have failed.
#[derive(Default)]
pub struct Trip(AtomicU32);

impl<Req, Res, Err> Gate<Req, Res, Err> for Trip {
    type Permit = ();
    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        let tripped = || Error::unavailable("tripped").with_retry_after(Duration::from_secs(7));
        (self.0.load(SeqCst) < 3).then_some(()).ok_or_else(tripped)
    }
    fn finish(&self, (): (), end: &End<'_>) {
        let failed = |n| Some(if end.judgement.is_failure() { n + 1 } else { 0 });
        self.0.fetch_update(SeqCst, SeqCst, failed).unwrap();
    }
}
