//! Another answer for a call that failed.

mod answer;
mod body;
mod endpoint;
mod falling;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use kit_base::{Observer, Standard};
use tower_layer::Layer;

pub use answer::{Alternative, Keeping, Plain, Substitute};
pub use body::FallbackBody;
pub use endpoint::WithFallback;

/// Another answer for a call that failed: one from a cache, a default, one that says less.
///
/// It is asked for each outcome that is neither a success nor the caller's own doing: failures, overload, time that has
/// passed, and what a breaker or a bulkhead inside of it has refused. It gets the failed outcome, and gives the outcome of
/// the call: another answer, another error, or the same again.
///
/// ```
/// use kit_base::{Endpoint, Error, Guard, Kind, Request, Response};
/// use kit_breaker::{Breaker, Fallback, Layer};
///
/// struct Prices;
///
/// impl Endpoint<Request<String>> for Prices {
///     type Response = Response<u32>;
///     type Error = Error;
///
///     async fn call(&self, item: Request<String>) -> Result<Response<u32>, Error> {
///         match item.message().as_str() {
///             "" => Err(Error::invalid_argument("no item is named")),
///             _ => Err(Error::unavailable("the price server is away")),
///         }
///     }
/// }
///
/// #[tokio::main(flavor = "current_thread")] // in a program, as you like
/// async fn main() {
///     let last_known = Fallback::new(|_: Result<Response<u32>, Error>| async { Ok(Response::new(42)) });
///     // Outside of the breaker: what that refuses is answered too.
///     let prices = last_known.layer(Guard::new(Breaker::default()).layer(Prices));
///
///     // The caller's own mistakes are the caller's to know.
///     let error = prices.call(Request::new(String::new())).await.unwrap_err();
///     assert_eq!(error.kind(), Kind::InvalidArgument);
///
///     for _ in 0..10 {
///         let price = prices.call(Request::new("tea".to_owned())).await;
///         assert_eq!(price.unwrap().into_message(), 42);
///     }
/// }
/// ```
///
/// Where it needs something of the request, that is [kept](Self::keeping) from it before the call.
///
/// # Over HTTP
///
/// An answer can be a failed outcome there: a 503, or a `grpc-status` in the head. Its body may be of a type that has no
/// simple name, with a guard inside; that of the fallback is of any type that you like.
///
/// ```
/// use axum::{Router, body::Body, http, routing::get};
/// use kit_base::{Guard, Tower};
/// use kit_breaker::{Breaker, Fallback};
/// use tower::ServiceExt;
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() {
///     let fallback = Fallback::new(|_: Result<http::Response<_>, _>| async {
///         Ok(http::Response::new(Body::from("the news of yesterday")))
///     });
///     let router = Router::new()
///         .route("/news", get(|| async { http::StatusCode::SERVICE_UNAVAILABLE }))
///         .layer(Tower::new((fallback, Guard::new(Breaker::default()))).answered());
///
///     let answer = router.oneshot(http::Request::get("/news").body(Body::empty()).unwrap()).await.unwrap();
///     assert_eq!(answer.status(), 200);
///     let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
///     assert_eq!(body, "the news of yesterday");
/// }
/// ```
///
/// With the body of the failed answer put into the type of the other one's, that answer can be given after all. Here it is
/// for a `reqwest::Client`:
///
/// ```
/// use kit_base::{Endpoint, FromHttpService, Guard};
/// use kit_breaker::{Breaker, Fallback, Layer};
///
/// let client = Guard::new(Breaker::default()).layer(FromHttpService::new(reqwest::Client::new()));
/// let client = Fallback::new(|failed: Result<http::Response<_>, _>| async {
///     match failed {
///         Ok(answer) if answer.status() != 503 => Ok(answer.map(reqwest::Body::wrap)),
///         _ => Ok(http::Response::new(reqwest::Body::from("as it was yesterday"))),
///     }
/// })
/// .layer(client);
/// let call = client.call(http::Request::get("http://news.example/").body("").unwrap());
/// # drop(call);
/// ```
///
/// *Streams* are judged by their head: what fails after that reaches the reader, who has seen a part of it already. Over a tonic
/// channel each answer is a stream, and one that failed before its first message mostly has its `grpc-status` in the head.
///
/// *Cancellation:* who drops the future drops the call, or the fallback, whichever runs; nothing is asked for those who left.
///
/// *Panics* are no outcome, and pass; innermost, [`catch_panic`](kit_base::catch_panic) makes an `Internal` error of one. One
/// in the fallback passes too.
///
/// *Readiness:* on the tower face it is ready at once, so that it answers although the service hangs or cannot be reached.
/// Whether it hangs it does not know: that is for a deadline inside of it.
///
/// It holds no state: there is nothing to share.
///
/// # Errors
///
/// Those of the fallback, unchanged; and the caller's own, which it is not asked about.
///
/// # Events
///
/// Source `fallback`, key the [name](Self::named): `answered`, and `failed` where it gave an error.
///
/// # Source
///
/// Hystrix' `getFallback` (which is not asked about a `HystrixBadRequestException` either), and resilience4j's decorators
/// `withFallback`.
#[doc(alias("getFallback", "Hystrix", "withFallback"))]
pub struct Fallback<A, C = Standard, O = ()> {
    alternative: Arc<A>,
    classify: Arc<C>,
    name: Cow<'static, str>,
    observer: Arc<O>,
}

impl<F> Fallback<Plain<F>> {
    /// Asks this closure, which gets the failed outcome.
    ///
    /// Say the type of the answer where the compiler cannot know it from the endpoint: `|failed: Result<Answer, Error>|`. One that
    /// gives another type than the endpoint does leaves it without a `call`.
    pub fn new<Res, Err, Alt, Fut>(answer: F) -> Self
    where
        F: Fn(Result<Res, Err>) -> Fut,
        Fut: Future<Output = Result<Alt, Err>>,
    {
        Self::of(Plain(answer))
    }
}

impl<K, F> Fallback<Keeping<K, F>> {
    /// Keeps something of each request, and asks a closure that gets it along with the failed outcome.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use kit_base::{Endpoint, Error, Request};
    /// use kit_breaker::{Fallback, Layer};
    ///
    /// # struct Away;
    /// # impl Endpoint<Request<String>> for Away {
    /// #     type Response = u32;
    /// #     type Error = Error;
    /// #     async fn call(&self, _: Request<String>) -> Result<u32, Error> { Err(Error::unavailable("away")) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let known = HashMap::from([("tea".to_owned(), 42)]);
    /// let prices = Fallback::keeping(
    ///     |item: &Request<String>| item.message().clone(),
    ///     move |item: String, failed: Result<u32, Error>| {
    ///         let price = known.get(&item).copied();
    ///         async move { price.map_or(failed, Ok) }
    ///     },
    /// )
    /// .layer(Away);
    /// assert_eq!(prices.call(Request::new("tea".to_owned())).await.unwrap(), 42);
    /// assert_eq!(prices.call(Request::new("coffee".to_owned())).await.unwrap_err().message(), "away");
    /// # }
    /// ```
    pub fn keeping<Req, Kept, Res, Err, Alt, Fut>(keep: K, answer: F) -> Self
    where
        K: Fn(&Req) -> Kept,
        F: Fn(Kept, Result<Res, Err>) -> Fut,
        Fut: Future<Output = Result<Alt, Err>>,
    {
        Self::of(Keeping(keep, answer))
    }
}

impl<A> Fallback<A> {
    fn of(alternative: A) -> Self {
        Self {
            alternative: Arc::new(alternative),
            classify: Arc::new(Standard),
            name: Cow::Borrowed(""),
            observer: Arc::new(()),
        }
    }
}

impl<A, C, O> Fallback<A, C, O> {
    /// The same, where this says of outcomes what they are: it is asked about all but `Success` and `Caller`. A closure
    /// `|outcome: &Result<Res, Err>| -> Judgement` is a [`Classify`](kit_base::Classify) too.
    pub fn judged_by<D>(self, classify: D) -> Fallback<A, D, O> {
        let Self { alternative, name, observer, .. } = self;
        Fallback { alternative, classify: Arc::new(classify), name, observer }
    }

    /// The same with this name: the key of its events.
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The same, telling this observer what it does.
    pub fn observed_by<P: Observer>(self, observer: P) -> Fallback<A, C, P> {
        let Self { alternative, classify, name, .. } = self;
        Fallback { alternative, classify, name, observer: Arc::new(observer) }
    }

    /// The name; empty unless [named](Self::named).
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<A, C, O> Clone for Fallback<A, C, O> {
    fn clone(&self) -> Self {
        Self {
            alternative: Arc::clone(&self.alternative),
            classify: Arc::clone(&self.classify),
            name: self.name.clone(),
            observer: Arc::clone(&self.observer),
        }
    }
}

impl<A, C, O> fmt::Debug for Fallback<A, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<E, A, C, O> Layer<E> for Fallback<A, C, O> {
    type Service = WithFallback<E, A, C, O>;

    fn layer(&self, inner: E) -> WithFallback<E, A, C, O> {
        WithFallback::new(inner, self.clone())
    }
}
