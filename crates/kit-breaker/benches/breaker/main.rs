//! What a guarded call and a refusal cost.

fn main() {}
