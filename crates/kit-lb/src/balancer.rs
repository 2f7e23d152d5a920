//! The balancer: an endpoint that sends each call to one instance of a live set.

use std::any::Any;
use std::sync::Arc;
use std::{fmt, ptr};

use kit_base::{Call, Classify, Endpoint, Error, Kind, Origin, OwnedTicket, RequestParts};
use tower_layer::Layer;

use crate::methods::Made;
use crate::none::no_endpoints;
use crate::record::{Live, Record, TokioClock, now};
use crate::{Candidate, Choice, Endpointer, LeastLoaded, Set, SetSnapshot};

/// How often the choice is asked for an instance that need not be passed over.
const LOOKS: usize = 4;

/// How many instances a call is taken to, at most, while it surely has not begun at any.
const TRIES: usize = 3;

/// Balances calls over a live set. Made by [`Endpointer::balancer`] and [`Endpointer::balanced_by`].
///
/// - Where the connections are [`Endpoint`]s it is an endpoint too, for the same requests.
/// - Where they are clients (they [`Connect`](kit_base::Connect)) it is a client too: `AddEndpoints::connect(&balancer)` makes
///   the whole service, over one connection and one record an instance.
/// - [`pick`](Self::pick) gives the connection itself.
///
/// *Clones* share the choice and its state, and the set.
pub struct Balancer<C, Ch = LeastLoaded, K = kit_base::Standard> {
    pub(crate) endpointer: Endpointer<C, K>,
    choice: Arc<Ch>,
}

/// What is kept of an answer that streams, until it ends.
pub(crate) type Ticket<Req, Res, Err, C, K> = OwnedTicket<Req, Res, Err, Record<C>, K, TokioClock>;

impl<C, Ch: Choice, K> Balancer<C, Ch, K> {
    pub(crate) fn new(endpointer: Endpointer<C, K>, choice: Ch) -> Self {
        Self { endpointer, choice: Arc::new(choice) }
    }

    /// The connection to the instance that the choice falls on now. Never waits and allocates nothing.
    ///
    /// It counts as a call in flight for as long as it is held; how it went is not recorded.
    ///
    /// # Errors
    /// There is none: `Unavailable`, not sent, with Go kit's text `no endpoints available` and the reason.
    #[doc(alias = "ErrNoEndpoints")]
    pub fn pick(&self) -> Result<Picked<C, K>, Error> {
        let live = match self.choose() {
            Some(live) => live,
            None => self.choose_or_say()?,
        };
        live.gate().stats.begin();
        Ok(Picked { live })
    }

    /// The set as it is now.
    pub fn snapshot(&self) -> SetSnapshot {
        self.endpointer.snapshot()
    }

    #[inline(always)]
    fn choose(&self) -> Option<Live<C, K>> {
        let set = self.endpointer.shared.cell.set.read();
        let chosen = self.choice.choose(&set)?;
        if chosen.rests() {
            return self.look_further(&set, chosen, &[]);
        }
        Some(chosen.live.clone())
    }

