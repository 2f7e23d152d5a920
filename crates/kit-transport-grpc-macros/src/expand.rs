//! The implementation of `Describe`, or for a oneof of `DescribeOneof`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::model::{Body, Described, Field, Value};
use crate::names;
use crate::prost::Type;

pub(crate) fn expand(described: &Described) -> TokenStream {
    match &described.body {
        Body::Message(members) => message(described, members),
        Body::Enumeration(values) => enumeration(described, values),
        Body::Oneof(fields) => oneof(described, fields),
    }
}

fn message(described: &Described, members: &[Field]) -> TokenStream {
    let name = names::plain(&described.ident);
    let members = members.iter().map(member);
    let description = quote! {
        ::kit_transport_grpc::describe::Description::message(#name, ::std::vec![#(#members),*])
    };
    // The name that `prost::Name` gives, where the message implements it.
    let unnamed = quote! {
        #[allow(unused_imports, reason = "only a message without a name needs it")]
        use ::kit_transport_grpc::describe::__private::Unnamed as _;
    };
    let description = quote!(::kit_transport_grpc::describe::__private::Named::<Self>::new().name(#description));
    describe(described, &unnamed, &description)
}

fn enumeration(described: &Described, values: &[Value]) -> TokenStream {
    let ident = &described.ident;
    let name = names::plain(ident);
    let idents = values.iter().map(|value| &value.ident);
    let given = values.iter().map(|value| &value.name);
    let values = values.iter().map(|Value { ident, name, options }| {
        let calls = options.calls();
        let name = if options.name.is_some() { quote!(#name) } else { quote!(Self::#ident.as_str_name()) };
        quote!(::kit_transport_grpc::describe::Value::new(#name, Self::#ident as i32)#calls)
    });
    // The method of the enumeration itself goes before the one of the trait.
    let names = quote! {
        #[allow(dead_code, reason = "the enumeration may have the method itself")]
        trait Name {
            fn as_str_name(&self) -> &'static str;
        }

        #[allow(deprecated, reason = "a deprecated value has a name too")]
        impl Name for #ident {
            fn as_str_name(&self) -> &'static str {
                match self {
                    #(Self::#idents => #given,)*
                }
            }
        }
    };
    let description = quote! {
        ::kit_transport_grpc::describe::Description::enumeration(#name, ::std::vec![#(#values),*])
    };
    describe(described, &names, &description)
}

fn describe(described: &Described, before: &TokenStream, description: &TokenStream) -> TokenStream {
    let Described { ident, options, .. } = described;
    let calls = options.calls();
    let name = options.name.as_ref().map(|name| quote!(.name(#name)));
    let package = options.package.as_ref().map(|package| quote!(.package(#package)));
    quote! {
        #[automatically_derived]
        #[allow(deprecated, reason = "what is deprecated is described too")]
        impl ::kit_transport_grpc::describe::Describe for #ident {
            fn describe() -> ::kit_transport_grpc::describe::Description {
                #before
                #description.module(::core::module_path!())#name #package #calls
            }
        }
    }
}

fn oneof(described: &Described, fields: &[Field]) -> TokenStream {
    let ident = &described.ident;
    let fields = fields.iter().map(field);
    quote! {
        #[automatically_derived]
        #[allow(deprecated, reason = "what is deprecated is described too")]
        impl ::kit_transport_grpc::describe::DescribeOneof for #ident {
            fn fields() -> ::std::vec::Vec<::kit_transport_grpc::describe::Field> {
                ::std::vec![#(#fields),*]
            }
        }
    }
}

/// A field or a oneof of a message.
fn member(of: &Field) -> TokenStream {
    let Field { name, options, prost, .. } = of;
    let member = match &prost.ty {
        Type::Oneof(path) => {
            let calls = options.calls();
            quote!(::kit_transport_grpc::describe::Oneof::of::<#path>(#name)#calls)
        }
        _ => field(of),
    };
    quote!(::core::convert::Into::into(#member))
}

fn field(of: &Field) -> TokenStream {
    let Field { name, options, prost, ty, .. } = of;
    let (number, calls) = (prost.tags.first(), options.calls());
    let is_message = matches!(prost.ty, Type::Message);
    let label = if prost.repeated {
        let unpacked = (prost.packed == Some(false)).then(|| quote!(.unpacked()));
        Some(quote!(.repeated()#unpacked))
    } else {
        // A message is optional anyway.
        (prost.optional && !is_message).then(|| quote!(.optional()))
    };
    // In a oneof, and where it is required, the message is there without a wrapping.
    let held = !of.in_oneof && !prost.required;
    let of_type = field_type(&prost.ty, ty, held);
    quote!(::kit_transport_grpc::describe::Field::new(#name, #number, #of_type)#label #calls)
}

fn field_type(of: &Type, ty: &syn::Type, held: bool) -> TokenStream {
    match of {
        Type::Scalar(scalar) => quote!(::kit_transport_grpc::describe::Scalar::#scalar),
        Type::Enumeration(path) => quote!(::kit_transport_grpc::describe::TypeRef::of::<#path>()),
        Type::Message if held => {
            quote_spanned! {ty.span()=>
                ::kit_transport_grpc::describe::TypeRef::of::<<#ty as ::kit_transport_grpc::describe::__private::Holds>::Item>()
            }
        }
        Type::Message => quote_spanned!(ty.span()=> ::kit_transport_grpc::describe::TypeRef::of::<#ty>()),
        Type::Map(key, value) => {
            let value = field_type(value, ty, true);
            quote! {
                ::kit_transport_grpc::describe::FieldType::map(::kit_transport_grpc::describe::Scalar::#key, #value)
            }
        }
        // `member` takes these.
        Type::Oneof(_) => TokenStream::new(),
    }
}
