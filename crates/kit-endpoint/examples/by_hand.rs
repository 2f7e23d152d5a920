//! What `#[kit_endpoint::service(name = "addsvc", grpc = "pb.Add")]` writes, written by hand for a trait of one method.

use std::sync::Arc;

use kit_endpoint::base::{Bind, Connect, OperationInfo, Unary, catch_panic};
use kit_endpoint::{BoxEndpoint, Context, Endpoint, Error, Failure, Layer, Named, Operation, Request, Response};

struct SumRequest(i64, i64);
struct SumReply(i64);

// The trait: futures are `Send`, so that endpoints can be made of its methods.
trait Add: Send + Sync + 'static {
    fn sum(&self, cx: &Context, req: SumRequest) -> impl Future<Output = Result<SumReply, Error>> + Send;
}

// The endpoint of a method over an implementation: names the operation, and turns a panic into an answer. An error is
// the answer of this method from here on, wherever it arose: the method has run, so no retry may take it for unsent.
struct AddSum<S>(Arc<S>);

impl<S: Add> Endpoint<Request<SumRequest>> for AddSum<S> {
    type Response = Response<SumReply>;
    type Error = Error;

    async fn call(&self, req: Request<SumRequest>) -> Result<Response<SumReply>, Error> {
        let (cx, req) = req.into_parts();
        let cx = cx.with_operation(AddEndpoints::SUM);
        catch_panic(|| self.0.sum(&cx, req)).await.map(Response::new).map_err(Failure::into_answer)
    }
}

// All endpoints of the service; by default each is boxed.
#[derive(Clone, Debug)]
struct AddEndpoints<Sum = BoxEndpoint<Request<SumRequest>, Response<SumReply>, Error>> {
    sum: Sum,
}

impl AddEndpoints {
    const SUM: Operation = {
        static INFO: OperationInfo = OperationInfo::new("addsvc", "sum")
            .idempotent(true)
            .named(&[("http", "POST /sum"), ("grpc", "pb.Add/Sum")]);
        Operation::from_static(&INFO)
    };

    fn new<S: Add>(implementation: S) -> AddEndpoints<AddSum<S>> {
        AddEndpoints { sum: AddSum(Arc::new(implementation)) }
    }

    // The service at the other end of a transport.
    fn connect<T>(transport: &T) -> AddEndpoints<T::Endpoint>
    where
        T: Connect<Unary, SumRequest, SumReply>,
    {
        AddEndpoints { sum: transport.connect(Self::SUM) }
    }
}

impl<Sum> AddEndpoints<Sum> {
    // A layer over all methods; with several methods, `L` is a layer over the endpoint of each.
    fn layer<L: Layer<Sum>>(self, layer: L) -> AddEndpoints<L::Service> {
        AddEndpoints { sum: layer.layer(self.sum) }
    }

    // Another endpoint for one method.
    fn map_sum<E>(self, map: impl FnOnce(Sum) -> E) -> AddEndpoints<E> {
        AddEndpoints { sum: map(self.sum) }
    }

    fn boxed(self) -> AddEndpoints
    where
        Sum: Endpoint<Request<SumRequest>, Response = Response<SumReply>, Error: Into<Error>> + 'static,
    {
        AddEndpoints { sum: BoxEndpoint::new(self.sum) }
    }

    // Serves every method over a transport.
    fn bind<T>(self, mut transport: T) -> T
    where
        T: Bind<Unary, SumRequest, SumReply>,
        Sum: Endpoint<Request<SumRequest>, Response = Response<SumReply>, Error: Into<Error>> + 'static,
    {
        transport.bind(AddEndpoints::SUM, Named::new(self.sum, AddEndpoints::SUM));
        transport
    }
}

// Wherever the endpoints lead, they are the service.
impl<Sum> Add for AddEndpoints<Sum>
where
    Sum: Endpoint<Request<SumRequest>, Response = Response<SumReply>, Error: Into<Error>> + 'static,
{
    async fn sum(&self, cx: &Context, req: SumRequest) -> Result<SumReply, Error> {
        let cx = cx.clone().with_operation(AddEndpoints::SUM);
        let answer = self.sum.call(Request::from_parts(cx, req)).await;
        answer.map(Response::into_message).map_err(Into::into)
    }
}

// From here on, the user's part: an implementation, and a transport that stays in this process.
struct Basic;

impl Add for Basic {
    async fn sum(&self, cx: &Context, SumRequest(a, b): SumRequest) -> Result<SumReply, Error> {
        assert_eq!(cx.operation().to_string(), "addsvc/sum");
        a.checked_add(b).map(SumReply).ok_or_else(|| Error::out_of_range(format!("{a} + {b} overflows")))
    }
}

#[derive(Default)]
struct Local(Option<BoxEndpoint<Request<SumRequest>, Response<SumReply>, Error>>);

impl Bind<Unary, SumRequest, SumReply> for Local {
    fn bind<E>(&mut self, _: Operation, endpoint: E)
    where
        E: Endpoint<Request<SumRequest>, Response = Response<SumReply>, Error: Into<Error>> + 'static,
    {
        self.0 = Some(BoxEndpoint::new(endpoint));
    }
}

impl Connect<Unary, SumRequest, SumReply> for Local {
    type Endpoint = BoxEndpoint<Request<SumRequest>, Response<SumReply>, Error>;

    fn connect(&self, _: Operation) -> Self::Endpoint {
        self.0.clone().expect("the service is bound before it is connected")
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    runtime.block_on(async {
        let transport = AddEndpoints::new(Basic).layer(()).map_sum(Arc::new).boxed().bind(Local::default());
        let remote = AddEndpoints::connect(&transport);
        let answer = remote.sum(&Context::new(), SumRequest(1, 2)).await;
        assert_eq!(answer.map(|SumReply(v)| v).map_err(|error| error.to_string()), Ok(3));
    });
}
