//! unknown option `text`: expected `kind`, `message`, `reason` or `other`

use kit_endpoint::Error;

#[derive(Debug, Error)]
enum UserError {
    #[kit(kind = NotFound, text = "no such user")] // here
    NoUser,
    #[kit(other)]
    Other(Error),
}

fn main() {}
