//! One gate at each place of gRPC: a failure of the backend trips it, in the head or after a message, and its refusal arrives
//! under the right code at a client that nobody here wrote.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use kit_base::{
    End, Endpoint, Error, FromService, Gate, Guard, Kind, Now, Operation, Origin, Request, Response, ServerStream,
    Streaming, Tower, Unary,
};
use kit_transport_grpc::{GrpcClient, GrpcServer, status_of};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower_layer::Layer as _;

use crate::generated::{HealthCheckRequest, HealthCheckResponse, HealthClient, Told, ask, channel, check};
use crate::support::{Running, serve_service};

/// Refuses everything once three calls in a row have failed.
#[derive(Default)]
struct Trip(AtomicU32);

impl<Req, Res, Err> Gate<Req, Res, Err> for Trip {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        if self.0.load(SeqCst) < 3 {
            return Ok(());
        }
        let error = Error::unavailable("tripped").with_retry_after(Duration::from_secs(7));
        Err(error.with_origin(Origin::LocalRefusal))
    }

    fn finish(&self, (): (), end: &End<'_>) {
        if end.judgement.is_failure() {
            self.0.fetch_add(1, SeqCst);
        } else {
            self.0.store(0, SeqCst);
        }
    }
}

fn trip() -> Guard<Trip> {
    Guard::new(Trip::default())
}

/// What the backend answers, and how many of five calls reach it.
const CASES: [(Code, usize); 5] =
    [(Code::Unavailable, 3), (Code::Internal, 3), (Code::NotFound, 5), (Code::InvalidArgument, 5), (Code::Ok, 5)];

/// Where the code is: in a head alone, or in trailers after a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum In {
    Head,
    Trailers,
}

/// Makes five calls for each case and each place of the code, against a new place each.
async fn five<P, C>(mut place: impl AsyncFnMut() -> (P, Arc<AtomicUsize>), call: C)
where
    C: AsyncFn(&P, In, Code) -> Result<(), Status>,
{
    for place_of_code in [In::Head, In::Trailers] {
        for (code, reached) in CASES {
            let (place, calls) = place().await;
            for n in 0..5 {
                let outcome = call(&place, place_of_code, code).await;
                let case = format!("call {n} with {code:?} in {place_of_code:?}: {outcome:?}");
                match outcome {
                    Ok(()) => assert!(code == Code::Ok && n < reached, "{case}"),
                    // Ours shows no text of what is internal.
                    Err(status) if n < reached => {
                        assert_eq!(status.code(), code, "{case}");
                        assert!(matches!(status.message(), "no" | "internal error"), "{case}");
                    }
                    Err(status) => is_refusal(&status),
                }
            }
            assert_eq!(calls.load(SeqCst), reached, "{code:?} in {place_of_code:?}");
        }
    }
}

fn is_refusal(status: &Status) {
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "tripped"));
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").expect("a push-back"), "7000");
    let retry = status.get_details_retry_info().expect("RetryInfo");
    assert_eq!(retry.retry_delay, Some(Duration::from_secs(7)));
}

/// What makes [`Told`] answer so.
fn telling(code: Code) -> HealthCheckRequest {
    ask(if code == Code::Ok { "ok".to_owned() } else { (code as i32).to_string() })
}

/// A call by the client that tonic has generated.
async fn by_tonic<S>(mut client: HealthClient<S>, place: In, code: Code) -> Result<(), Status>
where
    S: tonic::client::GrpcService<tonic::body::Body>,
    S::Error: Into<tonic::codegen::StdError>,
    S::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <S::ResponseBody as http_body::Body>::Error: Into<tonic::codegen::StdError> + Send,
{
    match place {
        In::Head => client.check(telling(code)).await.map(drop),
        In::Trailers => {
            let mut items = client.watch(telling(code)).await?.into_inner();
            while items.message().await?.is_some() {}
            Ok(())
        }
    }
}

/// The server of tonic, with the service that tonic has generated.
struct Backend {
    url: String,
    serving: AbortHandle,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn listen() -> (String, TcpListenerStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    (url, TcpListenerStream::new(listener))
}

async fn backend() -> (Backend, Arc<AtomicUsize>) {
    let told = Told::default();
    let (url, incoming) = listen().await;
    let serving = tokio::spawn(Server::builder().add_service(told.service()).serve_with_incoming(incoming));
    (Backend { url, serving: serving.abort_handle() }, told.calls)
}

#[tokio::test]
async fn over_our_server_as_a_whole() {
    let place = async || {
        let told = Told::default();
        let service = GrpcServer::new().add_service(told.service()).build().expect("a service");
        (serve_service(Tower::new(trip()).answered().layer(service)).await, told.calls)
    };
    five(place, async |server: &Running, place, code| {
        by_tonic(HealthClient::new(channel(&server.url())), place, code).await
    })
    .await;
}

/// Fails with the code that the request names: at once, or after a message.
struct Fails(Arc<AtomicUsize>);

impl Fails {
    fn fail(&self, request: &HealthCheckRequest) -> Result<HealthCheckResponse, Error> {
        self.0.fetch_add(1, SeqCst);
        match request.service.parse().ok().and_then(Kind::from_grpc_code) {
            None => Ok(HealthCheckResponse { status: 1 }),
            Some(kind) => Err(Error::new(kind, "no")),
        }
    }
}

impl Endpoint<Request<HealthCheckRequest>> for Fails {
    type Response = Response<HealthCheckResponse>;
    type Error = Error;

