//! Half-open: exactly so many probes, under races and drops.
