//! A small service, and a transport that lives in memory and speaks JSON.

use std::collections::HashMap;
use std::sync::Arc;

use kit_endpoint::base::{Bind, Connect, Unary};
use kit_endpoint::{BoxEndpoint, Context, Endpoint, Error, Operation, Request, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct SumRequest {
    pub(crate) a: i64,
    pub(crate) b: i64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct SumReply {
    pub(crate) v: i64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct ConcatRequest {
    pub(crate) a: String,
    pub(crate) b: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct ConcatReply {
    pub(crate) v: String,
}

#[derive(Debug, kit_endpoint::Error)]
pub(crate) enum AddError {
    #[kit(kind = InvalidArgument, message = "can't sum two zeroes")]
    TwoZeroes,
    #[kit(kind = InvalidArgument, message = "{a} + {b} overflows")]
    Overflow { a: i64, b: i64 },
    #[kit(kind = OutOfRange, message = "{0} bytes are too many", reason = "TOO_BIG")]
    TooLong(usize),
    #[kit(other)]
    Other(Error),
}

/// Adds.
#[kit_endpoint::service(name = "addsvc", grpc = "pb.Add")]
pub(crate) trait Add {
    /// Adds numbers.
    #[idempotent]
    #[http("PUT /v1/sum")]
    async fn sum(&self, cx: &Context, req: SumRequest) -> Result<SumReply, AddError>;

    /// Adds texts.
    async fn concat(&self, cx: &Context, req: ConcatRequest) -> Result<Response<ConcatReply>, AddError>;
}

/// The service itself.
#[derive(Debug)]
pub(crate) struct Basic;

impl Add for Basic {
    async fn sum(&self, _: &Context, req: SumRequest) -> Result<SumReply, AddError> {
        let SumRequest { a, b } = req;
        match a.checked_add(b) {
            Some(0) if a == 0 => Err(AddError::TwoZeroes),
            Some(v) => Ok(SumReply { v }),
            None => Err(AddError::Overflow { a, b }),
        }
    }

    async fn concat(&self, cx: &Context, req: ConcatRequest) -> Result<Response<ConcatReply>, AddError> {
        let v = req.a + &req.b;
        assert_ne!(v, "panic");
        if v.len() > 10 {
            return Err(AddError::TooLong(v.len()));
        }
        let method = cx.operation().method().parse().expect("a method is a header value");
        Ok(Response::new(ConcatReply { v }).with_header(http_name("x-method"), method))
    }
}

fn http_name(name: &'static str) -> http::HeaderName {
    http::HeaderName::from_static(name)
}

type Bytes = BoxEndpoint<Request<Vec<u8>>, Response<Vec<u8>>, Error>;

/// A transport whose server and client are in one process; messages are JSON on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Json {
    methods: Arc<HashMap<String, Bytes>>,
}

impl Json {
    pub(crate) async fn call_without_a_name(&self, method: &str, bytes: &[u8]) -> Result<Response<Vec<u8>>, Error> {
        self.methods[method].call(Request::new(bytes.to_vec())).await
    }
}

impl<Req, Res> Bind<Unary, Req, Res> for Json
where
    Req: DeserializeOwned + Send + 'static,
    Res: Serialize + Send + 'static,
{
    fn bind<E>(&mut self, operation: Operation, endpoint: E)
    where
        E: Endpoint<Request<Req>, Response = Response<Res>, Error: Into<Error>> + 'static,
    {
        let endpoint = Arc::new(endpoint);
        let bytes = kit_endpoint::endpoint_fn(move |req: Request<Vec<u8>>| {
            let endpoint = Arc::clone(&endpoint);
            async move {
                let (cx, bytes) = req.into_parts();
                let message = serde_json::from_slice(&bytes)
                    .map_err(|error| Error::invalid_argument(format!("malformed: {error}")))?;
                let answer = endpoint.call(Request::from_parts(cx, message)).await.map_err(Into::into)?;
                Ok::<_, Error>(answer.map(|answer| serde_json::to_vec(&answer).expect("answers can be written")))
            }
        });
        let name = operation.name_for("http").expect("every operation has a name over HTTP").to_owned();
        let methods = Arc::get_mut(&mut self.methods).expect("the transport is not shared yet");
        methods.insert(name, BoxEndpoint::new(bytes));
    }
}

pub(crate) struct JsonEndpoint<Req, Res> {
    method: Option<Bytes>,
    operation: Operation,
    _types: std::marker::PhantomData<fn(Req) -> Res>,
}

impl<Req, Res> std::fmt::Debug for JsonEndpoint<Req, Res> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.operation.fmt(f)
    }
}

impl<Req, Res> Connect<Unary, Req, Res> for Json
where
    Req: Serialize + Send + 'static,
    Res: DeserializeOwned + Send + 'static,
{
    type Endpoint = JsonEndpoint<Req, Res>;

    fn connect(&self, operation: Operation) -> JsonEndpoint<Req, Res> {
        let method = operation.name_for("http").and_then(|name| self.methods.get(name)).cloned();
        JsonEndpoint { method, operation, _types: std::marker::PhantomData }
    }
}

impl<Req, Res> Endpoint<Request<Req>> for JsonEndpoint<Req, Res>
where
    Req: Serialize + Send + 'static,
    Res: DeserializeOwned + Send + 'static,
{
    type Response = Response<Res>;
    type Error = Error;

    async fn call(&self, req: Request<Req>) -> Result<Response<Res>, Error> {
        let method = self.method.as_ref().ok_or_else(|| Error::unimplemented(self.operation.to_string()))?;
        let (cx, message) = req.into_parts();
        let bytes = serde_json::to_vec(&message).expect("requests can be written");
        let answer = method.call(Request::from_parts(cx, bytes)).await?;
        Ok(answer.map(|bytes| serde_json::from_slice(&bytes).expect("answers can be read")))
    }
}
