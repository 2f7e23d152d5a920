//! What an instance costs that nobody calls.

use kit_base::Instancer;
use kit_lb::{Endpointer, Fixed};
use stats_alloc::INSTRUMENTED_SYSTEM;

use crate::{connect, equal, instances, runtime};

pub(crate) fn print(count: usize) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let empty = held();
    let fixed = Fixed::new(instances(count, equal));
    let discovered = held() - empty;
    let set = Endpointer::new(fixed.clone(), connect);
    let all = held() - empty;
    let each = |bytes: usize| bytes as f64 / count as f64;
    println!("| {count} idle instances | bytes each |\n|---|--:|");
    println!("| as discovery tells of them | {:.0} |", each(discovered));
    println!("| in a set, without the size of a connection | {:.0} |", each(all - discovered));
    println!("| together | {:.0} |\n", each(all));
    drop((set, fixed.subscribe()));
}

/// The bytes that the program holds.
fn held() -> usize {
    let stats = INSTRUMENTED_SYSTEM.stats();
    (stats.bytes_allocated as isize + stats.bytes_reallocated - stats.bytes_deallocated as isize) as usize
}
