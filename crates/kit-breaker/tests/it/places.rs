//! The five places where users put it.
