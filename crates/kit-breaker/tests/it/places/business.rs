//! A failure that only its user can see, in an answer 200.
