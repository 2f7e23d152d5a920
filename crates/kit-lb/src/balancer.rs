//! The balancer: an endpoint that sends each call to one instance of a live set.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use kit_base::{Call, Classify, Endpoint, Error, Kind, Origin, OwnedTicket, RequestParts};
use tower_layer::Layer;

use crate::record::{Live, Record, TokioClock, now};
use crate::{Choice, Endpointer, LeastLoaded, Set, SetSnapshot};

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
        match self.choose() {
            Some(live) => {
                live.gate().stats.begin();
                Ok(Picked { live })
            }
            None => Err(self.none()),
        }
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
            return self.look_further(&set);
        }
        Some(chosen.live.clone())
    }

    #[cold]
    fn look_further(&self, set: &Set<C, K>) -> Option<Live<C, K>> {
        for _ in 1..LOOKS {
            let chosen = self.choice.choose(set)?;
            if !chosen.rests() {
                return Some(chosen.live.clone());
            }
        }
        // The choice may not be able to get away from it: of two, a dead one is always the less loaded.
        let chosen = self.choice.choose(set)?;
        Some(set.next_awake(chosen).unwrap_or(chosen).live.clone())
    }

    #[cold]
    fn none(&self) -> Error {
        let yet = "no endpoints available: the registry has told nothing yet";
        let why = self.endpointer.shared.cell.why_none();
        why.unwrap_or_else(|| Error::unavailable(yet).with_origin(Origin::NotSent))
    }

    #[cold]
    async fn wait(&self, deadline: Option<kit_base::Deadline>) -> Result<Live<C, K>, Error> {
        let cell = &self.endpointer.shared.cell;
        cell.known(deadline).await?;
        self.choose().ok_or_else(|| self.none())
    }

    /// Calls the endpoint that `of` finds at the connection to an instance. A call that surely did not begin there, and whose
    /// request came back, is taken to another one.
    pub(crate) async fn balanced<Req, E>(
        &self,
        mut request: Req,
        of: impl for<'a> Fn(&'a Record<C>) -> Result<&'a E, Error> + Send + Sync,
    ) -> Result<Req::Held<Ticket<Req, E::Response, E::Error, C, K>>, E::Error>
    where
        E: Endpoint<Req, Response: 'static, Error: From<Error> + 'static>,
        Req: RequestParts + Call<E::Response> + 'static,
        K: Classify<Req, E::Response, E::Error> + 'static,
        C: Send + Sync + 'static,
    {
        let mut tries = 1;
        loop {
            let live = match self.choose() {
                Some(live) => live,
                None => {
                    // Read before the wait, so that the request need not be `Sync`.
                    let deadline = request.deadline(now());
                    self.wait(deadline).await?
                }
            };
            let endpoint = of(live.gate())?;
            let mut outcome = live.layer(endpoint).call(request).await;
            match outcome.as_mut().err().filter(|_| tries < TRIES).and_then(came_back) {
                Some(again) => (request, tries) = (again, tries + 1),
                None => return outcome,
            }
        }
    }
}

/// The request of a call that did not begin because the instance could not be reached.
#[cold]
fn came_back<Req: 'static, Err: 'static>(error: &mut Err) -> Option<Req> {
    let error = (error as &mut dyn Any).downcast_mut::<Error>()?;
    let unreached = error.kind() == Kind::Unavailable && error.origin() == Origin::NotSent;
    if unreached { error.take_unsent() } else { None }
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
        self.balanced(request, |record| Ok(&record.connection)).await
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
