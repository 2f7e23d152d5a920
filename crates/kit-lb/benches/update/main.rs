//! What a change of the set costs, and an instance that nobody calls.
fn main() {}
