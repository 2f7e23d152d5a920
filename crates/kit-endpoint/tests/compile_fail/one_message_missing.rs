//! `Locked` has no message: give every variant one, or none and write `Display` yourself

use kit_endpoint::Error;

#[derive(Debug, Error)]
enum UserError {
    #[kit(kind = NotFound, message = "no such user")]
    NoUser,
    #[kit(kind = PermissionDenied)]
    Locked, // here
    #[kit(other)]
    Other(Error),
}

fn main() {}