    async fn call(&self, request: Request<HealthCheckRequest>) -> Result<Self::Response, Error> {
        self.fail(request.message()).map(Response::new)
    }
}

impl Endpoint<Request<HealthCheckRequest, ServerStream>> for Fails {
    type Response = Response<Streaming<HealthCheckResponse>>;
    type Error = Error;

    async fn call(&self, request: Request<HealthCheckRequest, ServerStream>) -> Result<Self::Response, Error> {
        let items = [Ok(HealthCheckResponse { status: 0 }), self.fail(request.message())];
        Ok(Response::new(Streaming::new(tokio_stream::iter(items))))
    }
}

#[tokio::test]
async fn over_a_bound_endpoint() {
    let place = async || {
        let calls = Arc::new(AtomicUsize::new(0));
        let watch = Operation::new("grpc.health.v1.Health", "Watch");
        let server = GrpcServer::new()
            .endpoint::<Unary, _, _, _>(check(), trip().layer(Fails(calls.clone())))
            .endpoint::<ServerStream, _, _, _>(watch, trip().layer(Fails(calls.clone())));
        (serve_service(server.build().expect("a service")).await, calls)
    };
    five(place, async |server: &Running, place, code| {
        by_tonic(HealthClient::new(channel(&server.url())), place, code).await
    })
    .await;
}

#[tokio::test]
async fn over_the_server_of_tonic_with_ours_in_it() {
    let place = async || {
        let told = Told::default();
        let ours = GrpcServer::new().add_service(told.service()).build().expect("a service");
        let (url, incoming) = listen().await;
        let server = Server::builder()
            .layer(Tower::new(trip()).answered())
            .add_routes(Routes::from(axum::Router::new().fallback_service(ours)))
            .serve_with_incoming(incoming);
        (Backend { url, serving: tokio::spawn(server).abort_handle() }, told.calls)
    };
    five(place, async |server: &Backend, place, code| {
        by_tonic(HealthClient::new(channel(&server.url)), place, code).await
    })
    .await;
}

#[tokio::test]
async fn over_a_channel_under_a_client_of_tonic() {
    let place = async || {
        let (backend, calls) = backend().await;
        let channel = Tower::new(trip()).answered().layer(channel(&backend.url));
        ((backend, HealthClient::new(channel)), calls)
    };
    five(place, async |(_, client), place, code| by_tonic(client.clone(), place, code).await).await;
}

/// A call by our client, which takes the stream for a unary method: one message, then trailers.
async fn by_ours<S, B, E>(client: &GrpcClient<S>, place: In, code: Code) -> Result<(), Error>
where
    S: Endpoint<http::Request<tonic::body::Body>, Response = http::Response<B>, Error = kit_base::ServiceError<E>>
        + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<tonic::codegen::StdError>> + Send + 'static,
    E: Into<tonic::codegen::StdError> + Send,
{
    let method = match (place, code) {
        // A success of the stream would be two messages.
        (In::Head, _) | (_, Code::Ok) => "Check",
        (In::Trailers, _) => "Watch",
    };
    let call = client.endpoint(Operation::new("grpc.health.v1.Health", method));
    call.call(Request::new(telling(code))).await.map(|answer: Response<HealthCheckResponse>| drop(answer))
}

#[tokio::test]
async fn over_a_channel_under_our_client() {
    let place = async || {
        let (backend, calls) = backend().await;
        let channel = Tower::new(trip()).answered().layer(channel(&backend.url));
        let client = GrpcClient::with_service(&backend.url, channel).expect("a client");
        ((backend, client), calls)
    };
    five(place, async |(_, client), place, code| {
        by_ours(client, place, code).await.map_err(|error| status_of(&error).expect("a status").clone())
    })
    .await;
}

#[tokio::test]
async fn over_a_channel_as_an_endpoint_under_our_client() {
    for place in [In::Head, In::Trailers] {
        for (code, reached) in CASES {
            let (backend, calls) = backend().await;
            let guarded = trip().layer(FromService::new(channel(&backend.url)));
            let client = GrpcClient::over(&backend.url, guarded).expect("a client");
            for n in 0..5 {
                match by_ours(&client, place, code).await {
                    Ok(()) => assert_eq!(code, Code::Ok),
                    Err(error) if n < reached => assert_eq!(error.kind() as i32, code as i32),
                    Err(error) => {
                        // It never was a status, so it keeps what it is.
                        assert_eq!((error.kind(), error.message()), (Kind::Unavailable, "tripped"));
                        assert_eq!(error.origin(), Origin::LocalRefusal);
                        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
                    }
                }
            }
            assert_eq!(calls.load(SeqCst), reached, "{code:?} in {place:?}");
        }
    }
}

#[tokio::test]
async fn a_dead_backend_trips_the_gate_over_a_channel() {
    let url = {
        let (url, _closed) = listen().await;
        url
    };
    let channel = Tower::new(trip()).answered().layer(channel(&url));
    let client = GrpcClient::with_service(&url, channel).expect("a client");
    for n in 0..5 {
        let error = by_ours(&client, In::Head, Code::Ok).await.expect_err("nobody is there");
        assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
        match n {
            0..3 => assert_eq!(error.origin(), Origin::NotSent, "{error:?}"),
            _ => is_refusal(status_of(&error).expect("a status")),
        }
    }
}
