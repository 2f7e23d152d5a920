//! The text of a variant: a format string over its fields.

use quote::format_ident;
use syn::{Fields, Ident, LitStr, Result};

/// The text of a variant, ready for `write!`.
pub(super) struct Message {
    /// The format string, with `{0}` changed into `{_0}`.
    pub(super) format: LitStr,
    /// The text itself, where nothing in it depends on the value.
    pub(super) constant: Option<String>,
}

impl Message {
    pub(super) fn read(variant: &Ident, fields: &Fields, message: &LitStr) -> Result<Self> {
        let text = message.value();
        let mut format = String::with_capacity(text.len());
        let mut rest = text.as_str();
        let mut constant = !text.contains('}');
        while let Some(open) = rest.find('{') {
            constant = false;
            format.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
            if let Some(after) = rest.strip_prefix('{') {
                format.push('{');
                rest = after;
                continue;
            }
            let end = rest.find([':', '}']).unwrap_or(rest.len());
            let name = rest[..end].trim();
            check_field(variant, fields, name, message)?;
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                format.push('_');
            }
            format.push_str(name);
            rest = &rest[end..];
        }
        format.push_str(rest);
        Ok(Self { format: LitStr::new(&format, message.span()), constant: constant.then_some(text) })
    }
}

fn check_field(variant: &Ident, fields: &Fields, name: &str, message: &LitStr) -> Result<()> {
    let fail = |text: String| Err(syn::Error::new(message.span(), text));
    if name.is_empty() {
        return fail(format!("name the field of `{variant}` in its message: `{{0}}` or `{{id}}`, not `{{}}`"));
    }
    let known = match fields {
        Fields::Named(fields) => fields.named.iter().any(|field| field.ident.as_ref().is_some_and(|id| id == name)),
        Fields::Unnamed(fields) => name.parse().is_ok_and(|index: usize| index < fields.unnamed.len()),
        Fields::Unit => false,
    };
    if !known {
        return fail(format!("`{variant}` has no field `{name}` for its message"));
    }
    Ok(())
}

/// The name that a field of a tuple variant has in the generated code.
pub(super) fn tuple_binding(index: usize) -> Ident {
    format_ident!("_{index}")
}
