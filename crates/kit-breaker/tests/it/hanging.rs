//! A backend that hangs.
