//! `#[prost(...)]` on a field, as prost-derive reads it. What is wrong in prost's eyes too is left to prost to say.

use proc_macro2::Span;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta, Path, Result, Token};

/// Each scalar by prost's name and ours.
const SCALARS: [(&str, &str); 15] = [
    ("double", "Double"),
    ("float", "Float"),
    ("int32", "Int32"),
    ("int64", "Int64"),
    ("uint32", "Uint32"),
    ("uint64", "Uint64"),
    ("sint32", "Sint32"),
    ("sint64", "Sint64"),
    ("fixed32", "Fixed32"),
    ("fixed64", "Fixed64"),
    ("sfixed32", "Sfixed32"),
    ("sfixed64", "Sfixed64"),
    ("bool", "Bool"),
    ("string", "String"),
    ("bytes", "Bytes"),
];

/// What a field holds.
pub(crate) enum Type {
    Scalar(Ident),
    Enumeration(Path),
    Message,
    Map(Ident, Box<Type>),
    Oneof(Path),
}

/// What prost is told of a field.
pub(crate) struct Prost {
    pub(crate) ty: Type,
    pub(crate) tags: Vec<u32>,
    pub(crate) optional: bool,
    pub(crate) repeated: bool,
    pub(crate) required: bool,
    /// What is said of it, if anything is.
    pub(crate) packed: Option<bool>,
}

impl Prost {
    /// `next` is the tag of a field without one.
    pub(crate) fn read(attributes: &[Attribute], of: Span, next: Option<u32>) -> Result<Self> {
        let mut ty = None;
        let mut tags = Vec::new();
        let (mut optional, mut repeated, mut required, mut packed) = (false, false, false, None);
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("prost")) {
            for meta in attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
                let word = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
                match word.as_str() {
                    "tag" | "tags" => tags = numbers(&meta)?,
                    "optional" => optional = true,
                    "repeated" => repeated = true,
                    "required" => required = true,
                    "packed" => packed = Some(flag(&meta)?),
                    "boxed" => {}
                    "default" => return Err(refused(&meta, "default values", "remove it, or set the value in code")),
                    "group" => return Err(refused(&meta, "groups", "make it a message")),
                    _ => ty = Some(read_type(&meta, &word)?),
                }
            }
        }
        let ty = ty.ok_or_else(|| {
            syn::Error::new(
                of,
                "no `#[prost(...)]` says the type of this field: `Describe` stands beside prost's derive",
            )
        })?;
        if tags.is_empty() {
            tags.extend(next);
        }
        if tags.is_empty() {
            return Err(syn::Error::new(of, "this variant has no tag: say `#[prost(..., tag = 1)]`"));
        }
        Ok(Self { ty, tags, optional, repeated, required, packed })
    }
}

fn refused(meta: &Meta, what: &str, instead: &str) -> syn::Error {
    syn::Error::new_spanned(meta, format!("proto3 has no {what}, so this cannot be described: {instead}"))
}

fn read_type(meta: &Meta, word: &str) -> Result<Type> {
    match word {
        "message" => Ok(Type::Message),
        "enumeration" => Ok(Type::Enumeration(path(meta)?)),
        "oneof" => Ok(Type::Oneof(path(meta)?)),
        "map" | "hash_map" | "btree_map" => map(meta),
        _ => scalar(word, meta.span()).ok_or_else(|| {
            syn::Error::new_spanned(meta, format!("`{word}` is unknown to `Describe` in `#[prost(...)]`"))
        }),
    }
}

fn scalar(name: &str, at: Span) -> Option<Type> {
    let (_, ours) = SCALARS.iter().find(|(prost, _)| *prost == name)?;
    Some(Type::Scalar(Ident::new(ours, at)))
}

/// `map = "string, enumeration(Color)"` or `map(string, message)`.
fn map(meta: &Meta) -> Result<Type> {
    let wrong = || syn::Error::new_spanned(meta, "expected the types of key and value: `map = \"string, message\"`");
    let types = match meta {
        Meta::List(list) => list.tokens.to_string(),
        _ => text(meta).ok_or_else(wrong)?.value(),
    };
    let (key, value) = types.split_once(',').ok_or_else(wrong)?;
    let Some(Type::Scalar(key)) = scalar(key.trim(), meta.span()) else { return Err(wrong()) };
    let value = value.trim();
    let value = match value.strip_prefix("enumeration") {
        Some(rest) => {
            let path = rest.trim().trim_start_matches(['(', '<']).trim_end_matches([')', '>']);
            Type::Enumeration(parsed(path, meta)?)
        }
        None if value == "message" => Type::Message,
        None => scalar(value, meta.span()).ok_or_else(wrong)?,
    };
    Ok(Type::Map(key, Box::new(value)))
}

/// `tag = "1"`, `tag = 1`, `tag(1)`, `tags = "1, 2"` or `tags(1, 2)`.
fn numbers(meta: &Meta) -> Result<Vec<u32>> {
    let text = match meta {
        Meta::List(list) => list.tokens.to_string(),
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.value(),
            Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_digits().to_owned(),
            _ => String::new(),
        },
        Meta::Path(_) => String::new(),
    };
    let numbers = text.split(',').map(|number| number.trim().parse());
    numbers.collect::<std::result::Result<_, _>>().map_err(|_| syn::Error::new_spanned(meta, "expected a number"))
}

/// `packed`, `packed = "false"`, `packed = false` or `packed(false)`.
fn flag(meta: &Meta) -> Result<bool> {
    let wrong = || syn::Error::new_spanned(meta, "expected `true` or `false`");
    match meta {
        Meta::Path(_) => Ok(true),
        Meta::List(list) => list.parse_args::<syn::LitBool>().map(|flag| flag.value()),
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Bool(flag), .. }) => Ok(flag.value()),
            _ => text(meta).and_then(|text| text.value().parse().ok()).ok_or_else(wrong),
        },
    }
}

/// `oneof = "path::Kind"` or `oneof(Kind)`.
fn path(meta: &Meta) -> Result<Path> {
    match (meta, text(meta)) {
        (_, Some(text)) => parsed(&text.value(), meta),
        (Meta::List(list), None) => list.parse_args(),
        _ => Err(syn::Error::new_spanned(meta, "expected the path of a type")),
    }
}

/// A path from a text: of the names it holds, each stands where the attribute stands.
fn parsed(path: &str, at: &Meta) -> Result<Path> {
    let text = syn::LitStr::new(path, at.span());
    text.parse().map_err(|_| syn::Error::new_spanned(at, format!("`{path}` is no path of a type")))
}

fn text(meta: &Meta) -> Option<syn::LitStr> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}
