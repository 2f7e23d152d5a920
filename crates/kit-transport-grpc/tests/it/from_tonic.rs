//! A method of a generated client as an endpoint.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use kit_base::{
    Context, Deadline, Endpoint, Error, Gate, Guard, Kind, Now, Operation, Origin, PassOn, Request, Response,
    ServerStream, Streaming, Tower,
};
use kit_transport_grpc::{FromTonic, GrpcClient, GrpcServer, status_of};
use tokio::net::TcpListener;
use tonic::transport::Channel;

use crate::generated::{HealthCheckRequest, HealthCheckResponse, HealthClient, Told, ask, channel, check};
use crate::support::{HANGS, Running, by, serve};

const SHORT: Duration = Duration::from_millis(200);

/// `Check` of the service behind this channel.
fn checking(
    channel: Channel,
) -> impl Endpoint<Request<HealthCheckRequest>, Response = Response<HealthCheckResponse>, Error = Error> {
    let client = HealthClient::new(channel);
    FromTonic::new(check(), client, |mut client, request| async move { client.check(request).await })
}

/// `Watch` of the service behind this channel.
fn watching(
    channel: Channel,
) -> impl Endpoint<
    Request<HealthCheckRequest, ServerStream>,
    Response = Response<Streaming<HealthCheckResponse>>,
    Error = Error,
> {
    let operation = Operation::new("grpc.health.v1.Health", "Watch");
    let client = HealthClient::new(channel);
    FromTonic::new(operation, client, |mut client, request| async move { client.watch(request).await })
}

async fn told() -> (Running, Told) {
    let told = Told::default();
    (serve(GrpcServer::new().add_service(told.service())).await, told)
}

fn within(limit: Duration) -> Context {
    Context::new().with_deadline(Deadline::after(Instant::now(), limit))
}

