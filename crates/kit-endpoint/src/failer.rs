//! Answers that carry a business error of their own, judged by it.

use kit_base::{Classify, Failure, Judgement, Kind, Request, Response, Shape};

/// An answer that may say by itself that the call has failed, as Go kit's do.
///
/// To callers such a call is a success. Guard it with [`Failing`], and breakers, metrics and logs judge it by what it
/// says.
pub trait Failer {
    /// The kind of failure that this answer reports; nothing if it is a success.
    fn failed(&self) -> Option<Kind>;
}

/// The judgement on answers that are [`Failer`]s: by what they say; errors by their kind.
///
/// ```
/// use kit_endpoint::base::{Classify, Guard, Monotonic, Verdict};
/// use kit_endpoint::{Error, Failer, Failing, Kind, Request, Response, finish_hook};
///
/// struct Reply { missing: bool }
///
/// impl Failer for Reply {
///     fn failed(&self) -> Option<Kind> {
///         self.missing.then_some(Kind::NotFound)
///     }
/// }
///
/// let outcome = Ok::<_, Error>(Response::new(Reply { missing: true }));
/// let judgement = Classify::<Request<u32>, _, _>::judge(&Failing, &outcome);
/// assert_eq!((judgement.verdict, judgement.kind), (Verdict::Caller, Some(Kind::NotFound)));
///
/// let guard = Guard::with(finish_hook(|call| println!("{:?}", call.judgement.kind)), Failing, Monotonic);
/// # let _ = guard;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Failing;

impl<T, S: Shape, Res: Failer, Err: Failure> Classify<Request<T, S>, Response<Res>, Err> for Failing {
    fn judge(&self, outcome: &Result<Response<Res>, Err>) -> Judgement {
        match outcome {
            Ok(answer) => answer.message().failed().map_or(Judgement::SUCCESS, Judgement::of_kind),
            Err(error) => Judgement::of(error),
        }
    }
}
