//! One method of a service, and the names that come of it.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, Block, FnArg, Ident, TraitItemFn};

use super::attributes::Attributes;
use super::model::{generated, unraw};
use super::options::Options;
use super::signature::{self, Shape, Types};
use crate::errors::Errors;
use crate::names::{camel, upper_snake};

/// A method that can be called as an endpoint.
pub(super) struct Method {
    /// What stays on the method: documentation and lints.
    pub(super) attributes: Vec<Attribute>,
    pub(super) ident: Ident,
    pub(super) inputs: Vec<FnArg>,
    pub(super) default: Option<Block>,
    pub(super) types: Types,
    pub(super) idempotent: bool,
    /// What transports call it: `("http", "POST /sum")`.
    pub(super) transports: Vec<(&'static str, String)>,
    /// Its name without `r#`: `sum`.
    pub(super) name: String,
    /// `Sum`.
    pub(super) camel: String,
    /// The type parameter for its endpoint: `Sum`, or another name where a message is called that.
    pub(super) parameter: Ident,
    /// The constant for its operation: `SUM`.
    pub(super) constant: Ident,
    /// Its endpoint on an implementation: `AddSum`.
    pub(super) endpoint: Ident,
}

impl Method {
    pub(super) fn read(item: TraitItemFn, options: &Options, service: &Ident, errors: &mut Errors) -> Option<Self> {
        let attributes = Attributes::read(item.attrs, errors);
        let ident = item.sig.ident.clone();
        let types = signature::read(&item.sig, errors);
        let name = unraw(&ident);
        let camel = camel(&name);
        if camel == "Endpoints" {
            errors.at(
                &ident,
                format!("a service method cannot be called `{ident}`: `{service}Endpoints` holds them all"),
            );
        }
        if !camel.starts_with(char::is_alphabetic) || camel == "Self" {
            errors.at(&ident, format!("`{ident}` gives no name for its endpoint: begin it with a word"));
            return None;
        }
        let http = attributes.http.map_or_else(|| format!("POST /{name}"), |route| route.value());
        let mut transports = vec![("http", http)];
        match (&options.grpc, attributes.grpc) {
            (Some(service), method) => {
                let method = method.map_or_else(|| camel.clone(), |method| method.value());
                transports.push(("grpc", format!("{service}/{method}")));
            }
            (None, Some(method)) => {
                let message =
                    "`#[grpc]` on a method needs the service's name: `#[service(grpc = \"package.Service\")]`";
                errors.at(method, message);
            }
            (None, None) => {}
        }
        Some(Self {
            attributes: attributes.passed_on,
            inputs: item.sig.inputs.into_iter().collect(),
            default: item.default,
            types: types?,
            idempotent: attributes.idempotent,
            transports,
            parameter: Ident::new(&camel, Span::call_site()),
            constant: generated(&ident, &upper_snake(&name)),
            endpoint: generated(&ident, &format!("{}{camel}", unraw(service))),
            ident,
            name,
            camel,
        })
    }

    /// Whether a method of this name would get the same generated names.
    pub(super) fn is_called_like(&self, ident: &Ident) -> bool {
        camel(&unraw(ident)) == self.camel
    }

    /// The name that both have for one transport.
    pub(super) fn shares_name<'a>(&'a self, other: &'a Self) -> Option<(&'a Ident, &'a str)> {
        let shared = self.transports.iter().find(|name| other.transports.contains(name))?;
        Some((&self.ident, &shared.1))
    }

    /// The shape in kit-base.
    pub(super) fn shape(&self) -> TokenStream {
        match self.types.shape {
            Shape::Unary => quote!(::kit_endpoint::base::Unary),
        }
    }

    /// `Request<SumRequest>`.
    pub(super) fn request(&self) -> TokenStream {
        let (message, shape) = (&self.types.request, self.shape());
        quote!(::kit_endpoint::base::Request<#message, #shape>)
    }

    /// `Response<SumReply>`.
    pub(super) fn response(&self) -> TokenStream {
        let reply = &self.types.reply;
        quote!(::kit_endpoint::base::Response<#reply>)
    }

    /// `Endpoint<Request<SumRequest>, Response = Response<SumReply>>`.
    pub(super) fn endpoint_bound(&self) -> TokenStream {
        let (request, response) = (self.request(), self.response());
        quote!(::kit_endpoint::base::Endpoint<#request, Response = #response>)
    }
}
