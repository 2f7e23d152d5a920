//! A limit for each key, in bounded memory.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use kit_base::{End, Error, Gate, Now, Observer, Operation};

use crate::bucket::Look;
use crate::cost::{Cost, One};
use crate::key::{KeyOf, Network, OperationKey, PeerKey};
use crate::limit::{About, is_not_made};
use crate::places::{Places, TakenByKey};
use crate::with_headers::{Measure, WithHeaders};
use crate::{Quota, Standing};

/// 1.3 MB.
const PLACES: NonZeroUsize = NonZeroUsize::new(1 << 16).expect("65,536 is not zero");

/// A limit for each key: a bucket for each client, tenant, operation, or whatever a request says.
///
/// ```
/// use kit_base::{Endpoint, Error, Request};
/// use kit_ratelimit::{Guard, Keyed, Layer, Quota, nonzero};
/// # struct Search;
/// # impl Endpoint<Request<&'static str>> for Search {
/// #     type Response = ();
/// #     type Error = Error;
/// #     async fn call(&self, _: Request<&'static str>) -> Result<(), Error> { Ok(()) }
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
///
/// // 2 an hour for each tenant.
/// let by_tenant = Keyed::by(Quota::per_hour(nonzero!(2)), |request: &Request<&'static str>| Some(*request.message()));
/// let guard = Guard::new(by_tenant);
/// let search = guard.layer(Search);
/// assert!(search.call(Request::new("one")).await.is_ok());
/// assert!(search.call(Request::new("one")).await.is_ok());
/// assert!(search.call(Request::new("one")).await.is_err());
/// assert!(search.call(Request::new("another")).await.is_ok());
///
/// let left = |tenant| guard.gate().standing_at(&tenant, std::time::Instant::now()).remaining;
/// assert_eq!((left("one"), left("another"), left("a third")), (0, 1, 2));
/// # });
/// ```
///
/// A key is whatever can be hashed: a number, a `String`, an address, an `http::HeaderValue`, a tuple of them. All requests for
/// which the closure finds none share *one* bucket: so nobody escapes the limit by leaving out what the key is made of, but if
/// honest requests have no key either, they are limited together.
///
/// *Beside a limit for all*, put this one first: `(per_client, for_all)`. A client that it refuses then takes nothing of what is
/// for all. The other way round its calls take some of that; it is given back at once, but not where others take at the same time.
///
/// # By address
///
/// [`per_peer`](Self::per_peer) takes the address that the connection came from, where the server tells it in kit's way, as a
/// [`Peer`](kit_base::Peer) in the extensions. It limits IPv6 by [networks](Network) of 64 bits, since one client has a whole one
/// to choose addresses from. Other servers have their own ways. With axum and its `into_make_service_with_connect_info`:
///
/// ```
/// use std::net::SocketAddr;
/// use axum::extract::{ConnectInfo, Request};
/// use kit_ratelimit::{Keyed, Network, Quota, nonzero};
///
/// let limit = Keyed::by(Quota::per_second(nonzero!(5)), |request: &Request| {
///     request.extensions().get().map(|ConnectInfo(addr): &ConnectInfo<SocketAddr>| Network::of(addr.ip()))
/// });
/// ```
///
/// With tonic:
///
/// ```
/// use kit_ratelimit::{Keyed, Network, Quota, nonzero};
/// use tonic::body::Body;
/// use tonic::transport::server::TcpConnectInfo;
///
/// let limit = Keyed::by(Quota::per_second(nonzero!(5)), |request: &http::Request<Body>| {
///     Some(Network::of(request.extensions().get::<TcpConnectInfo>()?.remote_addr()?.ip()))
/// });
/// ```
///
/// Behind a proxy all connections come from the proxy, and share its bucket. It can say for whom it speaks, in
/// `X-Forwarded-For`; but so can any client, so read only what *your* proxy has written: most append, so with one proxy it is the
/// last address of the last such header. Never the first one, and only where no request comes past the proxy:
///
/// ```
/// use kit_ratelimit::{Keyed, Network, Quota, nonzero};
///
/// fn client<B>(request: &http::Request<B>) -> Option<Network> {
///     let last = request.headers().get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
///     Some(Network::of(last.rsplit(',').next()?.trim().parse().ok()?))
/// }
///
/// let request = http::Request::builder()
///     .header("x-forwarded-for", "203.0.113.9")                  // made up by the client
///     .header("x-forwarded-for", "203.0.113.10, 198.51.100.7")   // to which the proxy has added its address
///     .body(())?;
/// assert_eq!(client(&request), Some(Network::of("198.51.100.7".parse()?)));
/// let limit = Keyed::by(Quota::per_second(nonzero!(5)), client::<()>);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # A bounded number
///
/// There is a fixed number of [places](Self::places), 65,536 unless set, however many keys callers think of. Each takes 20
/// bytes, 1.3 MB in all; they are made at the beginning, and nothing is allocated later (but on macOS, where std's mutex allocates
/// when it is first locked: one for eight places). Only a bucket that is not full needs a place, and it becomes full by itself:
/// one call needs its place for one [interval](Quota::interval), a drained bucket for a whole [refill](Quota::refill). So the
/// places needed are the keys that come in a second, times the seconds until their buckets are full: 1,000 clients a second that
/// each use up a minute's quota need 60,000.
///
/// Places are in sets of eight, and the hash of a key says which is its set. So have more places than needed. With four times as
/// many, about one new key in 900 finds its set taken by others; with twice as many, one in 20. [`in_use_at`](Self::in_use_at)
/// and [`displaced`](Self::displaced) tell.
///
/// # A flood of keys
///
/// A key whose set is taken gets the place of the bucket that would be full first, and begins with no more tokens than the
/// fullest of those had that have lost their places. So no flood resets a bucket: whoever is drained, loses its place and comes
/// back is still as good as drained. What it finds is, by default, *at least one token*:
///
/// * A client whose calls cost one token and are at least an interval apart is never refused, whatever others do. For as long
///   as a flood uses up all that there are places for, clients that come new have this rate, but no burst; a call that costs more
///   than one token may be refused until it is over. Once it is, it takes a refill until everything is exact again.
/// * A key may get one token more than its quota for each time that it is drained and has lost its place, which takes eight
///   calls under other keys in its set. Nobody can choose keys of one set, so an attacker pays with about as many calls under
///   other keys, all let in, as there are places, for each such token. (Each of those keys has a burst of its own: that is what
///   a limit by key means. Where callers can make up keys, put a [`RateLimit`](crate::RateLimit) for all of them beside it.)
///
/// With [`strict`](Self::strict) there is no such token (this is the Space-Saving algorithm): no key ever gets more than
/// `burst + rate · t` in a time `t`, whatever comes. The price is that a flood which keeps all buckets of a set drained keeps out
/// those who have no place there. That is right for what must not be guessed, and wrong for a public page.
///
/// In both, a call that was not made gives its tokens back to its own key only, and only while that has its place.
///
/// # Hashes
///
/// A key itself is not kept, only its hash of 64 bits (SipHash under a secret of this limit, std's `RandomState`). Two keys of the
/// same hash would share a bucket. Nobody can look for such keys without the secret, and that by chance any two of 65,536 keys
/// do is as likely as 1 to 10,000,000,000. A call costs that hash, a look at eight places, and a lock that only keys of one set
/// share; it is never held while anything of yours runs.
///
/// # Events
///
/// `refused`, `would_refuse` (with [`observe_only`](Self::observe_only)), and `displaced` when a bucket that was not full has
/// lost its place. Their key is the [name](Self::named) of the limit: the keys of requests are not bounded in number, and are no
/// label for a metric.
#[doc(alias = "DefaultKeyedRateLimiter")]
pub struct Keyed<K, F, C = One, O = ()> {
    keys: F,
    places: Places,
    cost: C,
    about: About<O>,
    _key: PhantomData<fn() -> K>,
}

