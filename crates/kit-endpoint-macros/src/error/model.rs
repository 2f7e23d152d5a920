//! An error enum as the macro understands it.

use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Fields, Ident, Result, Variant};

use super::attributes::Attributes;
use super::message::Message;
use crate::errors::Errors;
use crate::names::upper_snake;

/// An enum of errors.
pub(super) struct ErrorEnum {
    pub(super) ident: Ident,
    pub(super) failures: Vec<FailureVariant>,
    /// The variant that holds whatever else goes wrong.
    pub(super) other: Ident,
    /// Whether the macro writes `Display`, from the messages.
    pub(super) has_messages: bool,
}

/// A variant that is a failure of its own.
pub(super) struct FailureVariant {
    pub(super) ident: Ident,
    pub(super) fields: Fields,
    pub(super) kind: Ident,
    pub(super) reason: String,
    pub(super) message: Option<Message>,
}

impl ErrorEnum {
    pub(super) fn read(item: TokenStream) -> Result<Self> {
        let input: DeriveInput = syn::parse2(item)?;
        let name = &input.ident;
        let Data::Enum(data) = input.data else {
            let message =
                format!("`{name}` is not an enum: `#[derive(kit_endpoint::Error)]` needs one variant for each failure");
            return Err(syn::Error::new_spanned(name, message));
        };
        let mut errors = Errors::default();
        if !input.generics.params.is_empty() {
            errors.at(&input.generics, format!("the error `{name}` cannot be generic: it is the same on every call"));
        }
        let mut failures: Vec<FailureVariant> = Vec::new();
        let mut other: Option<Ident> = None;
        for variant in data.variants {
            let Some(attributes) = errors.keep(Attributes::read(&variant)) else { continue };
            if let Some(token) = &attributes.other {
                check_other(&variant, &attributes, &mut errors);
                if let Some(first) = other.replace(variant.ident.clone()) {
                    let message = format!("`{first}` and `{}` are both `other`: keep one", variant.ident);
                    errors.at(token, message);
                }
            } else if let Some(failure) = failure(variant, attributes, &mut errors) {
                if let Some(same) = failures.iter().find(|earlier| earlier.reason == failure.reason) {
                    let (one, two, reason) = (&same.ident, &failure.ident, &failure.reason);
                    errors.at(two, format!("`{one}` and `{two}` have the same reason `{reason}`: give one another"));
                }
                failures.push(failure);
            }
        }
        let has_messages = check_messages(&failures, &mut errors);
        if other.is_none() {
            let message = format!(
                "`{name}` has no variant for other errors: add `#[kit(other)] Other(kit_endpoint::base::Error)`"
            );
            errors.at(name, message);
        }
        errors.into_result()?;
        let other = other.expect("without a variant for other errors there is an error");
        Ok(Self { ident: input.ident, failures, other, has_messages })
    }
}

fn check_other(variant: &Variant, attributes: &Attributes, errors: &mut Errors) {
    let name = &variant.ident;
    let has_one_field = matches!(&variant.fields, Fields::Unnamed(fields) if fields.unnamed.len() == 1);
    if !has_one_field {
        errors.at(name, format!("`{name}` must hold one `kit_base::Error`: `{name}(kit_endpoint::base::Error)`"));
    }
    if attributes.kind.is_some() || attributes.message.is_some() || attributes.reason.is_some() {
        errors.at(name, format!("`{name}` is `other`, and takes kind, message and reason from what it holds"));
    }
}

fn failure(variant: Variant, attributes: Attributes, errors: &mut Errors) -> Option<FailureVariant> {
    let ident = variant.ident;
    let Some(kind) = attributes.kind else {
        errors.at(&ident, format!("`{ident}` has no kind: say `#[kit(kind = NotFound)]`, or whichever it is"));
        return None;
    };
    let message = attributes.message.and_then(|message| errors.keep(Message::read(&ident, &variant.fields, &message)));
    let reason = attributes.reason.map_or_else(|| upper_snake(&ident.to_string()), |reason| reason.value());
    Some(FailureVariant { fields: variant.fields, kind, reason, message, ident })
}

/// All variants have a message, or none has.
fn check_messages(failures: &[FailureVariant], errors: &mut Errors) -> bool {
    let has_messages = failures.iter().any(|failure| failure.message.is_some()) || failures.is_empty();
    if has_messages {
        for FailureVariant { ident, .. } in failures.iter().filter(|failure| failure.message.is_none()) {
            let message =
                format!("`{ident}` has no message: give every variant one, or none and write `Display` yourself");
            errors.at(ident, message);
        }
    }
    has_messages
}
