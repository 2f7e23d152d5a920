//! The connections of a client: how they are made, end, and are found dead.

mod dead;
pub(crate) mod ends;
mod flow;
pub(crate) mod host;
mod limits;
mod making;
mod quiet;
mod storms;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use kit_base::{Endpoint, Error, Operation, Request, Response};
use kit_transport_grpc::{Connected, Connections, GrpcClient, Prost};

use crate::peers::Peer;

/// `Echo` of the peers, as far as these tests need it.
#[derive(Clone, PartialEq, prost::Message)]
struct Asked {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint32, tag = "3")]
    delay_ms: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Told {
    #[prost(string, tag = "1")]
    text: String,
}

/// The endpoint that calls `Echo` of a peer over these connections, without a limit of time.
fn echo_of(peer: &Peer, connections: Connections) -> Connected<Connections, Prost, Asked, Told> {
    let client = GrpcClient::with_connections(format!("http://{}", peer.addr()), connections).unwrap();
    client.timeout(None).endpoint(Operation::new("kit.probe.v1.Probe", "Echo"))
}

/// A call that is answered after so long: by which connection, as the peer names it.
async fn after<E>(delay: Duration, echo: &E) -> Result<String, Error>
where
    E: Endpoint<Request<Asked>, Response = Response<Told>, Error = Error>,
{
    let delay_ms = u32::try_from(delay.as_millis()).unwrap();
    let reply = echo.call(Request::new(Asked { text: "still here".into(), delay_ms })).await?;
    assert_eq!(reply.message().text, "still here");
    let headers = &reply.parts().unwrap().headers;
    Ok(headers["x-probe-peer"].to_str().unwrap().to_owned())
}