impl<K: Hash + Send + 'static, F> Keyed<K, F> {
    /// A limit of this quota for each key that `key` finds in a request. All requests without a key share one bucket.
    pub fn by<Req>(quota: Quota, key: F) -> Self
    where
        F: Fn(&Req) -> Option<K> + Send + Sync + 'static,
    {
        Self::with(quota, key)
    }

    fn with(quota: Quota, keys: F) -> Self {
        let places = Places::new(quota, PLACES, false);
        Self { keys, places, cost: One, about: About::new(), _key: PhantomData }
    }
}

impl Keyed<Operation, OperationKey> {
    /// A limit of this quota for each [operation](kit_base::RequestParts::operation). Calls that nobody has named share one, of
    /// [`Operation::UNMATCHED`]; on hosts that name none, put a [`NameOperation`](kit_base::NameOperation) first.
    pub fn per_operation(quota: Quota) -> Self {
        Self::with(quota, OperationKey)
    }
}

impl Keyed<Network, PeerKey> {
    /// A limit of this quota for each [network](Network) that requests come from, by the [`Peer`](kit_base::Peer) that the server
    /// has put into them. Requests without a peer share one bucket.
    pub fn per_peer(quota: Quota) -> Self {
        Self::with(quota, PeerKey)
    }
}

impl<K, F, O> Keyed<K, F, One, O> {
    /// The same, where requests cost more than one token, or none.
    #[doc(alias = "check_key_n")]
    pub fn costing<Req, C: Fn(&Req) -> u32 + Send + Sync + 'static>(self, cost: C) -> Keyed<K, F, C, O> {
        Keyed { keys: self.keys, places: self.places, cost, about: self.about, _key: PhantomData }
    }
}

impl<K, F, C, O> Keyed<K, F, C, O> {
    /// The same with so many places, rounded up to a multiple of eight, and 16,777,216 at most; 65,536 unless set. Each takes
    /// 20 bytes, from the beginning. Begins with full buckets.
    #[must_use]
    pub fn places(mut self, most: NonZeroUsize) -> Self {
        self.places = Places::new(self.quota(), most, self.places.strict);
        self
    }

