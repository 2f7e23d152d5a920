//! What a request costs.

/// How many tokens a request costs. A closure `Fn(&Req) -> u32` says so for each: 0 is free, and passes even an empty bucket. What
/// costs more than the burst never passes.
///
/// ```
/// use axum::{Router, body::Body, extract::Request, routing::get};
/// use kit_ratelimit::{Guard, Quota, RateLimit, Tower, nonzero};
/// # use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// // A search costs ten, a look at the health nothing, and the rest one.
/// let cost = |request: &Request| match request.uri().path() {
///     "/search" => 10,
///     "/health" => 0,
///     _ => 1,
/// };
/// let limit = Guard::new(RateLimit::new(Quota::per_hour(nonzero!(15))).costing(cost));
/// let app: Router = Router::new()
///     .route("/search", get(async || "found"))
///     .route("/health", get(async || "well"))
///     .layer(Tower::new(limit).answered());
///
/// let call = async |path| app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap().status();
/// assert_eq!(call("/search").await, 200);
/// assert_eq!(call("/search").await, 429);
/// assert_eq!(call("/health").await, 200);
/// # }
/// ```
///
/// Such a closure is given to `costing`, of [`RateLimit`](crate::RateLimit::costing), [`Keyed`](crate::Keyed::costing) and
/// [`Delay`](crate::Delay::costing).
pub trait Cost<Req>: Send + Sync + 'static {
    /// The cost of this request.
    fn cost_of(&self, request: &Req) -> u32;
}

impl<Req, F: Fn(&Req) -> u32 + Send + Sync + 'static> Cost<Req> for F {
    fn cost_of(&self, request: &Req) -> u32 {
        self(request)
    }
}

/// Each request costs one token.
#[derive(Clone, Copy, Debug, Default)]
pub struct One;

impl<Req> Cost<Req> for One {
    #[inline]
    fn cost_of(&self, _: &Req) -> u32 {
        1
    }
}
