//! A service meets a transport without either knowing the other.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use kit_base::{
    Bind, BoxFuture, Connect, Endpoint, Error, Operation, Request, Response, ServerStream, Streaming, Unary,
};

use crate::support::{Func, now};

type Method = Arc<dyn Fn(String) -> BoxFuture<Result<String, Error>> + Send + Sync>;

/// A transport that carries text: whatever can be parsed and printed.
#[derive(Clone, Default)]
struct Text(HashMap<String, Method>);

impl<Req, Res> Bind<Unary, Req, Res> for Text
where
    Req: std::str::FromStr + Send + 'static,
    Res: ToString + Send + 'static,
{
    fn bind<E>(&mut self, operation: Operation, endpoint: E)
    where
        E: Endpoint<Request<Req>, Response = Response<Res>, Error: Into<Error>> + 'static,
    {
        let endpoint = Arc::new(endpoint);
        let method = move |text: String| -> BoxFuture<Result<String, Error>> {
            let endpoint = endpoint.clone();
            Box::pin(async move {
                let message = text.parse().map_err(|_| Error::invalid_argument(format!("cannot read {text:?}")))?;
                let answer = endpoint.call(Request::new(message)).await.map_err(Into::into)?;
                Ok(answer.into_message().to_string())
            })
        };
        self.0.insert(operation.to_string(), Arc::new(method));
    }
}

struct Remote(Option<Method>);

impl<Req: ToString + Send, Res: std::str::FromStr + Send> Endpoint<Request<Req>> for Typed<Req, Res> {
    type Response = Response<Res>;
    type Error = Error;

    fn call(&self, req: Request<Req>) -> impl Future<Output = Result<Response<Res>, Error>> + Send {
        let text = req.into_message().to_string();
        async move {
            let method = self.0.0.as_ref().ok_or_else(|| Error::unimplemented("no such method"))?;
            let answer = method(text).await?;
            answer.parse().map(Response::new).map_err(|_| Error::data_loss(format!("cannot read {answer:?}")))
        }
    }
}

struct Typed<Req, Res>(Remote, std::marker::PhantomData<fn(Req) -> Res>);

impl<Req, Res> Connect<Unary, Req, Res> for Text
where
    Req: ToString + Send + 'static,
    Res: std::str::FromStr + Send + 'static,
{
    type Endpoint = Typed<Req, Res>;

    fn connect(&self, operation: Operation) -> Typed<Req, Res> {
        Typed(Remote(self.0.get(&operation.to_string()).cloned()), std::marker::PhantomData)
    }
}

#[test]
fn an_endpoint_is_bound_and_connected_by_its_operation() {
    let (double, unknown) = (Operation::new("math", "double"), Operation::new("math", "halve"));
    let mut text = Text::default();
    text.bind(
        double.clone(),
        Func(|req: Request<u32>| async move { Ok::<_, Error>(Response::new(req.into_message() * 2)) }),
    );
    let remote = Connect::<Unary, u32, u32>::connect(&text, double.clone());
    assert_eq!(now(remote.call(Request::new(4))).unwrap().into_message(), 8);
    let missing = Connect::<Unary, u32, u32>::connect(&text, unknown);
    assert_eq!(now(missing.call(Request::new(4))).map(drop).unwrap_err().message(), "no such method");
    let wrong = Connect::<Unary, String, u32>::connect(&text, double);
    let error = now(wrong.call(Request::new("x".to_owned()))).map(drop).unwrap_err();
    assert_eq!(error.message(), "cannot read \"x\"");
}

#[test]
fn a_shape_is_part_of_what_a_transport_can_carry() {
    fn carries<T: Bind<S, u32, Streaming<u32>>, S: kit_base::Shape>(_: &T) {}
    struct Streams;
    impl Bind<ServerStream, u32, Streaming<u32>> for Streams {
        fn bind<E>(&mut self, _: Operation, _: E)
        where
            E: Endpoint<Request<u32, ServerStream>, Response = Response<Streaming<u32>>, Error: Into<Error>> + 'static,
        {
        }
    }
    carries(&Streams);
}
