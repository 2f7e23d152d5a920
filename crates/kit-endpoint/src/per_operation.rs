//! A gate for each operation.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError, RwLock};

use kit_base::{End, Error, Gate, Judgement, Now, Operation, RequestParts};

/// A gate that keeps one gate for each operation, made by `make` at the operation's first call: so that one slow method
/// does not open the breaker of all, while a layer by itself shares its state over all that it is put over.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use kit_endpoint::base::{End, Gate, Guard, Now};
/// use kit_endpoint::{Endpoint, EndpointExt, Error, Operation, Request, nop, per_operation};
///
/// /// Lets one call through.
/// #[derive(Default)]
/// struct Once(std::sync::atomic::AtomicBool);
///
/// impl<Req, Res, Err> Gate<Req, Res, Err> for Once {
///     type Permit = ();
///     fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
///         let used = self.0.swap(true, std::sync::atomic::Ordering::AcqRel);
///         if used { Err(Error::resource_exhausted("used up")) } else { Ok(()) }
///     }
///     fn finish(&self, (): (), _: &End<'_>) {}
/// }
///
/// let once = Guard::new(per_operation(|_| Once::default()));
/// let sum = nop::<u8, ()>().layer(once.clone()).named(Operation::new("addsvc", "sum"));
/// let concat = nop::<u8, ()>().layer(once.clone()).named(Operation::new("addsvc", "concat"));
/// assert!(sum.call(Request::new(1)).await.is_ok());
/// assert!(sum.call(Request::new(1)).await.is_err());
/// assert!(concat.call(Request::new(1)).await.is_ok());
/// # });
/// ```
///
/// It keeps at most 1,000 gates, unless [`with_most`](PerOperation::with_most) says otherwise; operations that come
/// later share the gate of [`Operation::UNMATCHED`], as do all calls without a name. None is ever forgotten.
pub fn per_operation<F, G>(make: F) -> PerOperation<F, G>
where
    F: Fn(&Operation) -> G + Send + Sync + 'static,
{
    let most = const { NonZeroUsize::new(1000).expect("1,000 is not zero") };
    PerOperation { make, most, gates: RwLock::default() }
}

/// A gate that keeps one gate for each operation; see [`per_operation`].
pub struct PerOperation<F, G> {
    make: F,
    most: NonZeroUsize,
    gates: RwLock<HashMap<Operation, Arc<G>>>,
}

impl<F, G> PerOperation<F, G>
where
    F: Fn(&Operation) -> G + Send + Sync + 'static,
{
    /// The same with at most this many gates, that of the unmatched calls not counted.
    #[must_use]
    pub fn with_most(mut self, most: NonZeroUsize) -> Self {
        self.most = most;
        self
    }

    /// The same with a new state for each operation.
    #[must_use]
    pub fn fresh(&self) -> Self
    where
        F: Clone,
    {
        per_operation(self.make.clone()).with_most(self.most)
    }

    /// The gate of an operation, to read its state; nothing before its first call.
    pub fn gate(&self, operation: &Operation) -> Option<Arc<G>> {
        self.gates.read().unwrap_or_else(PoisonError::into_inner).get(operation).cloned()
    }

    fn gate_of(&self, operation: &Operation) -> Arc<G> {
        if let Some(gate) = self.gate(operation) {
            return gate;
        }
        let mut gates = self.gates.write().unwrap_or_else(PoisonError::into_inner);
        let named = gates.len() - usize::from(gates.contains_key(&Operation::UNMATCHED));
        let has_room = gates.contains_key(operation) || named < self.most.get();
        let operation = if has_room { operation } else { &Operation::UNMATCHED };
        let gate = gates.entry(operation.clone()).or_insert_with(|| Arc::new((self.make)(operation)));
        Arc::clone(gate)
    }
}

impl<F, G> fmt::Debug for PerOperation<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerOperation").field("most", &self.most).finish_non_exhaustive()
    }
}

impl<Req, Res, Err, F, G> Gate<Req, Res, Err> for PerOperation<F, G>
where
    Req: RequestParts,
    F: Fn(&Operation) -> G + Send + Sync + 'static,
    G: Gate<Req, Res, Err>,
{
    const REFUSES: bool = G::REFUSES;
    type Permit = (Arc<G>, G::Permit);

    fn admit(&self, request: &mut Req, now: &Now<'_>) -> Result<Self::Permit, Error> {
        let gate = self.gate_of(request.operation());
        let permit = gate.admit(request, now)?;
        Ok((gate, permit))
    }

    fn answer(&self, (gate, permit): &mut Self::Permit, outcome: &mut Result<Res, Err>, judgement: &Judgement) {
        gate.answer(permit, outcome, judgement);
    }

    fn finish(&self, (gate, permit): Self::Permit, end: &End<'_>) {
        gate.finish(permit, end);
    }
}
