//! `NoUser` has no field `name` for its message

use kit_endpoint::Error;

#[derive(Debug, Error)]
enum UserError {
    #[kit(kind = NotFound, message = "no user {name}")] // here
    NoUser { id: u64 },
    #[kit(other)]
    Other(Error),
}

fn main() {}
