//! What a guarded call allocates: nothing.

fn main() {}
