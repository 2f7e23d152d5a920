//! The law checker: on broken layers, on their correct twins, and on what others wrote.

mod smoke;