    /// From one that the choice fell on: one that need not be passed over, else one that rests; none of those that were tried.
    #[cold]
    fn look_further<'s>(
        &self,
        set: &'s Set<C, K>,
        mut chosen: &'s Candidate<C, K>,
        tried: &[usize],
    ) -> Option<Live<C, K>> {
        let is_new = |one: &&Candidate<C, K>| !tried.contains(&place(&one.live));
        let mut resting = None;
        for look in 1..=LOOKS {
            if is_new(&chosen) {
                if !chosen.rests() {
                    return Some(chosen.live.clone());
                }
                // One of them by chance: by a round robin that is asked four times a call, the last one is ever the same.
                if resting.is_none() || fastrand::usize(..look) == 0 {
                    resting = Some(chosen);
                }
            }
            if look < LOOKS {
                let Some(next) = self.choice.choose(set) else { break };
                chosen = next;
            }
        }
        // The choice may not be able to get away from it: of two, a dead one is always the less loaded.
        let others = set.after(chosen).filter(is_new);
        let found = others.clone().find(|other| !other.rests()).or(resting).or_else(|| others.clone().next());
        found.map(|found| found.live.clone())
    }

    /// For who has found none: one of the set as it is now, or why there is none in this very set; nothing while none is known yet.
    #[cold]
    fn look_again(&self) -> Option<Result<Live<C, K>, Error>> {
        let set = self.endpointer.shared.cell.set.load();
        match self.choice.choose(&set) {
            Some(chosen) => self.look_further(&set, chosen, &[]).map(Ok),
            None => set.why_none().map(Err),
        }
    }

    #[cold]
    fn choose_or_say(&self) -> Result<Live<C, K>, Error> {
        self.look_again().unwrap_or_else(|| Err(no_endpoints("the registry has told nothing yet")))
    }

    /// Another one for a call that surely did not begin at those that were tried, and its request.
    #[cold]
    fn elsewhere<Req: 'static, Err: 'static>(&self, error: &mut Err, tried: &[usize]) -> Option<(Req, Live<C, K>)> {
        let error = (error as &mut dyn Any).downcast_mut::<Error>()?;
        let surely_not_begun = match error.origin() {
            Origin::NotSent => error.kind() == Kind::Unavailable,
            // By what stands around the connection to this one instance.
            Origin::LocalRefusal => matches!(error.kind(), Kind::Unavailable | Kind::ResourceExhausted),
            Origin::Remote => false,
        };
        if !surely_not_begun {
            return None;
        }
        let set = self.endpointer.shared.cell.set.load();
        let other = self.look_further(&set, self.choice.choose(&set)?, tried)?;
        error.take_unsent().map(|request| (request, other))
    }

    /// Calls the endpoint that `of` finds at the connection to an instance. A call that surely did not begin there, and whose
    /// request came back, is taken to another one.
    pub(crate) async fn balanced<Req, E>(
        &self,
        mut request: Req,
        of: impl for<'a> Fn(&'a Record<C>) -> Made<'a, E> + Send + Sync,
    ) -> Result<Req::Held<Ticket<Req, E::Response, E::Error, C, K>>, E::Error>
    where
        E: Endpoint<Req, Response: 'static, Error: From<Error> + 'static>,
        Req: RequestParts + Call<E::Response> + 'static,
        K: Classify<Req, E::Response, E::Error> + 'static,
        C: Send + Sync + 'static,
    {
        let mut live = match self.choose() {
            Some(live) => live,
            None => {
                // Read before the wait, so that the request need not be `Sync`.
                let deadline = request.deadline(now());
                match self.endpointer.shared.cell.wait(deadline, || self.look_again()).await {
                    Ok(live) => live,
                    Err(error) => return Err(error.with_unsent(request).into()),
                }
            }
        };
        let (mut tried, mut tries) = ([0; TRIES - 1], 0);
        loop {
            let endpoint = of(live.gate());
            let mut outcome = live.layer(&*endpoint).call(request).await;
            let again = match (&mut outcome, tried.get_mut(tries)) {
                (Err(error), Some(last)) => {
                    (*last, tries) = (place(&live), tries + 1);
                    self.elsewhere(error, &tried[..tries])
                }
                _ => None,
            };
            match again {
                Some(again) => {
                    drop(endpoint);
                    (request, live) = again;
                }
                None => return outcome,
            }
        }
    }
}

/// What tells connections apart.
fn place<C, K>(live: &Live<C, K>) -> usize {
    ptr::from_ref(live.gate()).addr()
}

impl<Req, C, Ch, K> Endpoint<Req> for Balancer<C, Ch, K>
where
    C: Endpoint<Req, Response: 'static, Error: From<Error> + 'static> + 'static,
    Req: RequestParts + Call<C::Response> + 'static,
    Ch: Choice,
    K: Classify<Req, C::Response, C::Error> + 'static,
{
    type Response = Req::Held<Ticket<Req, C::Response, C::Error, C, K>>;
    type Error = C::Error;

    async fn call(&self, request: Req) -> Result<Self::Response, C::Error> {
        self.balanced(request, |record| Made::Kept(&record.connection)).await
    }
}

impl<C, Ch, K> Clone for Balancer<C, Ch, K> {
    fn clone(&self) -> Self {
        Self { endpointer: self.endpointer.clone(), choice: Arc::clone(&self.choice) }
    }
}

impl<C, Ch, K> fmt::Debug for Balancer<C, Ch, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balancer").field("endpointer", &self.endpointer).finish_non_exhaustive()
    }
}

/// A connection that was picked; see [`Balancer::pick`].
pub struct Picked<C, K = kit_base::Standard> {
    live: Live<C, K>,
}

impl<C, K> Picked<C, K> {
    /// The connection.
    pub fn connection(&self) -> &C {
        &self.live.gate().connection
    }
}

impl<C, K> Drop for Picked<C, K> {
    fn drop(&mut self) {
        self.live.gate().stats.end();
    }
}

impl<C, K> fmt::Debug for Picked<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picked").finish_non_exhaustive()
    }
}
