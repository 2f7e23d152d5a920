//! What a guarded call allocates: nothing.

mod bulkhead;

use kit_testing::alloc::{self, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = alloc::counting();

fn main() {
    bulkhead::check();
}
