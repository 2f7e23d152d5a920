//! A whole service through one balancer: its methods share connections and records.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::sync::PoisonError;

use kit_base::{Call, Classify, Connect, Endpoint, Error, Operation, Request, Response, Shape};

use crate::Choice;
use crate::balancer::{Balancer, Ticket};
use crate::methods::MOST;

/// The methods that were asked for, each with its number at every connection.
#[derive(Default)]
pub(crate) struct Numbers(Vec<(Operation, TypeId)>);

impl Numbers {
    /// The same for the same method, so that who asks again and again costs nothing more. Beyond the most that connections keep,
    /// all have one.
    fn of<E: 'static>(&mut self, operation: &Operation) -> usize {
        let is_it = |(known, kind): &(Operation, TypeId)| known == operation && *kind == TypeId::of::<E>();
        self.0.iter().position(is_it).unwrap_or_else(|| {
            let number = self.0.len();
            if number < MOST {
                self.0.push((operation.clone(), TypeId::of::<E>()));
            }
            number
        })
    }
}

/// A method of a service, balanced; see [`Balancer`].
pub struct Method<C, Ch, K, S, Req, Res> {
    balancer: Balancer<C, Ch, K>,
    operation: Operation,
    number: usize,
    _call: PhantomData<fn(S, Req) -> Res>,
}

impl<C, Ch, K, S, Req, Res> Connect<S, Req, Res> for Balancer<C, Ch, K>
where
    S: Shape,
    Req: Send + 'static,
    Res: Send + 'static,
    C: Connect<S, Req, Res> + Send + Sync + 'static,
    Ch: Choice,
    K: Classify<Request<Req, S>, Response<Res>, Error> + 'static,
    Request<Req, S>: Call<Response<Res>, Held<Ticket<Request<Req, S>, Response<Res>, Error, C, K>> = Response<Res>>,
{
    type Endpoint = Method<C, Ch, K, S, Req, Res>;

    fn connect(&self, operation: Operation) -> Self::Endpoint {
        let mut numbers = self.endpointer.shared.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let number = numbers.of::<C::Endpoint>(&operation);
        drop(numbers);
        Method { balancer: self.clone(), operation, number, _call: PhantomData }
    }
}

impl<C, Ch, K, S, Req, Res> Endpoint<Request<Req, S>> for Method<C, Ch, K, S, Req, Res>
where
    S: Shape,
    Req: Send + 'static,
    Res: Send + 'static,
    C: Connect<S, Req, Res> + Send + Sync + 'static,
    Ch: Choice,
    K: Classify<Request<Req, S>, Response<Res>, Error> + 'static,
    Request<Req, S>: Call<Response<Res>, Held<Ticket<Request<Req, S>, Response<Res>, Error, C, K>> = Response<Res>>,
{
    type Response = Response<Res>;
    type Error = Error;

    async fn call(&self, request: Request<Req, S>) -> Result<Response<Res>, Error> {
        self.balancer
            .balanced(request, |record| {
                record.methods.get_or_make(self.number, || record.connection.connect(self.operation.clone()))
            })
            .await
    }
}

impl<C, Ch, K, S, Req, Res> Clone for Method<C, Ch, K, S, Req, Res> {
    fn clone(&self) -> Self {
        let Self { balancer, operation, number, .. } = self;
        Self { balancer: balancer.clone(), operation: operation.clone(), number: *number, _call: PhantomData }
    }
}

impl<C, Ch, K, S, Req, Res> fmt::Debug for Method<C, Ch, K, S, Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Method").field("operation", &self.operation).finish_non_exhaustive()
    }
}
