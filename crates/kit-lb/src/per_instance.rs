//! Gates around the connection to one instance, whose refusals cost no call.

use std::fmt;

use kit_base::{
    Call, Classify, Connect, End, Endpoint, Error, Gate, Guard, Hold, Judgement, Kind, Now, Operation, Origin,
    OwnedTicket, Request, Response, Shape, Standard, StreamEnd,
};
use tower_layer::Layer;

use crate::record::{TokioClock, now};

/// A layer over the connection to one instance: a gate, or a tuple of gates, a circuit breaker say. Made in the factory, one for
/// each instance: kit-breaker's `Breaker` is made once, so that its settings are checked where the program begins, and gives a
/// circuit of its own to each. So does kit-ratelimit's `RateLimit`, for what each instance allows.
///
/// ```text
/// let breaker = Breaker::new(settings)?.observed_by(observer);
/// let set = Endpointer::new(instancer, move |instance: &Instance| {
///     let breaker = PerInstance::new(breaker.fresh().named(instance.id.clone()));
///     Ok::<_, BuildError>(breaker.layer(client(instance)?.head_timeout(limit))) // the limit inside: who hangs is seen
/// });
/// ```
///
/// What waits is no gate: kit-breaker's `Bulkhead` is a layer over endpoints and tower services, and not over clients, as this is.
///
/// What the factory makes stays there. To look at the circuits, or to force one, keep a clone of each `PerInstance`, and let go of
/// those whose instance has gone; or follow their observer.
///
/// It is kit-base's [`Guard`], with two differences that a balancer lives by. A request that is refused as `Unavailable` or
/// `ResourceExhausted` comes back in the refusal ([`Error::take_unsent`]), so that the balancer takes it to another instance, to 16
/// in all, and the caller sees a refusal only where all of those refuse; the connection's error must be [`Error`] for that. And
/// where the connection is a client (it [`Connect`]s), what is layered is one too: all methods of the instance share the gate.
/// A call is admitted at the first poll of its future.
///
/// ```
/// # use std::convert::Infallible;
/// # use kit_base::{End, Endpoint, Error, Gate, Instance, Now, Request, Response};
/// use kit_lb::{Endpointer, Fixed, PerInstance};
/// use tower_layer::Layer;
///
/// # struct Breaker(&'static str);
/// # impl<Req, Res, Err> Gate<Req, Res, Err> for Breaker {
/// #     type Permit = ();
/// #     fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
/// #         if self.0 == "open" { Err(Error::unavailable("circuit breaker is open")) } else { Ok(()) }
/// #     }
/// #     fn finish(&self, (): (), _: &End<'_>) {}
/// # }
/// # struct Client(String);
/// # impl Endpoint<Request<u8>> for Client {
/// #     type Response = Response<String>;
/// #     type Error = Error;
/// #     async fn call(&self, _: Request<u8>) -> Result<Response<String>, Error> { Ok(Response::new(self.0.clone())) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let set = Endpointer::new(Fixed::at(["10.0.0.7:8082", "10.0.0.8:8082"]), |instance: &Instance| {
///     let breaker = PerInstance::new(Breaker(if instance.address == "10.0.0.7:8082" { "open" } else { "closed" }));
///     Ok::<_, Infallible>(breaker.layer(Client(instance.address.clone())))
/// });
/// for _ in 0..10 {
///     assert_eq!(set.balancer().call(Request::new(1)).await?.into_message(), "10.0.0.8:8082");
/// }
/// # Ok(())
/// # }
/// ```
///
/// Over tower services ([`Endpointer::services`](crate::Endpointer::services)) nothing comes back, so a `Guard` does as well there.
/// Its clock is tokio's: ask a breaker for its state at `tokio::time::Instant::now().into_std()`. Clones share the gate. A refusal
/// costs a box for the request.
///
/// Of several gates, put one that changes requests behind those that refuse: a request goes elsewhere as it was left. And a balancer
/// passes an instance over for as long as the last refusal said, at most 30 s, even if somebody resets its breaker meanwhile.
pub struct PerInstance<G, K = Standard> {
    guard: Guard<Admitting<G>, Judging<K>, TokioClock>,
}

impl<G> PerInstance<G> {
    /// A layer with this gate or tuple of gates, and the standard judgement.
    pub fn new(gate: G) -> Self {
        Self::with(gate, Standard)
    }
}

impl<G, K> PerInstance<G, K> {
    /// The same with this way of judging.
    pub fn with(gate: G, classify: K) -> Self {
        Self { guard: Guard::with(Admitting(gate), Judging(classify), now) }
    }

    /// The gate, to read its state or change its settings.
    pub fn gate(&self) -> &G {
        &self.guard.gate().0
    }
}

impl<C, G, K> Layer<C> for PerInstance<G, K> {
    type Service = Gated<C, G, K>;

    fn layer(&self, connection: C) -> Gated<C, G, K> {
        Gated { connection, guard: self.guard.clone() }
    }
}

/// A connection behind the gates of its instance; see [`PerInstance`].
pub struct Gated<C, G, K = Standard> {
    connection: C,
    guard: Guard<Admitting<G>, Judging<K>, TokioClock>,
}

/// What holds the permit of an answer that streams.
type Ticket<Req, Res, Err, G, K> =
    OwnedTicket<Admitted<Req, Permit<G, Req, Res, Err>>, Res, Err, Admitting<G>, Judging<K>, TokioClock>;

type Permit<G, Req, Res, Err> = <G as Gate<Req, Res, Err>>::Permit;

