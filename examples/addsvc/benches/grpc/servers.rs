//! The servers: the same service on bare tonic, and on kit.

use std::error::Error;
use std::io::Write as _;

use kit_serve::Server;
use kit_transport_grpc::GrpcServer;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

use crate::bare::AddServer;
use crate::service::{Summer, SumsEndpoints};

/// Their names, the one that the others are compared with first.
pub(crate) const NAMES: [&str; 3] = ["tonic", "kit", "tonic on kit-serve"];
pub(crate) const TONIC: usize = 0;
pub(crate) const KIT: usize = 1;

/// Serves on a free port, says which, and ends on SIGTERM.
pub(crate) fn serve(name: &str) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let stop = kit_serve::signal()?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        match name {
            "tonic" => {
                let server = tonic::transport::Server::builder().tcp_nodelay(true).add_service(AddServer::default());
                server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop).await?;
            }
            "kit" => {
                let service = SumsEndpoints::new(Summer).bind(GrpcServer::new()).build()?;
                Server::from_listener(listener)?.serve(service, stop).await;
            }
            "tonic on kit-serve" => {
                Server::from_listener(listener)?.serve(AddServer::default(), stop).await;
            }
            other => return Err(format!("no server {other:?}").into()),
        }
        Ok(())
    })
}
