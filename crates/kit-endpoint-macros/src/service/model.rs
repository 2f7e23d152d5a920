//! A service as the macro understands it.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident};
use syn::{Attribute, Ident, Item, ItemTrait, Result, TraitItem, Visibility};

use super::method::Method;
use super::options::Options;
use crate::errors::Errors;
use crate::names::snake;

/// A trait that describes a service.
pub(super) struct Service {
    pub(super) attributes: Vec<Attribute>,
    pub(super) vis: Visibility,
    pub(super) ident: Ident,
    /// The service in operations.
    pub(super) name: String,
    /// The struct of endpoints: `AddEndpoints`.
    pub(super) endpoints: Ident,
    pub(super) methods: Vec<Method>,
    /// Every name that stands in the types of the methods, which generated parameters must not hide.
    taken: Vec<String>,
}

impl Service {
    pub(super) fn read(options: TokenStream, item: TokenStream) -> Result<Self> {
        let mut errors = Errors::default();
        let options = errors.keep(Options::read(options)).unwrap_or_default();
        let item = match syn::parse2(item)? {
            Item::Trait(item) => item,
            other => {
                return Err(syn::Error::new_spanned(
                    other,
                    "`#[service]` describes a service by a trait: put it on one",
                ));
            }
        };
        check_trait(&item, &mut errors);
        let methods = methods(item.items, &options, &item.ident, &mut errors);
        errors.into_result()?;
        let mut taken = vec![item.ident.to_string()];
        for method in &methods {
            let types = &method.types;
            for ty in [&types.context, &types.request, &types.reply, &types.error] {
                collect_idents(ty.to_token_stream(), &mut taken);
            }
        }
        let mut service = Self {
            name: options.name.unwrap_or_else(|| snake(&unraw(&item.ident))),
            endpoints: generated(&item.ident, &format!("{}Endpoints", unraw(&item.ident))),
            attributes: item.attrs,
            vis: item.vis,
            ident: item.ident,
            methods,
            taken,
        };
        for index in 0..service.methods.len() {
            service.methods[index].parameter = service.fresh(&service.methods[index].camel);
        }
        Ok(service)
    }

    /// A name for a type parameter that hides none of the user's.
    pub(super) fn fresh(&self, name: &str) -> Ident {
        let mut name = name.to_owned();
        while self.taken.contains(&name) {
            name.push_str("Endpoint");
        }
        Ident::new(&name, Span::call_site())
    }
}

/// An identifier without `r#`.
pub(super) fn unraw(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// A generated name that stands where the user's does, for whoever asks the editor, and is known as generated, for lints.
pub(super) fn generated(at: &Ident, name: &str) -> Ident {
    format_ident!("{name}", span = at.span().resolved_at(Span::call_site()))
}

fn check_trait(item: &ItemTrait, errors: &mut Errors) {
    let name = &item.ident;
    if !item.generics.params.is_empty() {
        let message = format!("the service `{name}` cannot be generic: its methods name their types");
        errors.at(&item.generics.params, message);
    }
    if let Some(clause) = &item.generics.where_clause {
        errors.at(clause, format!("the service `{name}` cannot have a `where` clause: leave it out"));
    }
    if !item.supertraits.is_empty() {
        let message = format!(
            "the service `{name}` cannot have supertraits: it is `Send + Sync + 'static` by itself, and a remote one has nothing else"
        );
        errors.at(&item.supertraits, message);
    }
    if let Some(token) = &item.unsafety {
        errors.at(token, format!("the service `{name}` cannot be `unsafe`: leave it out"));
    }
    if item.items.is_empty() {
        errors.at(name, format!("the service `{name}` has no methods: give it one"));
    }
}

fn methods(items: Vec<TraitItem>, options: &Options, service: &Ident, errors: &mut Errors) -> Vec<Method> {
    let mut methods: Vec<Method> = Vec::new();
    for item in items {
        match item {
            TraitItem::Fn(item) => {
                if let Some(earlier) = methods.iter().find(|method| method.is_called_like(&item.sig.ident)) {
                    errors.at(&item.sig.ident, same_name(&earlier.ident, &item.sig.ident));
                    continue;
                }
                if let Some(method) = Method::read(item, options, service, errors) {
                    if let Some((earlier, name)) = methods.iter().find_map(|earlier| earlier.shares_name(&method)) {
                        let message = format!("`{}` and `{earlier}` are both called `{name}`", method.ident);
                        errors.at(&method.ident, message);
                    }
                    methods.push(method);
                }
            }
            TraitItem::Type(item) => {
                errors.at(item, "a service cannot have associated types: name the types in its methods");
            }
            TraitItem::Const(item) => {
                errors.at(item, "a service cannot have associated constants: put them beside the trait");
            }
            other => errors.at(other, "a service has methods only: `async fn name(&self, cx: &Context, req: Request)`"),
        }
    }
    methods
}

fn same_name(earlier: &Ident, later: &Ident) -> String {
    if earlier == later {
        return format!("two methods are called `{later}`");
    }
    format!("`{earlier}` and `{later}` differ in case only, and would give the same names: rename one")
}

fn collect_idents(tokens: TokenStream, into: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => into.push(ident.to_string()),
            TokenTree::Group(group) => collect_idents(group.stream(), into),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}
