//! Where the key of a call is found.

use kit_base::{Operation, RequestParts};

/// What finds the key of a call: a closure `Fn(&Req) -> Option<K>`, or [`OperationKey`]. A call without one is not guarded.
#[diagnostic::on_unimplemented(
    message = "`{Self}` finds no key of type `{K}` in `{Req}`",
    note = "give a closure `|request: &{Req}| -> Option<{K}>`"
)]
pub trait KeyOf<Req, K>: Send + Sync + 'static {
    /// The key of this call.
    fn key_of(&self, request: &Req) -> Option<K>;
}

impl<Req, K, F> KeyOf<Req, K> for F
where
    F: Fn(&Req) -> Option<K> + Send + Sync + 'static,
{
    fn key_of(&self, request: &Req) -> Option<K> {
        self(request)
    }
}

/// The operation is the key.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OperationKey;

impl<Req: RequestParts> KeyOf<Req, Operation> for OperationKey {
    fn key_of(&self, request: &Req) -> Option<Operation> {
        Some(request.operation().clone())
    }
}
