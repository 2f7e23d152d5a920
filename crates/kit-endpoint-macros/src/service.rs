//! `#[service]`: a trait is read, checked, and expanded.

use proc_macro2::TokenStream;

mod attributes;
mod compose;
mod endpoints;
mod local;
mod method;
mod model;
mod options;
mod remote;
mod signature;

use model::Service;

pub(crate) fn service(options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let service = Service::read(options, item)?;
    let mut expansion = local::checks(&service);
    expansion.extend(local::service_trait(&service));
    expansion.extend(endpoints::endpoints(&service));
    expansion.extend(local::method_endpoints(&service));
    expansion.extend(compose::composition(&service));
    expansion.extend(remote::transports(&service));
    expansion.extend(remote::as_service(&service));
    Ok(expansion)
}
