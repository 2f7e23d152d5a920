//! The built addcli against addsvc, and deadlines that it sends through two services, and three.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod breaker;
mod chain;
mod command;
mod hops;

use std::net::SocketAddr;
use std::process::{Command, Output};

use addsvc::{Add, AddEndpoints, grpc_server, http_server};
use kit_serve::Server;

/// Where a service is, and the flag that tells addcli so.
#[derive(Clone, Copy, Debug)]
struct At(&'static str, SocketAddr);

impl At {
    fn url(self) -> String {
        format!("http://{}", self.1)
    }
}

/// Serves addsvc over HTTP by this implementation, until the test ends.
async fn serve(service: impl Add) -> At {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let at = At("--http-addr", server.local_addr());
    let service = AddEndpoints::new(service).bind(http_server(())).build().unwrap();
    tokio::spawn(server.serve(service, std::future::pending::<()>()));
    at
}

/// The same over gRPC.
async fn serve_grpc(service: impl Add) -> At {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let at = At("--grpc-addr", server.local_addr());
    let service = AddEndpoints::new(service).bind(grpc_server(())).build().unwrap();
    tokio::spawn(server.serve(service, std::future::pending::<()>()));
    at
}

/// Runs addcli to its end.
async fn addcli<const N: usize>(At(flag, addr): At, args: [&str; N]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_addcli"));
    command.arg(flag).arg(addr.to_string()).args(args);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Exit code, standard output and standard error.
fn told(output: &Output) -> (Option<i32>, &str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
