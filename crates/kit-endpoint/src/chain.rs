//! Several layers as one.

/// A tuple of layers as one layer, the first outermost: it sees the request first and the answer last.
///
/// A tuple of up to 16 layers is a [`Layer`](crate::Layer) by itself; this gives it Go kit's name. A tuple of gates is
/// cheaper still, as one [`Guard`](kit_base::Guard): it is one future, and reads the clock once for all of them.
///
/// ```
/// use std::time::Duration;
/// use kit_endpoint::base::Guard;
/// use kit_endpoint::{DeadlineLayer, chain, finish_hook};
///
/// let server = chain((
///     Guard::new(finish_hook(|call| println!("{} took {:?}", call.operation, call.duration))),
///     DeadlineLayer::new().with_default(Duration::from_secs(5))?,
/// ));
/// # let _ = server;
/// # Ok::<(), kit_endpoint::ZeroLimit>(())
/// ```
#[must_use]
pub const fn chain<L>(layers: L) -> L {
    layers
}
