//! The macros of kit-endpoint: `#[service]`, and the derive for error enums. Use them through `kit_endpoint`.
//!
//! Both expand to code that names everything by `::kit_endpoint`, and that can be written by hand instead; the
//! documentation of `kit_endpoint` shows the expansion. Every mistake is an error at the place of the mistake, whose
//! first line says what to do.

use proc_macro::TokenStream;

mod error;
mod errors;
mod names;
mod service;

/// A service from a trait: one typed endpoint for each method, to be layered, bound to transports and connected
/// through them.
///
/// On the trait: `name = "addsvc"` (the service in operations; by default the trait's name in snake case) and
/// `grpc = "pb.Add"` (its full name over gRPC; without it methods have no gRPC name).
///
/// On a method: `#[idempotent]` (a second call does no harm, so that it may be retried), `#[http("POST /sum")]` (verbs
/// and path, as in `GET,POST /users/{id}?limit`; by default `POST /` and the method's name) and `#[grpc("Sum")]` (by
/// default the name in camel case; only with `grpc` on the trait).
///
/// The endpoint of a method turns a panic into an error of the kind `Internal`, and an error, wherever it arose, into
/// the method's answer: the method has run, so its origin is `Remote`, and no retry may take it for a call that was
/// never sent.
#[proc_macro_attribute]
pub fn service(options: TokenStream, item: TokenStream) -> TokenStream {
    service::service(options.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum an error of endpoints: its kind, its way to `kit_base::Error` and back, and its texts.
///
/// Each variant has `#[kit(kind = NotFound, message = "no user {id}")]`, and may have `reason = "NO_SUCH_USER"` (by
/// default the variant's name in upper snake case). One variant, `#[kit(other)] Other(kit_base::Error)`, takes
/// whatever else goes wrong: the refusals of layers, the errors of transports, panics.
///
/// From a `kit_base::Error`, a variant without fields comes back where the variant says all that the error does: kind,
/// reason, and its own text (or the neutral one that peers are told of `Internal` and `Unknown`), with no source, no
/// hint about retries, and the origin `Remote`. Everything else stays whole in `Other`: so does a variant with fields when
/// it comes from a remote service, because only its text travels. Match on kind and reason there.
///
/// If no variant has a `message`, `Display` and `std::error::Error` are left to you.
#[proc_macro_derive(Error, attributes(kit))]
pub fn error(item: TokenStream) -> TokenStream {
    error::error(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
