//! The next set from the last one and what discovery says now.

use std::sync::Arc;

use kit_base::{Instance, InstanceSet};

use crate::record::Live;
use crate::set::{Chunk, Entry, Set};

/// Makes the chunks of the new set. What has not changed is shared with the old one, whole chunks at a time where
/// discovery shares them; an instance that is still the same keeps its connection and record, whatever else is said of it.
/// `make` connects new ones, and with `retry` also those whose connection could not be made before.
pub(crate) fn merge<C, K>(
    old: &Set<C, K>,
    new: &InstanceSet,
    retry: bool,
    mut make: impl FnMut(&Instance) -> Option<Live<C, K>>,
    mut gone: impl FnMut(&Instance),
) -> Vec<Arc<Chunk<C, K>>> {
    let mut cursor = Cursor { chunks: old.chunks(), entry: 0 };
    let mut chunks = Vec::with_capacity(new.chunks().len());
    for source in new.chunks() {
        if let Some(first) = source.first() {
            cursor.pass(first, &mut gone);
        }
        if let Some(chunk) = cursor.same(source).filter(|chunk| !retry || chunk.failed == 0) {
            chunks.push(Arc::clone(chunk));
            cursor.next_chunk();
            continue;
        }
        let entries = source.iter().map(|instance| {
            cursor.pass(instance, &mut gone);
            let live = match cursor.take(instance) {
                Some(held) if is_same(&held.instance, instance) => {
                    held.live.clone().or_else(|| retry.then(|| make(instance)).flatten())
                }
                _ => make(instance),
            };
            Entry { instance: Arc::clone(instance), live }
        });
        chunks.push(Arc::new(Chunk::new(source, entries.collect())));
    }
    while let Some(entry) = cursor.peek() {
        gone(&entry.instance);
        cursor.advance();
    }
    chunks
}

/// Whether both are reached in the same way, so that a connection to one is one to the other.
pub(crate) fn is_same(old: &Arc<Instance>, new: &Arc<Instance>) -> bool {
    fn way(instance: &Instance) -> (&str, Option<&str>, Option<&str>) {
        let Instance { address, scheme, server_name, .. } = instance;
        (address, scheme.as_deref(), server_name.as_deref())
    }
    Arc::ptr_eq(old, new) || way(old) == way(new)
}

/// Goes through the entries of the old set, in the order of their ids.
struct Cursor<'a, C, K> {
    chunks: &'a [Arc<Chunk<C, K>>],
    entry: usize,
}

impl<'a, C, K> Cursor<'a, C, K> {
    fn peek(&self) -> Option<&'a Entry<C, K>> {
        self.chunks.first()?.entries.get(self.entry)
    }

    fn advance(&mut self) {
        self.entry += 1;
        if self.chunks.first().is_some_and(|chunk| self.entry >= chunk.entries.len()) {
            self.next_chunk();
        }
    }

    fn next_chunk(&mut self) {
        self.chunks = self.chunks.get(1..).unwrap_or_default();
        self.entry = 0;
    }

    /// Passes what comes before this instance, and so is gone.
    fn pass(&mut self, until: &Arc<Instance>, gone: &mut impl FnMut(&Instance)) {
        while let Some(entry) = self.peek().filter(|entry| !Arc::ptr_eq(&entry.instance, until)) {
            if entry.instance.id >= until.id {
                break;
            }
            gone(&entry.instance);
            self.advance();
        }
    }

    /// The entry of this instance, if that is next.
    fn take(&mut self, instance: &Arc<Instance>) -> Option<&'a Entry<C, K>> {
        let is_it = |entry: &&Entry<C, K>| Arc::ptr_eq(&entry.instance, instance) || entry.instance.id == instance.id;
        let entry = self.peek().filter(is_it)?;
        self.advance();
        Some(entry)
    }

    /// The chunk that comes next, if it was made from this very one.
    fn same(&self, source: &Arc<[Arc<Instance>]>) -> Option<&'a Arc<Chunk<C, K>>> {
        self.chunks.first().filter(|chunk| self.entry == 0 && Arc::ptr_eq(&chunk.source, source))
    }
}
