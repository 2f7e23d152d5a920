//! `#[derive(Error)]`: an error enum is read, checked, and expanded.

use proc_macro2::TokenStream;

mod attributes;
mod expand;
mod message;
mod model;

pub(crate) fn error(item: TokenStream) -> syn::Result<TokenStream> {
    let error = model::ErrorEnum::read(item)?;
    let mut expansion = expand::failure(&error);
    expansion.extend(expand::conversions(&error));
    if error.has_messages {
        expansion.extend(expand::display(&error));
    }
    Ok(expansion)
}