impl<C, G, K, Req> Endpoint<Req> for Gated<C, G, K>
where
    C: Endpoint<Req, Response: 'static, Error: From<Error> + 'static>,
    Req: Call<C::Response> + 'static,
    G: Gate<Req, C::Response, C::Error>,
    K: Classify<Req, C::Response, C::Error> + 'static,
{
    type Response = Req::Held<Ticket<Req, C::Response, C::Error, G, K>>;
    type Error = C::Error;

    async fn call(&self, mut request: Req) -> Result<Self::Response, C::Error> {
        let clock: TokioClock = now;
        let admitted = self.guard.gate().0.admit(&mut request, &Now::new(&clock));
        match admitted {
            Ok(permit) => {
                let admitted = Admitted { request, permit: Some(permit) };
                self.guard.layer(Admits(&self.connection)).call(admitted).await
            }
            Err(refusal) => Err(give_back(refusal, request).into()),
        }
    }
}

/// The refusal with the request in it, where another instance may take it.
#[cold]
fn give_back<Req: Send + 'static>(refusal: Error, request: Req) -> Error {
    let origin = if refusal.origin() == Origin::Remote { Origin::LocalRefusal } else { refusal.origin() };
    match refusal.kind() {
        Kind::Unavailable | Kind::ResourceExhausted => refusal.with_unsent(request).with_origin(origin),
        _ => refusal.with_origin(origin),
    }
}

impl<C, G, K, S, Req, Res> Connect<S, Req, Res> for Gated<C, G, K>
where
    S: Shape,
    Req: Send + 'static,
    Res: Send + 'static,
    C: Connect<S, Req, Res>,
    G: Gate<Request<Req, S>, Response<Res>, Error>,
    K: Classify<Request<Req, S>, Response<Res>, Error> + 'static,
    Request<Req, S>: Call<Response<Res>, Held<Ticket<Request<Req, S>, Response<Res>, Error, G, K>> = Response<Res>>,
{
    type Endpoint = Gated<C::Endpoint, G, K>;

    fn connect(&self, operation: Operation) -> Self::Endpoint {
        Gated { connection: self.connection.connect(operation), guard: self.guard.clone() }
    }
}

/// A request with the permit that it has got already: the gate is asked before the request is given away, and the guard behind
/// it keeps the permit to the end of the call.
#[derive(Debug)]
pub struct Admitted<Req, P> {
    request: Req,
    permit: Option<P>,
}

impl<Res, Req: Call<Res>, P: Send> Call<Res> for Admitted<Req, P> {
    type Held<T: Hold> = Req::Held<T>;

    fn streams(answer: &Res) -> bool {
        Req::streams(answer)
    }

    fn hold<T: Hold>(answer: Res, hold: Option<T>) -> Req::Held<T> {
        Req::hold(answer, hold)
    }
}

/// The endpoint that such a request is for.
struct Admits<E>(E);

impl<Req: Send, P: Send, E: Endpoint<Req>> Endpoint<Admitted<Req, P>> for Admits<E> {
    type Response = E::Response;
    type Error = E::Error;

    fn call(&self, admitted: Admitted<Req, P>) -> impl Future<Output = Result<E::Response, E::Error>> + Send {
        self.0.call(admitted.request)
    }
}

/// The gate, once it has admitted.
#[derive(Debug)]
pub struct Admitting<G>(G);

impl<Req: Send, Res, Err, G: Gate<Req, Res, Err>> Gate<Admitted<Req, G::Permit>, Res, Err> for Admitting<G> {
    const REFUSES: bool = G::REFUSES;
    type Permit = G::Permit;

    fn admit(&self, admitted: &mut Admitted<Req, G::Permit>, now: &Now<'_>) -> Result<G::Permit, Error> {
        match admitted.permit.take() {
            Some(permit) => Ok(permit),
            None => self.0.admit(&mut admitted.request, now),
        }
    }

    fn answer(&self, permit: &mut G::Permit, outcome: &mut Result<Res, Err>, judgement: &Judgement) {
        self.0.answer(permit, outcome, judgement);
    }

    fn finish(&self, permit: G::Permit, end: &End<'_>) {
        self.0.finish(permit, end);
    }
}

/// Judges such a call as any other.
#[derive(Debug)]
pub struct Judging<K>(K);

impl<Req, P, Res, Err, K: Classify<Req, Res, Err>> Classify<Admitted<Req, P>, Res, Err> for Judging<K> {
    fn judge(&self, outcome: &Result<Res, Err>) -> Judgement {
        self.0.judge(outcome)
    }

    fn judge_end(&self, head: &Judgement, end: &StreamEnd<'_>) -> Judgement {
        self.0.judge_end(head, end)
    }
}

impl<G, K> Clone for PerInstance<G, K> {
    fn clone(&self) -> Self {
        Self { guard: self.guard.clone() }
    }
}

impl<C: Clone, G, K> Clone for Gated<C, G, K> {
    fn clone(&self) -> Self {
        Self { connection: self.connection.clone(), guard: self.guard.clone() }
    }
}

impl<G: fmt::Debug, K> fmt::Debug for PerInstance<G, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PerInstance").field(self.gate()).finish()
    }
}

impl<C: fmt::Debug, G: fmt::Debug, K> fmt::Debug for Gated<C, G, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gate = &self.guard.gate().0;
        f.debug_struct("Gated").field("connection", &self.connection).field("gate", gate).finish()
    }
}
