//! Results that come late.
