//! Tests of kit-lb, through its public interface.

mod allocations;
mod balanced;
mod connections;
mod http;
mod laws;
mod random;
mod registry;
mod shares;
mod support;
mod swaps;
mod tonic;
mod unsent;
mod waiting;
mod whole;

use kit_testing::alloc::{self, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = alloc::counting();
