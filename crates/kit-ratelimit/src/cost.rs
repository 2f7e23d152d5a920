//! What a request costs.

/// How many tokens a request costs. A closure `Fn(&Req) -> u32` says so for each: 0 is free, and passes even an empty bucket.
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
