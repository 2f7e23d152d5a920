//! `#[derive(Describe)]`: a type is read, checked, and expanded.

use proc_macro2::TokenStream;

use crate::errors::Errors;
use crate::expand;
use crate::model::Described;

pub(crate) fn describe(item: TokenStream) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let described = Described::read(syn::parse2(item)?, &mut errors);
    errors.into_result()?;
    Ok(described.map(|described| expand::expand(&described)).unwrap_or_default())
}
