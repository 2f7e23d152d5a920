//! At most so many calls at a time, and a queue before them.