    /// The same, where a key that takes the place of another one begins with no more tokens than that had left, be it none: no
    /// key ever gets more than the quota, but a flood of keys keeps others out.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.places.strict = true;
        self
    }

    /// The same with this name: the key of its events, and its name in the `RateLimit` headers, where it is `default` unless
    /// set. Characters that are not printable ASCII become `?` there.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.about.name = name.into();
        self
    }

    /// The same, telling this observer what it does.
    pub fn observed_by<P: Observer + 'static>(self, observer: P) -> Keyed<K, F, C, P> {
        let about = self.about.observed_by(observer);
        Keyed { keys: self.keys, places: self.places, cost: self.cost, about, _key: PhantomData }
    }

    /// The same, letting everything through, and telling what it would refuse.
    #[must_use]
    pub fn observe_only(mut self) -> Self {
        self.about.observe_only = true;
        self
    }

    /// The same, putting the `RateLimit` headers on answers too, and not on refusals only. For servers.
    pub fn with_headers(self) -> WithHeaders<Self> {
        WithHeaders::new(self)
    }

    /// A new one with the same settings, and full buckets of its own.
    #[must_use]
    pub fn fresh(&self) -> Self
    where
        F: Clone,
        C: Clone,
        O: Clone,
    {
        let (keys, cost, about) = (self.keys.clone(), self.cost.clone(), self.about.clone());
        Self { keys, places: self.places.fresh(), cost, about, _key: PhantomData }
    }

    /// The quota.
    pub fn quota(&self) -> Quota {
        self.places.quota()
    }

    /// The name; empty unless [named](Self::named).
    pub fn name(&self) -> &str {
        &self.about.name
    }

    /// Goes on with another quota for all keys, as [`RateLimit::change_at`](crate::RateLimit::change_at) does, but that a full
    /// bucket is full by the new quota too. A call that is made at the same time goes by the old quota or by the new one.
    pub fn change_at(&self, quota: Quota, now: Instant) {
        self.places.change(quota, now);
    }

    /// How the bucket of this key stands, or would begin if it has no place: full, unless there is a flood. `now` is the present by
    /// the clock of the guard.
    pub fn standing_at(&self, key: &K, now: Instant) -> Standing
    where
        K: Hash,
    {
        self.places.look(key, now).standing()
    }

    /// How many buckets are not full. Looks at all of them; for a dashboard.
    pub fn in_use_at(&self, now: Instant) -> usize {
        self.places.in_use(now)
    }

    /// How many buckets have given up their places before they were full, ever. If it grows, there are too few
    /// [places](Self::places), or there is a flood.
    pub fn displaced(&self) -> u64 {
        self.places.displaced()
    }
}

/// What is remembered of a call that a [`Keyed`] has let in.
#[derive(Clone, Copy, Debug)]
pub struct KeyedPermit(TakenByKey);

impl<Req, K, F, C, O> Measure<Req> for Keyed<K, F, C, O>
where
    K: Hash + 'static,
    F: KeyOf<Req, K>,
    C: Cost<Req>,
    O: Observer + 'static,
{
    type Permit = KeyedPermit;

    #[inline]
    fn measure(&self, request: &mut Req, now: &Now<'_>) -> Result<(KeyedPermit, Option<Look>), Error> {
        let cost = self.cost.cost_of(request);
        if cost == 0 {
            return Ok((KeyedPermit(TakenByKey::NOTHING), None));
        }
        let visit = self.places.take(self.keys.key_of(request).as_ref(), now.get(), cost);
        if visit.displaced {
            self.about.tell("displaced", 1.0);
        }
        match visit.outcome {
            Ok(taken) => Ok((KeyedPermit(taken), Some(visit.look))),
            Err(short) => self
                .about
                .refuse(cost, short, visit.look)
                .map(|()| (KeyedPermit(TakenByKey::NOTHING), Some(visit.look))),
        }
    }

    #[inline]
    fn settle(&self, permit: KeyedPermit, end: &End<'_>) {
        if is_not_made(end) {
            self.places.give_back(permit.0, end.now.get());
        }
    }

    fn name(&self) -> &str {
        &self.about.name
    }
}

impl<Req, Res, Err, K, F, C, O> Gate<Req, Res, Err> for Keyed<K, F, C, O>
where
    K: Hash + 'static,
    F: KeyOf<Req, K>,
    C: Cost<Req>,
    O: Observer + 'static,
{
    type Permit = KeyedPermit;

    #[inline]
    fn admit(&self, request: &mut Req, now: &Now<'_>) -> Result<KeyedPermit, Error> {
        self.measure(request, now).map(|(permit, _)| permit)
    }

    #[inline]
    fn finish(&self, permit: KeyedPermit, end: &End<'_>) {
        Measure::<Req>::settle(self, permit, end);
    }
}

impl<K, F, C, O> fmt::Debug for Keyed<K, F, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("name", &self.name())
            .field("quota", &self.quota())
            .field("places", &self.places.places())
            .finish_non_exhaustive()
    }
}
