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

/// 1.2 MB.
const PLACES: NonZeroUsize = NonZeroUsize::new(1 << 16).expect("65,536 is not zero");

/// A limit for each key: a bucket for each client, tenant, operation, or whatever a request says.
///
/// *Beside a limit for all*, put this one first: `(per_client, for_all)`. A client that it refuses then takes nothing of what is
/// for all. The other way round, what is taken for a client and given back at once is lost if others take at the same time: of
/// 200,000 refused calls from four threads, 25,000 had cost a token.
///
/// The key is what a closure finds in the request at its place:
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::extract::ConnectInfo;
/// use http::Request;
/// use kit_ratelimit::{Keyed, Network, Quota, nonzero};
/// use tonic::transport::server::TcpConnectInfo;
///
/// let quota = Quota::per_minute(nonzero!(60));
/// // A header, or metadata of gRPC.
/// let _ = Keyed::by(quota, |req: &Request<axum::body::Body>| req.headers().get("x-api-key").cloned());
/// // Who has connected: on axum, served by `into_make_service_with_connect_info::<SocketAddr>()`;
/// let _ = Keyed::by(quota, |req: &Request<axum::body::Body>| {
///     req.extensions().get().map(|ConnectInfo::<SocketAddr>(addr)| Network::of(addr.ip()))
/// });
/// // on tonic's server;
/// let _ = Keyed::by(quota, |req: &Request<tonic::body::Body>| {
///     Some(Network::of(req.extensions().get::<TcpConnectInfo>()?.remote_addr()?.ip()))
/// });
/// // and on kit's, of any request.
/// let _ = Keyed::per_peer(quota);
/// // What a client calls.
/// let _ = Keyed::by(quota, |req: &Request<String>| req.uri().authority().cloned());
/// ```
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
    /// The same with so many places, rounded up to a multiple of eight; 65,536 unless set. Each takes 19 bytes. Begins with full
    /// buckets.
    #[must_use]
    pub fn places(mut self, most: NonZeroUsize) -> Self {
        self.places = Places::new(self.quota(), most, self.places.is_strict());
        self
    }

    /// The same, where a key that takes the place of another one begins with no more tokens than that had left. Begins with
    /// full buckets.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.places = Places::new(self.quota(), self.places.places(), true);
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

    /// Goes on with another quota for all keys, as [`RateLimit::change_at`](crate::RateLimit::change_at) does, save
    /// that a full bucket stays full: it cannot be told from that of a key without a place. A call that is made at the same time
    /// goes by the old quota or by the new one.
    pub fn change_at(&self, quota: Quota, now: Instant) {
        self.places.change(quota, now);
    }

    /// How the bucket of this key stands; full if it has no place. `now` is the present by the clock of the guard.
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
