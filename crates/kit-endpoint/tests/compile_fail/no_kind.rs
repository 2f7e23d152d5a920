//! `NoUser` has no kind: say `#[kit(kind = NotFound)]`, or whichever it is

use kit_endpoint::Error;

#[derive(Debug, Error)]
enum UserError {
    NoUser, // here
    #[kit(other)]
    Other(Error),
}

fn main() {}
