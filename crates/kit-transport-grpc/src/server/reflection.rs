//! `grpc.reflection`: what is served, told to tools such as grpcurl and buf. Source: grpc/reflection/v1/reflection.proto.

use std::borrow::Cow;
use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic_reflection::server::Builder;

use super::describe::{UNDESCRIBED, types_of};
use super::routes::service_of;
use super::{GrpcServer, health};
use crate::BuildError;
use crate::path::path_of;

impl<C> GrpcServer<C> {
    /// Serves `grpc.reflection.v1`, and the older `v1alpha` that many tools still ask for: whoever can call may learn what
    /// there is. What is bound must be [described](Self::types), or its descriptors be [given](Self::descriptors).
    #[must_use]
    pub fn reflection(mut self) -> Self {
        self.beside.reflection.get_or_insert_default();
        self
    }

    /// The same with descriptors that are known from elsewhere: a `FileDescriptorSet` of the compiler, as prost-build and
    /// protox write it, for [added services](Self::add_service), and for endpoints of services that come from a `.proto`
    /// file.
    #[must_use]
    pub fn descriptors(mut self, encoded: impl Into<Cow<'static, [u8]>>) -> Self {
        self.beside.reflection.get_or_insert_default().push(encoded.into());
        self
    }

    /// The server with the services of reflection, if it is to have them.
    pub(super) fn reflecting(mut self) -> Result<Self, BuildError> {
        let Some(encoded) = self.beside.reflection.take() else { return Ok(self) };
        let mut sets = Vec::new();
        for encoded in encoded {
            let wrong = |error| BuildError::new("the descriptors are no encoded FileDescriptorSet").because(error);
            sets.push(FileDescriptorSet::decode(&*encoded).map_err(wrong)?);
        }
        let mut known: BTreeSet<String> = sets.iter().flat_map(services).collect();
        // Descriptors may be known of more than is served, and that is nobody's business.
        let mut served = self.services()?;
        if self.beside.readiness.is_some() {
            sets.push(health::descriptors()?);
            served.insert(health::SERVICE.to_owned());
        }
        let types = types_of(&self.entries, |service| known.contains(service))?;
        let ours = types.file_descriptor_set().map_err(|error| BuildError::new(UNDESCRIBED).because(error))?;
        known.extend(services(&ours));
        sets.push(ours);
        if let Some(added) = self.beside.added.iter().find(|added| !known.contains(added.name)) {
            let what =
                format!("the service {} was added, and reflection has no descriptors of it: give them", added.name);
            return Err(BuildError::new(what));
        }
        let builder = |version: &str| {
            let builder = Builder::configure().with_service_name(format!("grpc.reflection.{version}.ServerReflection"));
            let builder = served.iter().fold(builder, Builder::with_service_name);
            sets.iter().cloned().fold(builder, Builder::register_file_descriptor_set)
        };
        let wrong = |error| BuildError::new("the descriptors do not fit together").because(error);
        let v1 = builder("v1").build_v1().map_err(wrong)?;
        let v1alpha = builder("v1alpha").build_v1alpha().map_err(wrong)?;
        Ok(self.add_service(v1).add_service(v1alpha))
    }

    /// The full names of the services that are bound or were added.
    fn services(&self) -> Result<BTreeSet<String>, BuildError> {
        let mut services: BTreeSet<String> = self.beside.added.iter().map(|added| added.name.to_owned()).collect();
        for entry in &self.entries {
            services.insert(service_of(&path_of(&entry.operation)?).to_owned());
        }
        Ok(services)
    }
}

/// The full names of the services in a set.
fn services(set: &FileDescriptorSet) -> impl Iterator<Item = String> {
    set.file.iter().flat_map(|file| {
        file.service.iter().map(|service| match file.package() {
            "" => service.name().to_owned(),
            package => format!("{package}.{}", service.name()),
        })
    })
}
