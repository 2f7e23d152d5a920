//! The published behaviour of gobreaker, step by step.
