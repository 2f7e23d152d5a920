//! The law checker: on broken layers, on their correct twins, and on what others wrote.

mod broken;
mod deep;
mod others;
mod places;
mod report;
