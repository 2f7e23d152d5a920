//! `Other` and `Rest` are both `other`: keep one

use kit_endpoint::Error;

#[derive(Debug, Error)]
enum AddError {
    #[kit(other)]
    Other(Error),
    #[kit(other)] // here
    Rest(Error),
}

fn main() {}
