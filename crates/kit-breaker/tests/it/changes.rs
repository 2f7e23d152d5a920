//! Settings and states that change while it runs.
