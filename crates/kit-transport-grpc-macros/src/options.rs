//! `#[describe(...)]`, and what else stands on an item beside `#[prost(...)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, LitStr, Meta, Result};

use crate::errors::{Errors, one_of};

/// What a message, enumeration, field or variant says of itself.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) package: Option<LitStr>,
    pub(crate) docs: Vec<TokenStream>,
    pub(crate) deprecated: bool,
}

impl Options {
    /// `package` is known only where a type is named.
    pub(crate) fn read(attributes: &[Attribute], known: &[&str], errors: &mut Errors) -> Self {
        let mut read = Self::default();
        for attribute in attributes {
            let path = attribute.path();
            if path.is_ident("describe") {
                let options = attribute.parse_nested_meta(|meta| read.option(&meta, known));
                errors.keep(options);
            } else if path.is_ident("deprecated") {
                read.deprecated = true;
            } else if let (true, Meta::NameValue(doc)) = (path.is_ident("doc"), &attribute.meta) {
                let text = &doc.value;
                read.docs.push(quote!(#text));
            }
        }
        read
    }

    fn option(&mut self, meta: &syn::meta::ParseNestedMeta<'_>, known: &[&str]) -> Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let option = match name.as_str() {
            "name" => &mut self.name,
            "package" if known.contains(&"package") => &mut self.package,
            _ => return Err(meta.error(format!("unknown option `{name}`: expected {}", one_of(known)))),
        };
        let text = meta.value().and_then(|value| value.parse::<LitStr>());
        let text =
            text.map_err(|error| syn::Error::new(error.span(), format!("`{name}` takes a text: `{name} = \"...\"`")))?;
        if option.replace(text).is_some() {
            return Err(meta.error(format!("the option `{name}` is given twice: keep one")));
        }
        Ok(())
    }

    /// The name given, or the other one, and where it stands.
    pub(crate) fn name_or(&self, otherwise: String, at: Span) -> (String, Span) {
        self.name.as_ref().map_or((otherwise, at), |name| (name.value(), name.span()))
    }

    /// The calls that add docs and deprecation to what is built.
    pub(crate) fn calls(&self) -> TokenStream {
        let docs = &self.docs;
        let docs = (!docs.is_empty()).then(|| quote!(.docs(::core::concat!(#(#docs, "\n"),*))));
        let deprecated = self.deprecated.then(|| quote!(.deprecated()));
        quote!(#docs #deprecated)
    }
}
