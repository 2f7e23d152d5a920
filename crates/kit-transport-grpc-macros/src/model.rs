//! A message, enumeration or oneof as the macro understands it.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{Data, DeriveInput, Expr, ExprLit, Fields, Ident, Lit, Variant};

use crate::errors::Errors;
use crate::names;
use crate::options::Options;
use crate::prost::{Prost, Type};

const NAME: [&str; 1] = ["name"];

/// A type that is described.
pub(crate) struct Described {
    pub(crate) ident: Ident,
    pub(crate) options: Options,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Message(Vec<Field>),
    Enumeration(Vec<Value>),
    Oneof(Vec<Field>),
}

/// A field of a message or oneof, or a oneof in a message.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) options: Options,
    pub(crate) prost: Prost,
    pub(crate) ty: syn::Type,
    pub(crate) in_oneof: bool,
}

/// A value of an enumeration.
pub(crate) struct Value {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    pub(crate) options: Options,
}

impl Described {
    pub(crate) fn read(input: DeriveInput, errors: &mut Errors) -> Option<Self> {
        let ident = input.ident;
        let options = Options::read(&input.attrs, &["name", "package"], errors);
        let (name, at) = options.name_or(names::plain(&ident), ident.span());
        names::check(&name, at, true, errors);
        if let Some(package) = options.package.as_ref().filter(|package| !package.value().is_empty()) {
            names::check(&package.value(), package.span(), true, errors);
        }
        if !input.generics.params.is_empty() {
            errors
                .at(&input.generics, format!("`{ident}` is generic, and protobuf has no such messages: name each one"));
        }
        let body = match input.data {
            Data::Struct(data) => Body::Message(message(data.fields, errors)),
            Data::Enum(data) if data.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit)) => {
                Body::Enumeration(enumeration(&ident, data.variants, errors))
            }
            Data::Enum(data) => {
                if let Some(given) = options.name.as_ref().or(options.package.as_ref()) {
                    errors.at(given, "a oneof has its name from the field of the message: put it there");
                }
                Body::Oneof(data.variants.into_iter().filter_map(|variant| oneof_field(variant, errors)).collect())
            }
            Data::Union(_) => {
                errors.at(
                    &ident,
                    format!("`{ident}` is a union: a message is a struct, an enumeration or oneof an enum"),
                );
                return None;
            }
        };
        Some(Self { ident, options, body })
    }
}

fn message(fields: Fields, errors: &mut Errors) -> Vec<Field> {
    let mut next = 1;
    let mut read = Vec::new();
    for field in fields {
        let at = field.ident.as_ref().map_or_else(|| span(&field.ty), Ident::span);
        let options = Options::read(&field.attrs, &NAME, errors);
        let Some(prost) = errors.keep(Prost::read(&field.attrs, at, Some(next))) else { continue };
        next = prost.tags.iter().max().map_or(next, |tag| tag.saturating_add(1));
        let Some(name) = field.ident.as_ref().map(names::plain).or(options.name.as_ref().map(|_| String::new())) else {
            errors.at_span(at, "this field has no name: give one by `#[describe(name = \"...\")]`");
            continue;
        };
        let (name, at) = options.name_or(name, at);
        names::check(&name, at, false, errors);
        read.push(Field { name, options, prost, ty: field.ty, in_oneof: false });
    }
    read
}

fn oneof_field(variant: Variant, errors: &mut Errors) -> Option<Field> {
    let options = Options::read(&variant.attrs, &NAME, errors);
    let at = variant.ident.span();
    let prost = errors.keep(Prost::read(&variant.attrs, at, None))?;
    let mut fields = variant.fields.into_iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        let message = format!("`{0}` must hold one value, as in `{0}(String)`", variant.ident);
        errors.at(&variant.ident, message);
        return None;
    };
    if matches!(prost.ty, Type::Map(..) | Type::Oneof(_)) || prost.repeated {
        errors.at_span(
            at,
            "protobuf has no repeated fields, maps or oneofs in a oneof: put them into a message of their own",
        );
    }
    let (name, at) = options.name_or(names::snake(&names::plain(&variant.ident)), at);
    names::check(&name, at, false, errors);
    Some(Field { name, options, prost, ty: field.ty, in_oneof: true })
}

fn enumeration(ident: &Ident, variants: impl IntoIterator<Item = Variant>, errors: &mut Errors) -> Vec<Value> {
    let mut values = Vec::new();
    for variant in variants {
        let options = Options::read(&variant.attrs, &NAME, errors);
        let name = names::value(&names::plain(ident), &names::plain(&variant.ident));
        let (name, at) = options.name_or(name, variant.ident.span());
        names::check(&name, at, false, errors);
        // What is no literal is checked when the descriptors are made.
        let other = match variant.discriminant {
            Some((_, Expr::Lit(ExprLit { lit: Lit::Int(number), .. }))) => number.base10_parse::<u32>().ok() != Some(0),
            Some((_, Expr::Unary(_))) => true,
            _ => false,
        };
        if values.is_empty() && other {
            let message =
                format!("`{}` must be 0: in proto3 the first value is, and stands for an absent one", variant.ident);
            errors.at(&variant.ident, message);
        }
        values.push(Value { ident: variant.ident, name, options });
    }
    values
}

fn span(tokens: &impl ToTokens) -> Span {
    syn::spanned::Spanned::span(&tokens.to_token_stream())
}
