//! unknown kind `Missing`: expected `Cancelled`, `Unknown`, `InvalidArgument`, `DeadlineExceeded`, `NotFound`, `AlreadyExists`, `PermissionDenied`, `ResourceExhausted`, `FailedPrecondition`, `Aborted`, `OutOfRange`, `Unimplemented`, `Internal`, `Unavailable`, `DataLoss` or `Unauthenticated`

use kit_endpoint::Error;

#[derive(Debug, Error)]
enum UserError {
    #[kit(kind = Missing, message = "no such user")] // here
    NoUser,
    #[kit(other)]
    Other(Error),
}

fn main() {}
