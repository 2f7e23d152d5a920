//! The trait itself, and the endpoints over an implementation of it.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::method::Method;
use super::model::Service;

/// The trait, with `async fn` written out so that the futures are `Send`; and its way through an `Arc`.
pub(super) fn service_trait(service: &Service) -> TokenStream {
    let Service { attributes, vis, ident, methods, .. } = service;
    let declared = methods.iter().map(|method| {
        let Method { attributes, ident, inputs, types, default, .. } = method;
        let output = &types.output;
        let body = default.as_ref().map_or_else(|| quote!(;), |block| quote!({ async move #block }));
        quote! {
            #(#attributes)*
            fn #ident(#(#inputs),*) -> impl ::core::future::Future<Output = #output> + ::core::marker::Send #body
        }
    });
    let inner = service.fresh("S");
    let shared = methods.iter().map(|method| {
        let Method { ident: name, types, .. } = method;
        let (context, request, output) = (&types.context, &types.request, &types.output);
        quote! {
            fn #name(
                &self,
                cx: &#context,
                req: #request,
            ) -> impl ::core::future::Future<Output = #output> + ::core::marker::Send {
                <#inner as #ident>::#name(self, cx, req)
            }
        }
    });
    quote! {
        #(#attributes)*
        #vis trait #ident: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#declared)*
        }

        impl<#inner: #ident> #ident for ::std::sync::Arc<#inner> {
            #(#shared)*
        }
    }
}

/// Says early, and at the user's types, what is missing of them: types of constants are checked before bodies are.
pub(super) fn checks(service: &Service) -> TokenStream {
    let types = service.methods.iter().map(|method| &method.types);
    let errors = distinct(types.clone().map(|types| &types.error));
    let errors = errors.into_iter().map(|error| check(error, &quote!(IsError)));
    let messages = distinct(types.flat_map(|types| [&types.request, &types.reply]));
    let messages = messages.into_iter().map(|message| check(message, &quote!(IsMessage)));
    errors.chain(messages).collect()
}

fn check(ty: &Type, check: &TokenStream) -> TokenStream {
    quote_spanned! {ty.span()=>
        const _: ::core::option::Option<::kit_endpoint::__private::#check<#ty>> = ::core::option::Option::None;
    }
}

fn distinct<'a>(types: impl Iterator<Item = &'a Type>) -> Vec<&'a Type> {
    let mut seen = Vec::new();
    let mut distinct = Vec::new();
    for ty in types {
        let text = ty.to_token_stream().to_string();
        if !seen.contains(&text) {
            seen.push(text);
            distinct.push(ty);
        }
    }
    distinct
}

/// For each method, the endpoint that calls it on an implementation.
pub(super) fn method_endpoints(service: &Service) -> TokenStream {
    service.methods.iter().map(|method| method_endpoint(service, method)).collect()
}

fn method_endpoint(service: &Service, method: &Method) -> TokenStream {
    let Service { vis, ident, endpoints, .. } = service;
    let Method { ident: name, endpoint, constant, types, .. } = method;
    let (request, response, error) = (method.request(), method.response(), &types.error);
    let inner = service.fresh("S");
    let docs = format!("The endpoint of [`{ident}::{}`] over an implementation. Clones share it.", method.name);
    let text = endpoint.to_string();
    let answer =
        if types.answers_response { quote!(answer) } else { quote!(::kit_endpoint::base::Response::new(answer)) };
    // Where the user's `Context` is another type of that name, the error belongs there.
    let context = quote_spanned!(types.context.span()=> &cx);
    quote! {
        #[doc = #docs]
        #vis struct #endpoint<#inner>(::std::sync::Arc<#inner>);

        impl<#inner> ::core::clone::Clone for #endpoint<#inner> {
            fn clone(&self) -> Self {
                Self(::std::sync::Arc::clone(&self.0))
            }
        }

        impl<#inner> ::core::fmt::Debug for #endpoint<#inner> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#text).finish_non_exhaustive()
            }
        }

        impl<#inner: #ident> ::kit_endpoint::base::Endpoint<#request> for #endpoint<#inner> {
            type Response = #response;
            type Error = #error;

            async fn call(
                &self,
                req: #request,
            ) -> ::core::result::Result<Self::Response, Self::Error> {
                let (cx, req) = req.into_parts();
                let cx = cx.with_operation(<#endpoints>::#constant);
                match ::kit_endpoint::base::catch_panic(|| <#inner as #ident>::#name(&self.0, #context, req)).await {
                    ::core::result::Result::Ok(answer) => ::core::result::Result::Ok(#answer),
                    // The method has run, whatever the calls that it made itself have come to.
                    ::core::result::Result::Err(error) => {
                        ::core::result::Result::Err(::kit_endpoint::base::Failure::into_answer(error))
                    }
                }
            }
        }
    }
}
