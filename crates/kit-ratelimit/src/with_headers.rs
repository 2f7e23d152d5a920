//! A limit that tells on each answer what is left.

use std::ops::Deref;

use http::HeaderMap;
use kit_base::{End, Error, Gate, Judgement, Now, Response};

use crate::bucket::Look;
use crate::{Standing, headers};

mod sealed {
    pub trait Sealed {}
    impl<C, O> Sealed for crate::RateLimit<C, O> {}
    impl<K, F, C, O> Sealed for crate::Keyed<K, F, C, O> {}
}

/// A limit that can say how a call found it. Sealed.
pub trait Measure<Req>: sealed::Sealed + Send + Sync + 'static {
    #[doc(hidden)]
    type Permit: Send + 'static;

    #[doc(hidden)]
    fn measure(&self, request: &mut Req, now: &Now<'_>) -> Result<(Self::Permit, Option<Look>), Error>;

    #[doc(hidden)]
    fn settle(&self, permit: Self::Permit, end: &End<'_>);

    #[doc(hidden)]
    fn name(&self) -> &str;
}

/// A limit that puts the `RateLimit` headers on answers too; see [`RateLimit::with_headers`](crate::RateLimit::with_headers).
///
/// It is a gate where the answer is an [`http::Response`] or a [`kit_base::Response`]: headers over HTTP, metadata over gRPC.
/// Several such limits speak in one list, the innermost first.
///
/// ```
/// use axum::{Router, body::Body, extract::Request, routing::get};
/// use kit_ratelimit::{Guard, Quota, RateLimit, Tower, nonzero};
/// # use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let limit = Guard::new(RateLimit::new(Quota::per_hour(nonzero!(5))).named("hourly").with_headers());
/// let app: Router = Router::new().route("/", get(async || "hello")).layer(Tower::new(limit.clone()).answered());
/// let answer = app.oneshot(Request::new(Body::empty())).await.unwrap();
/// assert_eq!(answer.status(), 200);
/// assert_eq!(answer.headers()["ratelimit-policy"], r#""hourly";q=5;w=3600"#);
/// assert_eq!(answer.headers()["ratelimit"], r#""hourly";r=4;t=720"#);
///
/// // It is the limit still.
/// assert_eq!(limit.gate().quota(), Quota::per_hour(nonzero!(5)));
/// # }
/// ```
#[derive(Debug)]
pub struct WithHeaders<L>(L);

impl<L> WithHeaders<L> {
    pub(crate) const fn new(limit: L) -> Self {
        Self(limit)
    }
}

/// The limit itself, to look at or to change.
impl<L> Deref for WithHeaders<L> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.0
    }
}

macro_rules! on_answers {
    ($response:ty, [$($body:ident)?], |$answer:ident| $headers:expr) => {
        impl<Req, $($body,)? Err, L: Measure<Req>> Gate<Req, $response, Err> for WithHeaders<L> {
            type Permit = (L::Permit, Option<Standing>);

            fn admit(&self, request: &mut Req, now: &Now<'_>) -> Result<Self::Permit, Error> {
                self.0.measure(request, now).map(|(permit, look)| (permit, look.map(Look::standing)))
            }

            fn answer(&self, permit: &mut Self::Permit, outcome: &mut Result<$response, Err>, _: &Judgement) {
                if let (Some(standing), Ok($answer)) = (permit.1, outcome) {
                    let headers: &mut HeaderMap = $headers;
                    headers::write(self.0.name(), standing, headers);
                }
            }

            fn finish(&self, permit: Self::Permit, end: &End<'_>) {
                self.0.settle(permit.0, end);
            }
        }
    };
}

on_answers!(http::Response<B>, [B], |answer| answer.headers_mut());
on_answers!(Response<T>, [T], |answer| &mut answer.parts_mut().headers);
