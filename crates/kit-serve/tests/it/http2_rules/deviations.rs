//! The rules that h2, the library below, keeps differently, each with the reason why that is bearable.
