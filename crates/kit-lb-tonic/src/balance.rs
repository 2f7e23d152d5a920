//! The channel, and the task that feeds it.

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use kit_base::{Instance, Instancer};
use kit_lb::{Changes, Settings};
use tokio::sync::mpsc::Sender;
use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint, Error};

use crate::feed::{Feed, Key};

/// How many changes the channel may lag behind. It takes them when it is called; meanwhile only the newest set is kept.
const CAPACITY: usize = 64;

/// How long a connection may take to be made, by [`endpoint`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A channel that is balanced by tonic over the instances that this instancer finds; the factory makes the tonic `Endpoint` of
/// each, for instance by [`endpoint`]. One that fails, or panics, is tried again after a
/// pause, up to 100 ms at first and up to 10 s later.
///
/// A task feeds the channel. It ends, and the instancer with it, when the last clone of the channel is dropped.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn balance_channel<I, F, E>(instancer: I, factory: F) -> Channel
where
    I: Instancer + 'static,
    F: Fn(&Instance) -> Result<Endpoint, E> + Send + Sync + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    balance_channel_with(Settings::default(), instancer, factory)
}

/// The same with another first wait and other pauses, and with an observer, which is told when instances are added and removed and
/// when the factory fails.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn balance_channel_with<I, F, E>(settings: Settings, instancer: I, factory: F) -> Channel
where
    I: Instancer + 'static,
    F: Fn(&Instance) -> Result<Endpoint, E> + Send + Sync + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let (channel, sender) = Channel::balance_channel(CAPACITY);
    let feed = Feed::new(Changes::with(settings, instancer, factory));
    tokio::spawn(keep_fed(feed, sender));
    channel
}

/// Feeds a channel for as long as it is there.
async fn keep_fed(mut feed: Feed, sender: Sender<Change<Key, Endpoint>>) {
    // A place first, and then what is true by the time that there is one.
    while let Ok(place) = sender.reserve().await {
        let mut gone = pin!(sender.closed());
        let next = poll_fn(|cx| match gone.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => feed.poll_next(cx).map(Some),
        });
        let Some(change) = next.await else { return };
        place.send(change);
    }
}

/// The endpoint of an instance: over `https` if that is its scheme, else over `http`, with at most 5 s to connect (tonic has no
/// limit of its own, and a host that drops packets answers nothing for minutes).
///
/// For TLS turn on one of tonic's features for it and add a `tls_config`, with the instance's server name as the domain name.
///
/// # Errors
/// The address is none.
pub fn endpoint(instance: &Instance) -> Result<Endpoint, Error> {
    let scheme = instance.scheme.as_deref().filter(|scheme| *scheme == "https").unwrap_or("http");
    let endpoint = Endpoint::from_shared(format!("{scheme}://{}", instance.address))?;
    Ok(endpoint.connect_timeout(CONNECT_TIMEOUT))
}
