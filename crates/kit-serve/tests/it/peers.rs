//! The address of the client.

use std::convert::Infallible;

use http::Request;
use http_body_util::BodyExt;
use kit_base::Peer;
use kit_serve::RequestBody;
use tower::service_fn;

use crate::support::{GET, Raw, bind, get, http2, start, text};

#[tokio::test]
async fn each_request_carries_the_address_of_its_peer() {
    let server = start!(
        bind().await,
        service_fn(|request: Request<RequestBody>| async move {
            let peer = request.extensions().get::<Peer>().unwrap();
            assert!(request.extensions().get::<http::uri::Scheme>().is_none());
            Ok::<_, Infallible>(text(peer.addr.unwrap().to_string()))
        })
    );
    let mut raw = Raw::connect(server.addr).await;
    let own = raw.0.local_addr().unwrap().to_string();
    for _ in 0..2 {
        raw.send(GET).await;
        assert!(raw.response().await.ends_with(&own));
    }
    let mut client = http2(server.addr).await;
    let response = client.send_request(get(server.addr)).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(std::str::from_utf8(&body).unwrap().starts_with("127.0.0.1:"));
}
