//! Instructions a request.

use std::error::Error;

use crate::figures::difference;
use crate::load::Connections;
use crate::subject::{self, Serving};

/// What the server's process needs for a request.
pub(crate) fn server(name: &str) -> Result<f64, Box<dyn Error>> {
    difference(|requests, file| {
        let server = Serving::start(name, Some(file))?;
        Connections::open(server.addr, 1)?.requests(requests)?;
        server.stop()
    })
}

/// What the client's process needs for a call.
pub(crate) fn client(name: &str) -> Result<f64, Box<dyn Error>> {
    let server = Serving::start("hyper", None)?;
    difference(|calls, file| subject::call(name, server.addr, calls, Some(file)))
}
