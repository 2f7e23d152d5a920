//! `AddError` has no variant for other errors: add `#[kit(other)] Other(kit_endpoint::base::Error)`

#[derive(Debug, kit_endpoint::Error)]
enum AddError { // here
    #[kit(kind = InvalidArgument, message = "can't sum two zeroes")]
    TwoZeroes,
}

fn main() {}
