//! Time, to the tick.
