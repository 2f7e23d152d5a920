//! What a method's signature must be, and the types that it names.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{FnArg, GenericArgument, PathArguments, ReceiverKind, Result, ReturnType, Safety, Signature, Type};

use crate::errors::Errors;

/// Which sides of a method send a stream. Streams come with the transports that can carry them.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Unary,
}

/// The types of a method.
pub(super) struct Types {
    pub(super) shape: Shape,
    /// `Context`, as the user wrote it.
    pub(super) context: Type,
    pub(super) request: Type,
    /// The message of the answer.
    pub(super) reply: Type,
    /// Whether the method answers `Response<Reply>` instead of `Reply`.
    pub(super) answers_response: bool,
    pub(super) error: Type,
    /// `Result<Reply, Error>`, as the user wrote it.
    pub(super) output: Type,
}

/// Reads and checks a signature; gives nothing where a mistake leaves nothing to go on with.
pub(super) fn read(signature: &Signature, errors: &mut Errors) -> Option<Types> {
    let name = &signature.ident;
    if signature.asyncness.is_none() {
        errors.at_span(signature.fn_token.span, "service methods must be `async fn`");
    }
    qualifiers(signature, errors);
    let generics = &signature.generics;
    if !generics.params.is_empty() || generics.where_clause.is_some() {
        let tokens = if generics.params.is_empty() {
            generics.where_clause.to_token_stream()
        } else {
            generics.params.to_token_stream()
        };
        errors.at(tokens, cannot_be_generic(name));
    }
    receiver(signature, errors);
    let mut inputs = signature.inputs.iter().filter(|input| matches!(input, FnArg::Typed(_)));
    let context = context(signature, inputs.next(), errors);
    let request = request(signature, inputs.next(), errors);
    if let Some(more) = inputs.next() {
        errors.at(more, format!("`{name}` takes more than one request: put the fields into one struct"));
    }
    let output = errors.keep(output(signature));
    let (context, request, output) = (context?, request?, output?);
    let (reply, answers_response) = match single_argument(&output.reply, "Response") {
        Some(message) => (message.clone(), true),
        None => (output.reply, false),
    };
    for ty in [&request, &reply, &output.error] {
        message_type(name, ty, errors);
    }
    let (error, output) = (output.error, output.whole);
    Some(Types { shape: Shape::Unary, context, request, reply, answers_response, error, output })
}

fn cannot_be_generic(name: &syn::Ident) -> String {
    format!("`{name}` cannot be generic: an endpoint has one type of request and one type of answer")
}

fn qualifiers(signature: &Signature, errors: &mut Errors) {
    let name = &signature.ident;
    let unwanted: [(&str, Option<TokenStream>); 3] = [
        (
            "unsafe",
            match &signature.safety {
                Safety::Unsafe(token) => Some(token.to_token_stream()),
                _ => None,
            },
        ),
        ("const", signature.constness.as_ref().map(ToTokens::to_token_stream)),
        ("extern", signature.abi.as_ref().map(ToTokens::to_token_stream)),
    ];
    for (what, tokens) in unwanted {
        if let Some(tokens) = tokens {
            errors.at(tokens, format!("`{name}` cannot be `{what}`: write `async fn {name}`"));
        }
    }
}

fn receiver(signature: &Signature, errors: &mut Errors) {
    let name = &signature.ident;
    let message = format!("`{name}` must take `&self`: a service is shared by all calls that run");
    match signature.receiver() {
        Some(receiver) if matches!(receiver.kind, ReceiverKind::Reference(_, None, None)) => {}
        Some(receiver) => errors.at(receiver, message),
        None => errors.at(name, message),
    }
}

/// The type behind `cx: &Context`.
fn context(signature: &Signature, input: Option<&FnArg>, errors: &mut Errors) -> Option<Type> {
    if let Some(FnArg::Typed(argument)) = input {
        if let Type::Reference(reference) = &*argument.ty {
            if reference.mutability.is_none() && last_segment(&reference.elem).is_some_and(|last| last == "Context") {
                return Some((*reference.elem).clone());
            }
        }
    }
    let message = format!("`{}` needs `cx: &Context` as its second parameter", signature.ident);
    match input {
        Some(FnArg::Typed(argument)) => errors.at(&argument.ty, message),
        _ => errors.at(&signature.ident, message),
    }
    None
}

fn request(signature: &Signature, input: Option<&FnArg>, errors: &mut Errors) -> Option<Type> {
    match input {
        Some(FnArg::Typed(argument)) => Some((*argument.ty).clone()),
        _ => {
            let name = &signature.ident;
            errors.at(name, format!("`{name}` needs a request as its third parameter: `req: ()` if it is empty"));
            None
        }
    }
}

struct Output {
    whole: Type,
    reply: Type,
    error: Type,
}

fn output(signature: &Signature) -> Result<Output> {
    let wrong = |tokens: &dyn ToTokens| {
        let message = format!("`{}` must return `Result<Reply, Error>`, with both types named", signature.ident);
        Err(syn::Error::new_spanned(tokens.to_token_stream(), message))
    };
    let ReturnType::Type(_, whole) = &signature.output else { return wrong(&signature.ident) };
    match arguments(whole, "Result").as_deref() {
        Some([reply, error]) => {
            Ok(Output { whole: (**whole).clone(), reply: (*reply).clone(), error: (*error).clone() })
        }
        _ => wrong(whole),
    }
}

/// A request or a part of the answer must be a type of its own: no stream yet, nothing borrowed, no `Self`.
fn message_type(method: &syn::Ident, ty: &Type, errors: &mut Errors) {
    if arguments(ty, "Streaming").is_some() {
        errors.at(ty, "streaming methods are not supported yet");
    } else if matches!(ty, Type::Reference(_)) {
        errors.at(ty, format!("`{method}` cannot borrow its messages: requests and answers are owned values"));
    } else if let Some(token) = find_ident(ty.to_token_stream(), "impl") {
        errors.at(token, cannot_be_generic(method));
    } else if let Some(token) = find_ident(ty.to_token_stream(), "Self") {
        errors.at(token, format!("`{method}` cannot use `Self`: its types are the same for every implementation"));
    }
}

fn last_segment(ty: &Type) -> Option<&syn::Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}

/// The type arguments of a path that ends in this name.
fn arguments<'a>(ty: &'a Type, name: &str) -> Option<Vec<&'a Type>> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let as_type = |argument: &'a GenericArgument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    };
    arguments.args.iter().map(as_type).collect()
}

fn single_argument<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    match arguments(ty, name)?.as_slice() {
        [argument] => Some(argument),
        _ => None,
    }
}

fn find_ident(tokens: TokenStream, name: &str) -> Option<TokenTree> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ref ident) if ident == name => Some(token),
        TokenTree::Group(group) => find_ident(group.stream(), name),
        _ => None,
    })
}
