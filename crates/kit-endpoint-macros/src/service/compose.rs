//! Layers on all endpoints or on one, and boxing.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Ident;

use super::method::Method;
use super::model::{Service, generated};

/// `layer`, `boxed`, and for each method `layer_sum` and `map_sum`.
pub(super) fn composition(service: &Service) -> TokenStream {
    let Service { endpoints, methods, .. } = service;
    let parameters: Vec<&Ident> = methods.iter().map(|method| &method.parameter).collect();
    let (layer, boxed) = (layer(service), boxed(service));
    let single = methods.iter().map(|method| single(service, method));
    quote! {
        impl<#(#parameters),*> #endpoints<#(#parameters),*> {
            #layer
            #boxed
            #(#single)*
        }
    }
}

fn layer(service: &Service) -> TokenStream {
    let Service { vis, endpoints, methods, .. } = service;
    let layer = service.fresh("L");
    let mut services = Vec::new();
    let mut bounds = Vec::new();
    let mut fields = Vec::new();
    for method in methods {
        let Method { ident: name, parameter, .. } = method;
        let endpoint = method.endpoint_bound();
        services.push(quote!(<#layer as ::kit_endpoint::Layer<#parameter>>::Service));
        bounds.push(quote! {
            #layer: ::kit_endpoint::Layer<#parameter>,
            <#layer as ::kit_endpoint::Layer<#parameter>>::Service: #endpoint
        });
        fields.push(quote!(#name: ::kit_endpoint::Layer::layer(&layer, self.#name)));
    }
    quote! {
        /// The same with this layer over every endpoint. They share its state.
        #[must_use]
        #vis fn layer<#layer>(self, layer: #layer) -> #endpoints<#(#services),*>
        where
            #(#bounds,)*
        {
            #endpoints { #(#fields,)* }
        }
    }
}

fn boxed(service: &Service) -> TokenStream {
    let Service { vis, endpoints, methods, .. } = service;
    let bounds = methods.iter().map(|method| boxable(method, &method.parameter));
    let fields = methods.iter().map(|method| {
        let name = &method.ident;
        quote!(#name: ::kit_endpoint::BoxEndpoint::new(self.#name))
    });
    quote! {
        /// The same with every endpoint boxed: the type that names no layers and no transport.
        #[must_use]
        #vis fn boxed(self) -> #endpoints
        where
            #(#bounds,)*
        {
            #endpoints { #(#fields,)* }
        }
    }
}

/// `Sum: Endpoint<..., Error: Into<AddError>> + 'static`.
pub(super) fn boxable(method: &Method, parameter: &Ident) -> TokenStream {
    let (request, response, error) = (method.request(), method.response(), &method.types.error);
    quote! {
        #parameter: ::kit_endpoint::base::Endpoint<
            #request,
            Response = #response,
            Error: ::core::convert::Into<#error>,
        > + 'static
    }
}

fn single(service: &Service, method: &Method) -> TokenStream {
    let Service { vis, ident, endpoints, methods, .. } = service;
    let Method { ident: name, parameter, name: text, .. } = method;
    let (layer, endpoint) = (service.fresh("L"), service.fresh("E"));
    let map_one = generated(name, &format!("map_{text}"));
    let layer_one = generated(name, &format!("layer_{text}"));
    let with = |this: TokenStream| -> Vec<TokenStream> {
        let other = |other: &Method| {
            let parameter = &other.parameter;
            if other.ident == method.ident { this.clone() } else { quote!(#parameter) }
        };
        methods.iter().map(other).collect()
    };
    let fields = methods.iter().map(|other| {
        let other_name = &other.ident;
        if other.ident == method.ident { quote!(#name: map(self.#name)) } else { quote!(#other_name: self.#other_name) }
    });
    let mapped = with(quote!(#endpoint));
    let layered = with(quote!(<#layer as ::kit_endpoint::Layer<#parameter>>::Service));
    let bound = method.endpoint_bound();
    let map_docs = format!("The same with another endpoint for [`{ident}::{text}`], made from the present one.");
    let layer_docs = format!("The same with this layer over the endpoint of [`{ident}::{text}`] alone.");
    let call = format_ident!("{map_one}", span = Span::call_site());
    quote! {
        #[doc = #layer_docs]
        #[must_use]
        #vis fn #layer_one<#layer>(self, layer: #layer) -> #endpoints<#(#layered),*>
        where
            #layer: ::kit_endpoint::Layer<#parameter>,
            <#layer as ::kit_endpoint::Layer<#parameter>>::Service: #bound,
        {
            self.#call(|endpoint| ::kit_endpoint::Layer::layer(&layer, endpoint))
        }

        #[doc = #map_docs]
        #[must_use]
        #vis fn #map_one<#endpoint>(
            self,
            map: impl ::core::ops::FnOnce(#parameter) -> #endpoint,
        ) -> #endpoints<#(#mapped),*> {
            #endpoints { #(#fields,)* }
        }
    }
}
