//! Counting in a program without the counting allocator. What is counted with it stands in the test binary `alloc`.

use kit_testing::alloc::count;

#[test]
#[should_panic(expected = "allocations are not counted in this program: put `#[global_allocator]")]
fn a_program_without_the_allocator_is_told_what_to_install() {
    count(|| ());
}
