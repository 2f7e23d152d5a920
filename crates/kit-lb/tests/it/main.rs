//! Tests of kit-lb, through its public interface.

mod allocations;
mod balanced;
mod shares;
mod support;
mod swaps;

use kit_testing::alloc::{self, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = alloc::counting();
