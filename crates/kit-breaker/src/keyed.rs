//! One breaker for each key, a bounded number of them.

mod circuits;
mod entry;
mod key_of;
mod plan;

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit_base::{End, Error, Gate, Judgement, Now, Observer, Operation};

use crate::breaker::{Breaker, Permit};
use crate::{InvalidSettings, Settings};
use circuits::Circuits;
use entry::Entry;
pub use entry::KeyedBreaker;
pub use key_of::{KeyOf, OperationKey};

const MOST: NonZeroUsize = NonZeroUsize::new(10_000).expect("10,000 is not zero");

/// Ten times as long as a circuit stays open, and as a window is, by default.
const IDLE: Duration = Duration::from_secs(600);

/// A breaker for each key: one operation, host or tenant that fails does not close the door on the others.
///
/// ```
/// use kit_base::{Guard, Operation, Request};
/// use kit_breaker::{Keyed, Layer, Settings, State};
/// # use kit_base::{Endpoint, Error};
/// # struct Failing;
/// # impl Endpoint<Request<u8>> for Failing {
/// #     type Response = ();
/// #     type Error = Error;
/// #     async fn call(&self, _: Request<u8>) -> Result<(), Error> { Err(Error::unavailable("down")) }
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
///
/// let settings = Settings::new().consecutive_failures(2);
/// let guard = Guard::new(Keyed::by(settings, |request: &Request<u8>| Some(*request.message()))?);
/// let endpoint = guard.layer(Failing);
/// for _ in 0..2 {
///     let _ = endpoint.call(Request::new(7)).await;
/// }
/// let _ = endpoint.call(Request::new(8)).await;
/// let state = |key| guard.gate().breaker(&key).map(|breaker| breaker.state_at(std::time::Instant::now()));
/// assert_eq!((state(7), state(8), state(9)), (Some(State::Open), Some(State::Closed), None));
/// # Ok::<(), kit_breaker::InvalidSettings>(())
/// # }).unwrap();
/// ```
///
/// For a client over HTTP the key may be the host: `|request: &http::Request<Body>| request.uri().authority().cloned()`, where
/// `Body` is that of the requests which are called. (At a server, HTTP/1 has the host in a header.) A call without a key is not
/// guarded. A known key costs about 0.1 µs a call, and no allocation but that of the key itself: an `Authority` and an
/// `Operation` are cheap to clone, a `String` is not.
///
/// # A bounded number
///
/// There are at most [`most`](Self::most) circuits, however many keys callers think of. Each takes about 290 bytes for a short
/// key, its text included, so 10,000 take 2.9 MB; 570 with a window of time, and with one of calls 490 and 8 for each 32 calls.
/// A long key is kept twice, as itself and as its text: bound its length where callers choose it. When all places are taken, a
/// new key gets that of a circuit which
///
/// * holds nothing: it is closed, has no failure in a row or in its window that the next call would not
///   [clear](Settings::clear_every), and no call is under way (with it go the successes in its window, and the totals of its
///   [`Snapshot`](crate::Snapshot)), or
/// * holds failures, or has been open, but has not been called for the [`idle`](Self::idle) time.
///
/// A circuit with calls under way, one that is open and whose time has not passed, and one that is
/// [forced](Breaker::force_open) keep their places. So nobody can make a breaker forget its failures by calling under many keys.
///
/// A place is looked for among the next 16 circuits, so that no call waits for long. Of those that hold nothing, one that was
/// called lately goes last. Where no place is found, the call goes on *unguarded*: it is let in, counts nowhere, and is told as
/// `unguarded`. To share one circuit among all the keys that found no place would let whoever has filled the places close the
/// door on them.
///
/// Keys that hold something are not concerned. One that holds nothing may lose its place to one that fails, and find none when
/// it comes back. So whoever chooses keys, and can make their calls fail, can keep all others unguarded: with 10,000 places and
/// 10 minutes, by 17 calls a second. Choose keys that callers cannot choose (operations, tenants, hosts that you know), or give
/// those that they can a `Keyed` of their own.
///
/// Keys are hashed with a secret (SipHash, std's `RandomState`), so nobody can aim at one of the locks among which they are
/// spread. None of them is held while anything of yours runs, but for the `Eq` of a key, which must not come back here.
///
/// # Events
///
/// Those of a [`Breaker`], with the key's text as `key`; and `unguarded`, without a key, since such keys are not bounded in
/// number, and `forgotten`, when a circuit that held failures was idle and gave up its place. Over time there may be more keys
/// than places: where callers choose them, do not make a label of a metric of them.
pub struct Keyed<K, F, O = ()> {
    keys: F,
    circuits: Circuits<K, O>,
}

impl<K, F> Keyed<K, F>
where
    K: Hash + Eq + fmt::Display + Send + Sync + 'static,
{
    /// A breaker for each key that `key` finds in a request, with these settings.
    ///
    /// # Errors
    /// A setting makes no sense.
    pub fn by<Req>(settings: Settings, key: F) -> Result<Self, InvalidSettings>
    where
        F: Fn(&Req) -> Option<K> + Send + Sync + 'static,
    {
        Ok(Self { keys: key, circuits: Circuits::new(settings, MOST, IDLE, ())? })
    }
}

