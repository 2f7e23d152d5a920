//! Its refusal, at clients that no one here wrote.
