//! `#[kit(...)]` on a variant.

use syn::meta::ParseNestedMeta;
use syn::{Ident, LitStr, Result, Variant};

use crate::errors::one_of;

const OPTIONS: [&str; 4] = ["kind", "message", "reason", "other"];

/// `kit_base::Kind::ALL`, by name.
const KINDS: [&str; 16] = [
    "Cancelled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// What `#[kit(...)]` says of a variant.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) kind: Option<Ident>,
    pub(super) message: Option<LitStr>,
    pub(super) reason: Option<LitStr>,
    /// Where `other` stands.
    pub(super) other: Option<Ident>,
}

impl Attributes {
    pub(super) fn read(variant: &Variant) -> Result<Self> {
        let mut read = Self::default();
        for attribute in variant.attrs.iter().filter(|attribute| attribute.path().is_ident("kit")) {
            attribute.parse_nested_meta(|meta| read.option(&meta))?;
        }
        Ok(read)
    }

    fn option(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let twice = match name.as_str() {
            "kind" => self.kind.replace(kind(meta)?).is_some(),
            "message" => self.message.replace(text(meta, &name)?).is_some(),
            "reason" => self.reason.replace(reason(meta)?).is_some(),
            "other" => self.other.replace(meta.path.require_ident()?.clone()).is_some(),
            _ => return Err(meta.error(format!("unknown option `{name}`: expected {}", one_of(&OPTIONS)))),
        };
        if twice {
            return Err(meta.error(format!("the option `{name}` is given twice: keep one")));
        }
        Ok(())
    }
}

fn kind(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    let path: syn::Path = meta
        .value()
        .and_then(|value| value.parse())
        .map_err(|error| syn::Error::new(error.span(), "`kind` takes the name of a kind: `kind = NotFound`"))?;
    let kind = path.segments.last().map(|segment| segment.ident.clone());
    match kind {
        Some(kind) if KINDS.iter().any(|known| kind == known) => Ok(kind),
        _ => {
            let given = path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
            Err(syn::Error::new_spanned(path, format!("unknown kind `{given}`: expected {}", one_of(&KINDS))))
        }
    }
}

fn text(meta: &ParseNestedMeta<'_>, name: &str) -> Result<LitStr> {
    meta.value()
        .and_then(|value| value.parse())
        .map_err(|error| syn::Error::new(error.span(), format!("`{name}` takes a text: `{name} = \"...\"`")))
}

fn reason(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let reason = text(meta, "reason")?;
    let value = reason.value();
    let right = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if value.is_empty() || !value.chars().all(right) {
        let message = format!("the reason {value:?} is not in `UPPER_SNAKE_CASE`");
        return Err(syn::Error::new(reason.span(), message));
    }
    Ok(reason)
}
