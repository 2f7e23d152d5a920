//! A circuit breaker around each method, as in the clients of Go kit's addsvc.

use std::time::Duration;

use addsvc::{Add, AddEndpoints};
use kit_base::Guard;
use kit_breaker::{Breaker, InvalidSettings, Settings};

/// The service behind a breaker for each method. They stand around what keeps the deadline of a call, so that they see a service
/// that does not answer.
pub(crate) fn around(add: AddEndpoints) -> Result<impl Add, InvalidSettings> {
    let opening_for = |time| Breaker::new(Settings::gobreaker().open_for(time)).map(Guard::new);
    let (sum, concat) = (opening_for(Duration::from_secs(30))?, opening_for(Duration::from_secs(10))?);
    Ok(add.layer_sum(sum).layer_concat(concat))
}
