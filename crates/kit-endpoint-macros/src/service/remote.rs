//! Binding to a transport, connecting through one, and the endpoints as the service that they are.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use super::compose::boxable;
use super::method::Method;
use super::model::Service;

/// `bind` and `connect`.
pub(super) fn transports(service: &Service) -> TokenStream {
    let Service { endpoints, methods, .. } = service;
    let parameters: Vec<&Ident> = methods.iter().map(|method| &method.parameter).collect();
    let (bind, connect) = (bind(service), connect(service));
    quote! {
        impl<#(#parameters),*> #endpoints<#(#parameters),*> {
            #bind
        }

        impl #endpoints {
            #connect
        }
    }
}

fn bind(service: &Service) -> TokenStream {
    let Service { vis, endpoints, methods, .. } = service;
    let transport = service.fresh("T");
    let mut bounds = Vec::new();
    let mut calls = Vec::new();
    for method in methods {
        let Method { ident: name, parameter, constant, types, .. } = method;
        let (request, reply, shape) = (&types.request, &types.reply, method.shape());
        let (whole_request, response) = (method.request(), method.response());
        let bind = quote!(::kit_endpoint::base::Bind<#shape, #request, #reply>);
        bounds.push(quote! {
            #transport: #bind,
            #parameter: ::kit_endpoint::base::Endpoint<
                #whole_request,
                Response = #response,
                Error: ::core::convert::Into<::kit_endpoint::base::Error>,
            > + 'static
        });
        calls.push(quote! {
            // Whatever the transport does, layers know what is called.
            let endpoint = ::kit_endpoint::Named::new(self.#name, <#endpoints>::#constant);
            <#transport as #bind>::bind(&mut transport, <#endpoints>::#constant, endpoint);
        });
    }
    quote! {
        /// Serves every method over this transport, and gives the transport back.
        #[must_use]
        #vis fn bind<#transport>(self, mut transport: #transport) -> #transport
        where
            #(#bounds,)*
        {
            #(#calls)*
            transport
        }
    }
}

fn connect(service: &Service) -> TokenStream {
    let Service { vis, endpoints, methods, .. } = service;
    let transport = service.fresh("T");
    let mut types = Vec::new();
    let mut bounds = Vec::new();
    let mut fields = Vec::new();
    for method in methods {
        let Method { ident: name, constant, types: named, .. } = method;
        let (request, reply, shape) = (&named.request, &named.reply, method.shape());
        let connect = quote!(::kit_endpoint::base::Connect<#shape, #request, #reply>);
        types.push(quote!(<#transport as #connect>::Endpoint));
        fields.push(quote! {
            #name: <#transport as #connect>::connect(transport, <#endpoints>::#constant)
        });
        bounds.push(quote!(#transport: #connect));
    }
    quote! {
        /// The endpoints of the service at the other end of this transport.
        #[must_use]
        #vis fn connect<#transport>(transport: &#transport) -> #endpoints<#(#types),*>
        where
            #(#bounds,)*
        {
            #endpoints { #(#fields,)* }
        }
    }
}

/// The endpoints as an implementation of the trait: wherever they lead, it is used like a local one.
pub(super) fn as_service(service: &Service) -> TokenStream {
    let Service { ident, endpoints, methods, .. } = service;
    let parameters: Vec<&Ident> = methods.iter().map(|method| &method.parameter).collect();
    let bounds = methods.iter().map(|method| boxable(method, &method.parameter));
    let calls = methods.iter().map(|method| {
        let Method { ident: name, constant, types, parameter, .. } = method;
        let (context, message, output) = (&types.context, &types.request, &types.output);
        let request = method.request();
        let answer = if types.answers_response {
            quote!(::core::result::Result::Ok(response))
        } else {
            quote!(::core::result::Result::Ok(response.into_message()))
        };
        quote! {
            async fn #name(&self, cx: &#context, req: #message) -> #output {
                let cx = ::core::clone::Clone::clone(cx).with_operation(<#endpoints>::#constant);
                let req = ::kit_endpoint::base::Request::from_parts(cx, req);
                match <#parameter as ::kit_endpoint::base::Endpoint<#request>>::call(&self.#name, req).await {
                    ::core::result::Result::Ok(response) => #answer,
                    ::core::result::Result::Err(error) => {
                        ::core::result::Result::Err(::core::convert::Into::into(error))
                    }
                }
            }
        }
    });
    quote! {
        impl<#(#parameters),*> #ident for #endpoints<#(#parameters),*>
        where
            #(#bounds,)*
        {
            #(#calls)*
        }
    }
}
