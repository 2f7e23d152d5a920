//! Both sides against clients and servers that no one here wrote.

mod client;
mod server;
mod tools;
