//! Tower services as connections: how they are made, and how their errors are judged.

use std::error::Error as StdError;
use std::io;

use kit_base::{
    Classify, FromService, Instance, Instancer, Judgement, Kind, Origin, RetryHint, ServiceError, Standard, StreamEnd,
};

use crate::{Endpointer, Settings};

impl<S: Send + Sync + 'static> Endpointer<FromService<S>, ByCause> {
    /// Follows this instancer, and makes a tower service on `http` types to each instance by the factory: a tonic `Channel`, a
    /// client of hyper-util. See [`new`](Self::new), and [`ByCause`] for how their errors are judged.
    ///
    /// With [`into_http_service`](crate::Balancer::into_http_service) the balanced set is such a service again, for a client that
    /// tonic has generated, for one.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn services<I, F, E>(instancer: I, factory: F) -> Self
    where
        I: Instancer + 'static,
        F: Fn(&Instance) -> Result<S, E> + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let factory = move |instance: &Instance| factory(instance).map(FromService::new);
        Self::with(Settings::default(), ByCause, instancer, factory)
    }
}

/// Judges as [`Standard`] does, and looks besides for what lies below the error of a tower service: where an
/// [`io::Error`] says that the connection was refused, or could not be made in time, or that there is no way to the host,
/// the instance rests. (The connect time-out of a `reqwest::Client` is no such error; those of hyper-util and tonic are.)
///
/// Other services than kit's say in no common way that nobody was there, so by [`Standard`] an instance that is down fails its
/// share of the calls until discovery knows it. The request is lost with the service's error and goes to no other instance.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByCause;

impl<B, B2, E> Classify<http::Request<B>, http::Response<B2>, ServiceError<E>> for ByCause
where
    E: StdError + 'static,
{
    fn judge(&self, outcome: &Result<http::Response<B2>, ServiceError<E>>) -> Judgement {
        match outcome {
            Err(ServiceError::Inner(error)) if unreached(error) => {
                Judgement::of_parts(Kind::Unavailable, Origin::NotSent, RetryHint::None)
            }
            _ => Classify::<http::Request<B>, _, _>::judge(&Standard, outcome),
        }
    }

    fn judge_end(&self, head: &Judgement, end: &StreamEnd<'_>) -> Judgement {
        Classify::<http::Request<B>, http::Response<B2>, ServiceError<E>>::judge_end(&Standard, head, end)
    }
}

/// Whether an error comes from a connection that could not be made. One that was there before and has timed out since says as
/// much of the instance.
#[cold]
fn unreached(error: &(dyn StdError + 'static)) -> bool {
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut};
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref().map(io::Error::kind);
        if matches!(kind, Some(ConnectionRefused | TimedOut | HostUnreachable | NetworkUnreachable | AddrNotAvailable))
        {
            return true;
        }
        cause = error.source();
    }
    false
}
