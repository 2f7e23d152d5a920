//! Another answer for a call that failed.
