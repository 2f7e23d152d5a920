//! The four shapes of an RPC, and what each means for when its outcome is known.

use http::header::CONTENT_LENGTH;
use http_body::Body;

use crate::{HeldBody, Hold, Request, Response, Streaming};

mod sealed {
    pub trait Sealed {}
}

/// The shape of an RPC: which sides send a stream.
pub trait Shape: sealed::Sealed + Send + Sync + 'static {}

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub struct $name;

        impl sealed::Sealed for $name {}
        impl Shape for $name {}
    )*};
}

shapes! {
    /// One message each way.
    Unary,
    /// One message there, a stream back.
    ServerStream,
    /// A stream there, one message back.
    ClientStream,
    /// A stream each way, independent of each other.
    Bidi
}

/// A request whose call can be guarded: it knows when an answer of type `Res` is over.
///
/// A [`Unary`] call is over with its answer. A call that streams is over with the last frame or item, and what guards
/// it rides in the answer until then. Implement it for request types of your own as [`Unary`] does: [`Held`](Self::Held)
/// is `Res`, [`hold`](Self::hold) gives it back.
#[diagnostic::on_unimplemented(
    message = "a call with a request of type `{Self}` and an answer of type `{Res}` cannot be guarded",
    label = "not a guardable request",
    note = "endpoints take `kit_base::Request<T>` (answering `kit_base::Response<U>`, or `Response<Streaming<U>>` for the streaming shapes) or `http::Request<B>` (answering `http::Response<B>`)"
)]
pub trait Call<Res>: Send {
    /// The answer with a hold riding in it.
    type Held<T: Hold>: Send;

    /// Whether this answer goes on after the call has returned.
    fn streams(answer: &Res) -> bool;

    /// Puts a hold into an answer that streams; there is none for one that does not.
    fn hold<T: Hold>(answer: Res, hold: Option<T>) -> Self::Held<T>;
}

macro_rules! answers_at_once {
    ($($shape:ident),*) => {$(
        impl<T: Send, Res: Send> Call<Res> for Request<T, $shape> {
            type Held<H: Hold> = Res;

            #[inline(always)]
            fn streams(_: &Res) -> bool {
                false
            }

            #[inline(always)]
            fn hold<H: Hold>(answer: Res, hold: Option<H>) -> Res {
                // There is none, and said so the compiler sees it; a drop of the option at the end would be a call.
                if let Some(hold) = hold {
                    drop(hold);
                }
                answer
            }
        }
    )*};
}

macro_rules! answers_by_stream {
    ($($shape:ident),*) => {$(
        impl<T: Send, U: Send + 'static> Call<Response<Streaming<U>>> for Request<T, $shape> {
            type Held<H: Hold> = Response<Streaming<U>>;

            fn streams(_: &Response<Streaming<U>>) -> bool {
                true
            }

            fn hold<H: Hold>(answer: Response<Streaming<U>>, hold: Option<H>) -> Response<Streaming<U>> {
                match hold {
                    Some(hold) => answer.map(|stream| stream.held_by(hold)),
                    None => answer,
                }
            }
        }
    )*};
}

answers_at_once!(Unary, ClientStream);
answers_by_stream!(ServerStream, Bidi);

impl<B: Send, B2: Body + Send> Call<http::Response<B2>> for http::Request<B> {
    type Held<H: Hold> = http::Response<HeldBody<B2, H>>;

    fn streams(answer: &http::Response<B2>) -> bool {
        !answer.body().is_end_stream()
    }

    fn hold<H: Hold>(answer: http::Response<B2>, hold: Option<H>) -> http::Response<HeldBody<B2, H>> {
        let length = answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        answer.map(|body| HeldBody::new(body, hold, length))
    }
}
