//! What a guarded call allocates: nothing.

mod bulkhead;
mod keyed;

use kit_testing::alloc::{self, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = alloc::counting();

fn main() {
    keyed::a_call_under_a_known_key_allocates_nothing();
    bulkhead::check();
}
