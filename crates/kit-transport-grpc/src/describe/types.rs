//! What is bound, and the descriptors of it.

use prost_types::FileDescriptorSet;

use super::assemble::assemble;
use super::check::check;
use super::order::order;
use super::symbols::Symbols;
use super::text::{ProtoFile, proto_files};
use super::walk::Walk;
use super::{Describe, DescribeError, Service, TypeRef};

/// Services and the types that they use, and the descriptors of all of it.
///
/// There is one file for each package, named by it: `pb.v1.proto`. Well-known types stay in the files that everybody has.
///
/// ```
/// use kit_transport_grpc::Describe;
/// use kit_transport_grpc::describe::{Method, Service, TypeRef, Types};
///
/// /// Two numbers.
/// #[derive(Clone, PartialEq, prost::Message, Describe)]
/// struct SumRequest {
///     #[prost(int64, tag = 1)]
///     a: i64,
///     #[prost(int64, tag = 2)]
///     b: i64,
/// }
///
/// #[derive(Clone, PartialEq, prost::Message, Describe)]
/// struct SumReply {
///     /// Their sum.
///     #[prost(int64, tag = 1)]
///     v: i64,
/// }
///
/// let mut types = Types::new();
/// let sum = Method::new("Sum", TypeRef::of::<SumRequest>(), TypeRef::of::<SumReply>());
/// types.service(Service::new("pb.Add").method(sum));
///
/// let files = types.proto_files()?;
/// assert_eq!(files[0].name, "pb.proto");
/// assert_eq!(
///     files[0].text,
///     "syntax = \"proto3\";
///
/// package pb;
///
/// service Add {
///   rpc Sum(SumRequest) returns (SumReply);
/// }
///
/// // Two numbers.
/// message SumRequest {
///   int64 a = 1;
///   int64 b = 2;
/// }
///
/// message SumReply {
///   // Their sum.
///   int64 v = 1;
/// }
/// "
/// );
/// # Ok::<(), kit_transport_grpc::describe::DescribeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Types {
    services: Vec<Service>,
    messages: Vec<(String, TypeRef)>,
}

impl Types {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service and all that its methods use. A second service of the same name adds its methods to the first.
    pub fn service(&mut self, service: Service) -> &mut Self {
        match self.services.iter_mut().find(|same| same.name == service.name) {
            Some(same) => {
                same.methods.extend(service.methods);
                same.docs.push_str(&service.docs);
                same.deprecated |= service.deprecated;
            }
            None => self.services.push(service),
        }
        self
    }

    /// Adds a type that no method mentions: what travels in an `Any`, or what others are nested in. It is in this package,
    /// unless it has its own.
    pub fn message<T: Describe>(&mut self, package: impl Into<String>) -> &mut Self {
        self.messages.push((package.into(), TypeRef::of::<T>()));
        self
    }

    /// The descriptors of all that was added, each file after those that it imports: for tonic-reflection, or a file.
    ///
    /// # Errors
    /// [`DescribeError`], when two types have one name, or protobuf has no place for something.
    pub fn file_descriptor_set(&self) -> Result<FileDescriptorSet, DescribeError> {
        let mut walk = Walk::default();
        for service in &self.services {
            let package = service.split().0;
            for method in &service.methods {
                walk.add(package, method.request);
                walk.add(package, method.reply);
            }
        }
        for (package, of) in &self.messages {
            walk.add(package, *of);
        }
        walk.finish();
        let files = assemble(&walk, &self.services)?;
        files.values().try_for_each(check)?;
        Symbols::of(files.values())?;
        Ok(FileDescriptorSet { file: order(files)? })
    }

    /// The `.proto` files of all that was added, without those of well-known types.
    ///
    /// # Errors
    /// As [`file_descriptor_set`](Self::file_descriptor_set).
    pub fn proto_files(&self) -> Result<Vec<ProtoFile>, DescribeError> {
        proto_files(&self.file_descriptor_set()?)
    }
}