impl Keyed<Operation, OperationKey> {
    /// A breaker for each [operation](kit_base::RequestParts::operation). Calls that nobody has named share one, of
    /// [`Operation::UNMATCHED`]; on hosts that name none, put a [`NameOperation`](kit_base::NameOperation) first.
    ///
    /// # Errors
    /// A setting makes no sense.
    pub fn per_operation(settings: Settings) -> Result<Self, InvalidSettings> {
        Ok(Self { keys: OperationKey, circuits: Circuits::new(settings, MOST, IDLE, ())? })
    }
}

impl<K, F, O> Keyed<K, F, O>
where
    K: Hash + Eq + fmt::Display + Send + Sync + 'static,
    O: Observer + Clone + 'static,
{
    /// The same with at most this many circuits; 10,000 unless set. Begins without any.
    #[must_use]
    pub fn most(self, most: NonZeroUsize) -> Self {
        Self { circuits: self.circuits.with_most(most), ..self }
    }

    /// The same, taking the place of a circuit that holds failures once it was not called for this long. 10 minutes unless set:
    /// ten times what a circuit stays open by default, and yet not so long that a flood of failing keys takes the places for
    /// hours after its end. Begins without any circuit.
    #[must_use]
    pub fn idle(self, idle: Duration) -> Self {
        Self { circuits: self.circuits.with_idle(idle), ..self }
    }

    /// The same, telling this observer what it does. It is cloned into each circuit, so keep what is large in an `Arc`. Begins
    /// without any circuit.
    pub fn observed_by<P: Observer + Clone + 'static>(self, observer: P) -> Keyed<K, F, P> {
        Keyed { keys: self.keys, circuits: self.circuits.with_observer(observer) }
    }

    /// A new one with the same settings, keys and observer, and no circuit.
    #[must_use]
    pub fn fresh(&self) -> Self
    where
        F: Clone,
    {
        Self { keys: self.keys.clone(), circuits: self.circuits.with_observer(self.circuits.observer().clone()) }
    }

    /// The breaker of this key, to look at or to force; nothing if it has no place, as before its first call.
    pub fn breaker(&self, key: &K) -> Option<KeyedBreaker<K, O>> {
        self.circuits.find(key).map(KeyedBreaker)
    }

    /// The same, making one if there is none: to force it before its first call. Nothing if no place is found for it. `now` is
    /// the present by the clock of the guard.
    pub fn breaker_or_new(&self, key: K, now: Instant) -> Option<KeyedBreaker<K, O>> {
        self.circuits.find_or_make(key, || now).map(KeyedBreaker)
    }

    /// Shows all circuits, for a dashboard: at most [`most`](Self::most), in no order. Calls go on meanwhile; keys that come or
    /// go at the same time may be missing.
    pub fn for_each(&self, mut see: impl FnMut(&K, &Breaker<O>)) {
        self.circuits.for_each(|entry| see(&entry.key, &entry.breaker));
    }

    /// How many circuits there are.
    pub fn len(&self) -> usize {
        self.circuits.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls that went on unguarded since there was no place for their key, ever.
    pub fn unguarded(&self) -> u64 {
        self.circuits.unguarded()
    }

    /// Changes the settings of all circuits, and of those to come, as [`Breaker::change`] does.
    ///
    /// # Errors
    /// A setting makes no sense; nothing has changed then.
    pub fn change(&self, settings: Settings) -> Result<(), InvalidSettings> {
        self.circuits.change(settings)
    }
}

/// What is remembered of a call that a [`Keyed`] has let in.
pub struct KeyedPermit<K, O>(Option<(Arc<Entry<K, O>>, Permit)>);

impl<Req, Res, Err, K, F, O> Gate<Req, Res, Err> for Keyed<K, F, O>
where
    K: Hash + Eq + fmt::Display + Send + Sync + 'static,
    F: KeyOf<Req, K>,
    O: Observer + Clone + 'static,
{
    type Permit = KeyedPermit<K, O>;

    fn admit(&self, request: &mut Req, now: &Now<'_>) -> Result<Self::Permit, Error> {
        let Some(key) = self.keys.key_of(request) else { return Ok(KeyedPermit(None)) };
        let Some(entry) = self.circuits.find_or_make(key, || now.get()) else {
            self.circuits.let_by();
            return Ok(KeyedPermit(None));
        };
        let admitted = Gate::<Req, Res, Err>::admit(&entry.breaker, request, now);
        entry.touch(now);
        Ok(KeyedPermit(Some((entry, admitted?))))
    }

    fn answer(&self, permit: &mut Self::Permit, outcome: &mut Result<Res, Err>, judgement: &Judgement) {
        if let Some((entry, permit)) = &mut permit.0 {
            Gate::<Req, Res, Err>::answer(&entry.breaker, permit, outcome, judgement);
        }
    }

    fn finish(&self, permit: Self::Permit, end: &End<'_>) {
        if let Some((entry, permit)) = permit.0 {
            Gate::<Req, Res, Err>::finish(&entry.breaker, permit, end);
            entry.touch(end.now);
        }
    }
}

impl<K, F, O> fmt::Debug for Keyed<K, F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("circuits", &self.circuits).finish_non_exhaustive()
    }
}

impl<K: fmt::Debug, O> fmt::Debug for KeyedPermit<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyedPermit").field(&self.0.as_ref().map(|(entry, permit)| (&entry.key, permit))).finish()
    }
}
