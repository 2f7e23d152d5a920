//! The struct of endpoints, its operations, and its making from an implementation.

use proc_macro2::TokenStream;
use quote::quote;

use super::method::Method;
use super::model::Service;

/// `AddEndpoints`, with one type parameter for each method; by default all are boxed.
pub(super) fn endpoints(service: &Service) -> TokenStream {
    let Service { vis, ident, endpoints, methods, .. } = service;
    let docs = format!("The endpoints of the service [`{ident}`], one for each method; by default they are boxed.");
    let fields = methods.iter().map(|method| {
        let Method { ident: name, parameter, .. } = method;
        let docs = format!("The endpoint of [`{ident}::{}`].", method.name);
        quote!(#[doc = #docs] #vis #name: #parameter)
    });
    let parameters = methods.iter().map(|method| {
        let Method { parameter, types, .. } = method;
        let (request, response, error) = (method.request(), method.response(), &types.error);
        quote!(#parameter = ::kit_endpoint::BoxEndpoint<#request, #response, #error>)
    });
    let operations = methods.iter().map(|method| operation(service, method));
    let new = new(service);
    quote! {
        #[doc = #docs]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #[allow(clippy::exhaustive_structs, reason = "a service can be put together from any endpoints")]
        #vis struct #endpoints<#(#parameters),*> {
            #(#fields,)*
        }

        impl #endpoints {
            #(#operations)*

            #new
        }
    }
}

fn operation(service: &Service, method: &Method) -> TokenStream {
    let Service { vis, ident, name: service_name, .. } = service;
    let Method { constant, name, idempotent, transports, .. } = method;
    let docs = format!("The operation of [`{ident}::{name}`].");
    let names = transports.iter().map(|(transport, name)| quote!((#transport, #name)));
    quote! {
        #[doc = #docs]
        #vis const #constant: ::kit_endpoint::base::Operation = {
            static INFO: ::kit_endpoint::base::OperationInfo =
                ::kit_endpoint::base::OperationInfo::new(#service_name, #name)
                    .idempotent(#idempotent)
                    .named(&[#(#names),*]);
            ::kit_endpoint::base::Operation::from_static(&INFO)
        };
    }
}

fn new(service: &Service) -> TokenStream {
    let Service { vis, ident, endpoints, methods, .. } = service;
    let inner = service.fresh("S");
    let fields = methods.iter().map(|method| {
        let Method { ident: name, endpoint, .. } = method;
        quote!(#name: #endpoint(::std::sync::Arc::clone(&implementation)))
    });
    let endpoint_types = methods.iter().map(|method| {
        let endpoint = &method.endpoint;
        quote!(#endpoint<#inner>)
    });
    quote! {
        /// The endpoints of an implementation. A panic in a method becomes an answer of the kind `Internal`.
        #[must_use]
        #vis fn new<#inner: #ident>(implementation: #inner) -> #endpoints<#(#endpoint_types),*> {
            let implementation = ::std::sync::Arc::new(implementation);
            #endpoints { #(#fields,)* }
        }
    }
}