#[tokio::test]
async fn a_call_and_its_status_come_back() {
    let (server, _) = told().await;
    let check = checking(channel(&server.url()));
    assert_eq!(check.call(Request::new(ask("abc"))).await.expect("an answer").message().status, 3);
    let error = check.call(Request::new(ask("5"))).await.expect_err("an error");
    assert_eq!((error.kind(), error.message(), error.origin()), (Kind::NotFound, "no", Origin::Remote));
    assert_eq!(status_of(&error).expect("the status").code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn a_stream_and_its_status_come_back() {
    let (server, _) = told().await;
    let watch = watching(channel(&server.url()));
    let mut items = watch.call(Request::from_parts(Context::new(), ask("14"))).await.expect("items").into_message();
    assert_eq!(items.message().await.expect("an item").map(|item| item.status), Some(0));
    let error = items.message().await.expect_err("an error");
    assert_eq!((error.kind(), error.message()), (Kind::Unavailable, "no"));
    assert!(items.message().await.expect("an end").is_none());
}

#[tokio::test]
async fn the_context_goes_along_as_a_child() {
    let server = GrpcServer::new().endpoint(
        check(),
        by(async |request: Request<HealthCheckRequest>| {
            let context = request.context();
            let seen = |name: &str| context.inbound().get(name).cloned().unwrap_or(HeaderValue::from_static("-"));
            let mut response = Response::new(HealthCheckResponse { status: 1 });
            for name in ["x-own", "x-tenant", "traceparent", "authorization"] {
                let name = HeaderName::from_static(name);
                let value = seen(name.as_str());
                let name = format!("seen-{name}").parse::<HeaderName>().expect("a name");
                response = response.with_header(name, value);
            }
            response.parts_mut().trailers.insert("x-tail", HeaderValue::from_static("v"));
            assert!(context.deadline().is_some());
            Ok::<_, Error>(response)
        }),
    );
    let server = serve(server).await;
    let client = HealthClient::new(channel(&server.url()));
    let check = FromTonic::new(check(), client, |mut client, request| async move { client.check(request).await });
    let check = check.pass_on(PassOn::new(["x-tenant"]).expect("a name"));
    let mut inbound = HeaderMap::new();
    for name in ["x-tenant", "traceparent", "authorization"] {
        inbound.insert(name, HeaderValue::from_static("came"));
    }
    let context = Context::received(inbound, http::Extensions::new())
        .with_outbound(HeaderName::from_static("x-own"), HeaderValue::from_static("own"));
    let answer = check.call(Request::from_parts(context, ask(""))).await.expect("an answer");
    let headers = &answer.parts().expect("parts").headers;
    let seen = |name: &str| headers[name].to_str().expect("ASCII");
    assert_eq!((seen("seen-x-own"), seen("seen-x-tenant")), ("own", "came"));
    assert_eq!((seen("seen-traceparent"), seen("seen-authorization")), ("came", "-"));
    assert_eq!(headers["x-tail"], "v");
    assert!(!headers.contains_key("grpc-status"), "{headers:?}");
}

#[tokio::test]
async fn a_deadline_that_passes_is_one_whoever_sees_it_first() {
    let (server, told) = told().await;
    let channel = channel(&server.url());
    let (check, watch) = (checking(channel.clone()), watching(channel.clone()));
    let over = GrpcClient::with_service(server.url(), channel).expect("a client");
    let ours = over.endpoint::<HealthCheckRequest, HealthCheckResponse>(crate::generated::check());
    for n in 0..4 {
        let started = Instant::now();
        let error = match n {
            0 => check.call(Request::from_parts(within(SHORT), ask("hang"))).await.expect_err("too late"),
            1 => ours.call(Request::from_parts(within(SHORT), ask("hang"))).await.expect_err("too late"),
            2 => {
                let call = watch.call(Request::from_parts(within(SHORT), ask("hang")));
                let mut items = call.await.expect("items").into_message();
                items.message().await.expect("an item");
                items.message().await.expect_err("too late")
            }
            _ => check.call(Request::from_parts(within(Duration::ZERO), ask("hang"))).await.expect_err("too late"),
        };
        assert_eq!(error.kind(), Kind::DeadlineExceeded, "{n}: {error:?}");
        assert!(n == 3 || started.elapsed() >= SHORT, "{n}");
    }
    assert_eq!(told.calls.load(SeqCst), 3, "what is late is not sent");
}

#[tokio::test]
async fn a_limit_of_the_channel_is_a_deadline_too() {
    let (server, _) = told().await;
    let endpoint = Channel::from_shared(server.url()).expect("a URL").timeout(SHORT);
    let error = checking(endpoint.connect_lazy()).call(Request::new(ask("hang"))).await.expect_err("too late");
    assert_eq!(error.kind(), Kind::DeadlineExceeded, "{error:?}");
    assert!(status_of(&error).is_none(), "nobody has sent it: {error:?}");
    let client = GrpcClient::with_service(server.url(), endpoint.connect_lazy()).expect("a client");
    let call = client.endpoint::<HealthCheckRequest, HealthCheckResponse>(check());
    let error = call.call(Request::new(ask("hang"))).await.expect_err("too late");
    assert_eq!(error.kind(), Kind::DeadlineExceeded, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_unary_call_without_a_deadline_has_half_a_minute() {
    let hanging = FromTonic::new(check(), (), |(), _: tonic::Request<u8>| async {
        std::future::pending::<Result<tonic::Response<u8>, tonic::Status>>().await
    });
    let started = tokio::time::Instant::now();
    let error = hanging.call(Request::new(1)).await.expect_err("too late");
    assert_eq!((error.kind(), started.elapsed()), (Kind::DeadlineExceeded, Duration::from_secs(30)));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable_and_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    drop(listener);
    let error = checking(channel(&url)).call(Request::new(ask(""))).await.expect_err("nobody is there");
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{error:?}");
    assert!(status_of(&error).is_none(), "nobody has sent it: {error:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_is_unavailable_and_may_have_been_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let breaking = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut connection = h2_server(stream).await;
        let call = connection.accept().await.expect("a call").expect("a call");
        drop((call, connection));
    });
    let error = checking(channel(&url)).call(Request::new(ask(""))).await.expect_err("it breaks");
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::Remote), "{error:?}");
    tokio::time::timeout(HANGS, breaking).await.expect("no hang").expect("no panic");
}

async fn h2_server(stream: tokio::net::TcpStream) -> h2::server::Connection<tokio::net::TcpStream, bytes::Bytes> {
    h2::server::handshake(stream).await.expect("HTTP/2")
}

#[tokio::test]
async fn a_stream_that_is_reset_has_the_kind_of_its_code() {
    for (reason, kind, origin) in [
        (h2::Reason::REFUSED_STREAM, Kind::Unavailable, Origin::NotSent),
        (h2::Reason::CANCEL, Kind::Cancelled, Origin::Remote),
        (h2::Reason::ENHANCE_YOUR_CALM, Kind::ResourceExhausted, Origin::Remote),
        (h2::Reason::INTERNAL_ERROR, Kind::Internal, Origin::Remote),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let resetting = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut connection = h2_server(stream).await;
            let (_request, mut answer) = connection.accept().await.expect("a call").expect("a call");
            answer.send_reset(reason);
            while connection.accept().await.is_some() {}
        });
        let error = checking(channel(&url)).call(Request::new(ask(""))).await.expect_err("a reset");
        assert_eq!((error.kind(), error.origin()), (kind, origin), "{reason:?}: {error:?}");
        resetting.abort();
    }
}

