//! The options of `#[service(...)]`.

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{LitStr, Result};

use crate::errors::one_of;

const OPTIONS: [&str; 2] = ["name", "grpc"];

/// What `#[service(...)]` says.
#[derive(Default)]
pub(super) struct Options {
    pub(super) name: Option<String>,
    pub(super) grpc: Option<String>,
}

impl Options {
    pub(super) fn read(tokens: TokenStream) -> Result<Self> {
        let mut options = Self::default();
        syn::meta::parser(|meta| options.option(&meta)).parse2(tokens)?;
        Ok(options)
    }

    fn option(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let slot = match name.as_str() {
            "name" => &mut self.name,
            "grpc" => &mut self.grpc,
            _ => return Err(meta.error(format!("unknown option `{name}`: expected {}", one_of(&OPTIONS)))),
        };
        if slot.is_some() {
            return Err(meta.error(format!("the option `{name}` is given twice: keep one")));
        }
        let value: LitStr = meta
            .value()
            .and_then(|value| value.parse())
            .map_err(|error| syn::Error::new(error.span(), format!("`{name}` takes a text: `{name} = \"...\"`")))?;
        let text = value.value();
        let right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if text.is_empty() || !text.chars().all(right) {
            let message = format!("`{name}` is {text:?}: use letters, digits, `_`, `-` and `.`");
            return Err(syn::Error::new(value.span(), message));
        }
        *slot = Some(text);
        Ok(())
    }
}
