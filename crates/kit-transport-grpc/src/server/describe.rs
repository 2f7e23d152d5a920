//! Descriptors of what is bound, and the text of its `.proto` files.

use std::collections::BTreeMap;

use super::GrpcServer;
use super::routes::Entry;
use crate::describe::{Method, ProtoFile, Service, TypeRef, Types};
use crate::path::path_of;
use crate::{BuildError, DecodeRequest, Described, EncodeOutcome};

/// What a method takes and what it gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature {
    request: Option<TypeRef>,
    response: Option<TypeRef>,
    client_streams: bool,
    server_streams: bool,
}

impl Signature {
    pub(super) fn of<C, Req, Res>(codec: &C, client_streams: bool, server_streams: bool) -> Self
    where
        C: DecodeRequest<Req> + EncodeOutcome<Res>,
    {
        Self { request: codec.describe_request(), response: codec.describe_response(), client_streams, server_streams }
    }
}

impl GrpcServer<Described> {
    /// A server without methods, whose messages are protobuf messages that describe themselves: see
    /// [`types`](Self::types).
    #[must_use]
    pub fn described() -> Self {
        Self::with_codec(Described)
    }
}

impl<C> GrpcServer<C> {
    /// The descriptors of all that is bound so far: for a `.proto` text, a `FileDescriptorSet`, reflection.
    ///
    /// ```
    /// use kit_base::{Endpoint, Error, Operation, Request, Response};
    /// use kit_transport_grpc::{Describe, GrpcServer};
    ///
    /// /// Whom to greet.
    /// #[derive(Clone, PartialEq, prost::Message, Describe)]
    /// struct Name {
    ///     #[prost(string, tag = "1")]
    ///     name: String,
    /// }
    ///
    /// struct Hello;
    ///
    /// impl Endpoint<Request<Name>> for Hello {
    ///     type Response = Response<Name>;
    ///     type Error = Error;
    ///
    ///     async fn call(&self, request: Request<Name>) -> Result<Response<Name>, Error> {
    ///         Ok(Response::new(request.into_message()))
    ///     }
    /// }
    ///
    /// let server = GrpcServer::described().endpoint(Operation::new("greet.Greeter", "Hello"), Hello);
    /// let text = &server.proto_files()?[0].text;
    /// assert!(text.contains("rpc Hello(Name) returns (Name);"), "{text}");
    /// # Ok::<(), kit_transport_grpc::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// A message of a method is not described, or two have one name: derive [`Describe`](macro@crate::Describe) for it and
    /// bind it to a [described](Self::described) server, or give its codec `describe_request` and `describe_response`.
    pub fn types(&self) -> Result<Types, BuildError> {
        types_of(&self.entries, |_| false)
    }

    /// The `.proto` files of all that is bound so far, one a package.
    ///
    /// # Errors
    /// As [`types`](Self::types).
    pub fn proto_files(&self) -> Result<Vec<ProtoFile>, BuildError> {
        self.types()?.proto_files().map_err(|error| BuildError::new(UNDESCRIBED).because(error))
    }
}

pub(super) const UNDESCRIBED: &str = "what is bound cannot be described";

/// The descriptors of these methods, but for those of services that are known from elsewhere.
pub(super) fn types_of(entries: &[Entry], is_known: impl Fn(&str) -> bool) -> Result<Types, BuildError> {
    let mut services: BTreeMap<String, Service> = BTreeMap::new();
    for Entry { operation, handler } in entries {
        let path = path_of(operation)?;
        let Some((name, method)) = path[1..].rsplit_once('/') else { continue };
        if is_known(name) {
            continue;
        }
        let Signature { request, response, client_streams, server_streams } = handler.signature();
        let (Some(request), Some(response)) = (request, response) else {
            let what = if request.is_none() { "request" } else { "answer" };
            return Err(BuildError::new(format!(
                "{operation} cannot be described: derive `Describe` for the message of its {what}, and bind it to `GrpcServer::described()`"
            )));
        };
        let method = Method::new(method, request, response)
            .streaming(client_streams, server_streams)
            .idempotent(operation.is_idempotent());
        let service = services.remove(name).unwrap_or_else(|| Service::new(name));
        services.insert(name.to_owned(), service.method(method));
    }
    let mut types = Types::new();
    for service in services.into_values() {
        types.service(service);
    }
    Ok(types)
}