/// Refuses everything.
struct Closed;

impl<Req, Res, Err> Gate<Req, Res, Err> for Closed {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        Err(Error::resource_exhausted("closed").with_reason("CLOSED").with_origin(Origin::LocalRefusal))
    }

    fn finish(&self, (): (), _: &kit_base::End<'_>) {}
}

#[tokio::test]
async fn a_refusal_below_is_what_it_was() {
    let (server, told) = told().await;
    // As an error of the channel, which tonic takes for a fault it does not know.
    let channel = tower::ServiceBuilder::new()
        .layer(Tower::new(Guard::new(Closed)))
        .map_err(|error: tonic::transport::Error| Error::unavailable("the channel").with_source(error))
        .service(channel(&server.url()));
    let client = HealthClient::new(channel);
    let check = FromTonic::new(check(), client, |mut client, request| async move { client.check(request).await });
    let error = check.call(Request::new(ask("abc"))).await.expect_err("refused");
    assert_eq!((error.kind(), error.message(), error.reason()), (Kind::ResourceExhausted, "closed", Some("CLOSED")));
    assert_eq!((error.origin(), told.calls.load(SeqCst)), (Origin::LocalRefusal, 0));
}

#[tokio::test]
async fn a_status_of_an_interceptor_stays_what_it_is() {
    let (server, told) = told().await;
    let client = HealthClient::with_interceptor(channel(&server.url()), |_: tonic::Request<()>| {
        let mut status = tonic::Status::permission_denied("not you");
        status.set_source(std::sync::Arc::new(std::fmt::Error));
        Err(status)
    });
    let check = FromTonic::new(check(), client, |mut client, request| async move { client.check(request).await });
    let error = check.call(Request::new(ask("abc"))).await.expect_err("refused");
    assert_eq!((error.kind(), error.message()), (Kind::PermissionDenied, "not you"));
    assert_eq!(told.calls.load(SeqCst), 0);
}

#[tokio::test]
async fn dropping_a_stream_ends_the_call_at_the_server() {
    let (server, told) = told().await;
    let watch = watching(channel(&server.url()));
    let mut items = watch.call(Request::from_parts(Context::new(), ask("hang"))).await.expect("items").into_message();
    items.message().await.expect("an item");
    drop(items);
    let over = async {
        while told.over.load(SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(HANGS, over).await.expect("it ends");
}
