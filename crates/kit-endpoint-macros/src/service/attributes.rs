//! The attributes of a method: `#[idempotent]`, `#[http("...")]`, `#[grpc("...")]`.

use syn::{Attribute, LitStr, Meta, Result};

use crate::errors::{Errors, one_of};

const OURS: [&str; 3] = ["idempotent", "http", "grpc"];
const VERBS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// What the language itself understands on a method of a trait, and what goes along with the method.
const PASSED_ON: [&str; 9] =
    ["doc", "allow", "expect", "warn", "deny", "forbid", "deprecated", "must_use", "diagnostic"];

/// What the attributes of a method say.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) idempotent: bool,
    pub(super) http: Option<LitStr>,
    pub(super) grpc: Option<LitStr>,
    /// The attributes that stay on the method.
    pub(super) passed_on: Vec<Attribute>,
}

impl Attributes {
    pub(super) fn read(attributes: Vec<Attribute>, errors: &mut Errors) -> Self {
        let mut read = Self::default();
        for attribute in attributes {
            let name = attribute.path().get_ident().map(ToString::to_string);
            match name.as_deref() {
                Some("idempotent") => match attribute.meta {
                    Meta::Path(_) if read.idempotent => {
                        errors.at(&attribute, "`#[idempotent]` is given twice: keep one")
                    }
                    Meta::Path(_) => read.idempotent = true,
                    _ => errors.at(&attribute, "`#[idempotent]` takes no value: leave it out on methods that are not"),
                },
                Some("http") => {
                    let route = errors.keep(text(&attribute, r#"#[http("POST /path")]"#));
                    if let Some(route) = route {
                        errors.keep(check_route(&route));
                        set(&mut read.http, route, &attribute, "http", errors);
                    }
                }
                Some("grpc") => {
                    if let Some(method) = errors.keep(text(&attribute, r#"#[grpc("Method")]"#)) {
                        errors.keep(check_grpc(&method));
                        set(&mut read.grpc, method, &attribute, "grpc", errors);
                    }
                }
                Some("cfg" | "cfg_attr") => {
                    errors.at(&attribute, "a service method cannot be conditional: put `#[cfg]` on the whole trait");
                }
                Some(name) if !PASSED_ON.contains(&name) => errors.at(
                    attribute.path(),
                    format!("unknown attribute `{name}` on a service method: expected {}", one_of(&OURS)),
                ),
                _ => read.passed_on.push(attribute),
            }
        }
        read
    }
}

fn set(slot: &mut Option<LitStr>, value: LitStr, attribute: &Attribute, name: &str, errors: &mut Errors) {
    if slot.is_some() {
        errors.at(attribute, format!("`#[{name}]` is given twice: keep one"));
    }
    *slot = Some(value);
}

fn text(attribute: &Attribute, form: &str) -> Result<LitStr> {
    attribute.parse_args().map_err(|_| syn::Error::new_spanned(attribute, format!("expected one text: `{form}`")))
}

fn check_route(route: &LitStr) -> Result<()> {
    let text = route.value();
    let fail = |message: String| Err(syn::Error::new(route.span(), message));
    let Some((verbs, path)) = text.split_once(' ') else {
        return fail(format!("{text:?} is no route: want a verb, a space and a path, as in `POST /sum`"));
    };
    // Several verbs stand with commas between them, `GET,POST`; `ANY` stands alone.
    let unknown = verbs.split(',').find(|verb| !VERBS.contains(verb)).filter(|_| verbs != "ANY");
    if let Some(verb) = unknown {
        return fail(format!("unknown verb `{verb}` in `#[http]`: expected {}", one_of(&VERBS)));
    }
    if !path.starts_with('/') {
        return fail(format!("the path `{path}` in `#[http]` must begin with `/`"));
    }
    // After `?` stand the names of parameters: `GET /users/{id}?limit&after`.
    if let Some(wrong) = path.chars().find(|c| c.is_whitespace() || *c == '#') {
        return fail(format!("the path `{path}` in `#[http]` cannot hold {wrong:?}"));
    }
    let parameters_are_closed = path.split('/').all(|segment| {
        let count = |wanted: char| segment.chars().filter(|c| *c == wanted).count();
        count('{') == count('}')
    });
    if !parameters_are_closed || path.contains("{}") {
        return fail(format!("the path `{path}` in `#[http]` has a parameter that is not written `{{name}}`"));
    }
    Ok(())
}

fn check_grpc(method: &LitStr) -> Result<()> {
    let text = method.value();
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let message = format!("{text:?} is no gRPC method: want its name alone, as in `#[grpc(\"Sum\")]`");
        return Err(syn::Error::new(method.span(), message));
    }
    Ok(())
}
