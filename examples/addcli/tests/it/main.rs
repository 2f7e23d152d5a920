//! The built addcli against addsvc, and a deadline that it sends through two services.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chain;
mod command;

use std::net::SocketAddr;
use std::process::{Command, Output};

use addsvc::{Add, http_service};
use kit_serve::Server;

/// Serves addsvc by this implementation, until the test ends.
async fn serve(service: impl Add) -> SocketAddr {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr();
    tokio::spawn(server.serve(http_service(service, ()).unwrap(), std::future::pending::<()>()));
    addr
}

/// Runs addcli to its end.
async fn addcli<const N: usize>(addr: SocketAddr, args: [&str; N]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_addcli"));
    command.arg("--http-addr").arg(addr.to_string()).args(args);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Exit code, standard output and standard error.
fn told(output: &Output) -> (Option<i32>, &str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
