//! The implementations for an error enum.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Fields, Ident};

use super::message::{Message, tuple_binding};
use super::model::{ErrorEnum, FailureVariant};

/// `kit_base::Failure`: the kind of each variant; all else is known of `other` only.
pub(super) fn failure(error: &ErrorEnum) -> TokenStream {
    let ErrorEnum { ident, failures, other, .. } = error;
    let kinds = failures
        .iter()
        .map(|FailureVariant { ident, kind, .. }| quote!(Self::#ident { .. } => ::kit_endpoint::base::Kind::#kind));
    let of_other = |what: &str, otherwise: TokenStream| {
        let method = format_ident!("{what}");
        let rest = (!failures.is_empty()).then(|| quote!(_ => #otherwise,));
        quote! {
            match self {
                Self::#other(error) => ::kit_endpoint::base::Failure::#method(error),
                #rest
            }
        }
    };
    let plain = (!failures.is_empty()).then(|| quote!(plain => plain,));
    let origin = of_other("origin", quote!(::kit_endpoint::base::Origin::Remote));
    let hint = of_other("retry_hint", quote!(::kit_endpoint::base::RetryHint::None));
    quote! {
        #[automatically_derived]
        impl ::kit_endpoint::base::Failure for #ident {
            fn kind(&self) -> ::kit_endpoint::base::Kind {
                match self {
                    #(#kinds,)*
                    Self::#other(error) => ::kit_endpoint::base::Failure::kind(error),
                }
            }

            fn origin(&self) -> ::kit_endpoint::base::Origin {
                #origin
            }

            fn retry_hint(&self) -> ::kit_endpoint::base::RetryHint {
                #hint
            }

            fn into_answer(self) -> Self {
                match self {
                    Self::#other(error) => Self::#other(::kit_endpoint::base::Failure::into_answer(error)),
                    #plain
                }
            }
        }
    }
}

/// The way to `kit_base::Error`, and back.
pub(super) fn conversions(error: &ErrorEnum) -> TokenStream {
    let ErrorEnum { ident, failures, other, .. } = error;
    let to = failures.iter().map(|failure| to_error(ident, failure));
    // What has fields cannot be made again from kind, reason and text, and stays whole in `other`.
    let back = failures.iter().filter(|failure| is_empty(&failure.fields)).map(|failure| {
        let FailureVariant { ident, kind, reason, .. } = failure;
        let text = constant(failure).map_or_else(|| quote!(&Self::#ident {}), |text| quote!(&#text));
        quote! {
            (::kit_endpoint::base::Kind::#kind, ::core::option::Option::Some(#reason))
                if ::kit_endpoint::__private::says_no_more(&error, #text) =>
            {
                Self::#ident {}
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl ::core::convert::From<#ident> for ::kit_endpoint::base::Error {
            fn from(error: #ident) -> Self {
                match error {
                    #(#to)*
                    #ident::#other(error) => error,
                }
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<::kit_endpoint::base::Error> for #ident {
            fn from(error: ::kit_endpoint::base::Error) -> Self {
                match (error.kind(), error.reason()) {
                    #(#back)*
                    _ => Self::#other(error),
                }
            }
        }
    }
}

fn to_error(name: &Ident, failure: &FailureVariant) -> TokenStream {
    let FailureVariant { ident, kind, reason, .. } = failure;
    let (pattern, text) = match constant(failure) {
        Some(text) => (quote!(#name::#ident { .. }), quote!(#text)),
        None => (quote!(error @ #name::#ident { .. }), quote!(::std::string::ToString::to_string(&error))),
    };
    quote! {
        #pattern => {
            ::kit_endpoint::base::Error::new(::kit_endpoint::base::Kind::#kind, #text).with_reason(#reason)
        }
    }
}

/// The text of a variant, where it is the same for every value.
fn constant(failure: &FailureVariant) -> Option<&str> {
    failure.message.as_ref()?.constant.as_deref()
}

fn is_empty(fields: &Fields) -> bool {
    fields.is_empty()
}

/// `Display` and `std::error::Error`.
pub(super) fn display(error: &ErrorEnum) -> TokenStream {
    let ErrorEnum { ident, failures, other, .. } = error;
    let texts = failures.iter().filter_map(|failure| {
        let Message { format, .. } = failure.message.as_ref()?;
        let pattern = pattern(failure);
        Some(quote!(#pattern => ::core::write!(__formatter, #format)))
    });
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Display for #ident {
            #[allow(unused_variables, reason = "a message may leave fields out")]
            fn fmt(&self, __formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    #(#texts,)*
                    Self::#other(error) => ::core::fmt::Display::fmt(error, __formatter),
                }
            }
        }

        #[automatically_derived]
        impl ::std::error::Error for #ident {
            fn source(&self) -> ::core::option::Option<&(dyn ::std::error::Error + 'static)> {
                match self {
                    Self::#other(error) => ::std::error::Error::source(error),
                    #[allow(unreachable_patterns, reason = "there may be no other variant")]
                    _ => ::core::option::Option::None,
                }
            }
        }
    }
}

/// The variant with its fields bound to the names that messages use.
fn pattern(failure: &FailureVariant) -> TokenStream {
    let ident = &failure.ident;
    match &failure.fields {
        Fields::Unit => quote!(Self::#ident),
        Fields::Named(fields) => {
            let names = fields.named.iter().filter_map(|field| field.ident.as_ref());
            quote!(Self::#ident { #(#names),* })
        }
        Fields::Unnamed(fields) => {
            let names = (0..fields.unnamed.len()).map(tuple_binding);
            quote!(Self::#ident(#(#names),*))
        }
    }
}
