//! Go kit's shapes: any limiter that says yes or no, and any that lets calls wait.

mod allowing;
mod by_governor;
mod waiting;
