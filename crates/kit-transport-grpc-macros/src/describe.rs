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

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    /// What is said of each mistake, in order.
    fn errors(item: TokenStream) -> Vec<String> {
        super::describe(item).unwrap_err().into_iter().map(|error| error.to_string()).collect()
    }

    #[test]
    fn each_mistake_is_named_and_says_what_to_do() {
        let name = "is no name in protobuf (ASCII letters, digits, `_`): give one by `#[describe(name = \"...\")]`";
        let cases = [
            (
                quote!(
                    struct A {
                        a: i64,
                    }
                ),
                "no `#[prost(...)]` says the type of this field: `Describe` stands beside prost's derive",
            ),
            (
                quote!(
                    struct A(#[prost(int64)] i64);
                ),
                "this field has no name: give one by `#[describe(name = \"...\")]`",
            ),
            (
                quote!(
                    struct A<T> {
                        #[prost(message)]
                        a: Option<T>,
                    }
                ),
                "`A` is generic, and protobuf has no such messages: name each one",
            ),
            (quote!(union A { a: i64 }), "`A` is a union: a message is a struct, an enumeration or oneof an enum"),
            (
                quote!(
                    struct A {
                        #[prost(int64, default = "5")]
                        a: i64,
                    }
                ),
                "proto3 has no default values, so this cannot be described: remove it, or set the value in code",
            ),
            (
                quote!(
                    struct A {
                        #[prost(group, tag = 1)]
                        a: Option<B>,
                    }
                ),
                "proto3 has no groups, so this cannot be described: make it a message",
            ),
            (
                quote!(
                    struct A {
                        #[prost(int128, tag = 1)]
                        a: i128,
                    }
                ),
                "`int128` is unknown to `Describe` in `#[prost(...)]`",
            ),
            (
                quote!(
                    struct A {
                        #[prost(int64, tag = "x")]
                        a: i64,
                    }
                ),
                "expected a number",
            ),
            (
                quote!(
                    struct A {
                        #[prost(map = "string", tag = 1)]
                        a: B,
                    }
                ),
                "expected the types of key and value: `map = \"string, message\"`",
            ),
            (
                quote!(
                    struct A {
                        #[prost(enumeration = "a b", tag = 1)]
                        a: i32,
                    }
                ),
                "`a b` is no path of a type",
            ),
            (
                quote!(
                    struct A {
                        #[prost(int64)]
                        #[describe(names = "b")]
                        a: i64,
                    }
                ),
                "unknown option `names`: expected `name`",
            ),
            (
                quote!(
                    #[describe(nam = "b")]
                    struct A {}
                ),
                "unknown option `nam`: expected `name` or `package`",
            ),
            (
                quote!(
                    #[describe(name = 1)]
                    struct A {}
                ),
                "`name` takes a text: `name = \"...\"`",
            ),
            (
                quote!(
                    #[describe(name = "B", name = "C")]
                    struct A {}
                ),
                "the option `name` is given twice: keep one",
            ),
            (
                quote!(
                    enum A {
                        #[prost(int64)]
                        B(i64),
                    }
                ),
                "this variant has no tag: say `#[prost(..., tag = 1)]`",
            ),
            (
                quote!(
                    enum A {
                        #[prost(int64, tag = 1)]
                        B(i64, i64),
                    }
                ),
                "`B` must hold one value, as in `B(String)`",
            ),
            (
                quote!(
                    enum A {
                        #[prost(int64, repeated, tag = 1)]
                        B(Vec<i64>),
                    }
                ),
                "protobuf has no repeated fields, maps or oneofs in a oneof: put them into a message of their own",
            ),
            (
                quote!(
                    #[describe(package = "p")]
                    enum A {
                        #[prost(int64, tag = 1)]
                        B(i64),
                    }
                ),
                "a oneof has its name from the field of the message: put it there",
            ),
            (
                quote!(
                    enum A {
                        B = 1,
                        C = 0,
                    }
                ),
                "`B` must be 0: in proto3 the first value is, and stands for an absent one",
            ),
            (
                quote!(
                    enum A {
                        B = -1,
                    }
                ),
                "`B` must be 0: in proto3 the first value is, and stands for an absent one",
            ),
        ];
        for (item, wanted) in cases {
            let text = item.to_string();
            assert_eq!(errors(item), [wanted], "{text}");
        }
        let names = [
            (
                quote!(
                    struct A {
                        #[prost(int64)]
                        größe: i64,
                    }
                ),
                "größe",
            ),
            (
                quote!(
                    struct A {
                        #[prost(int64)]
                        #[describe(name = "a.b")]
                        a: i64,
                    }
                ),
                "a.b",
            ),
            (
                quote!(
                    #[describe(package = "a-b")]
                    struct A {}
                ),
                "a-b",
            ),
            (
                quote!(
                    #[describe(name = "A..B")]
                    struct A {}
                ),
                "A..B",
            ),
            (
                quote!(
                    enum A {
                        #[describe(name = "")]
                        B = 0,
                    }
                ),
                "",
            ),
        ];
        for (item, wrong) in names {
            assert_eq!(errors(item), [format!("`{wrong}` {name}")]);
        }
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        assert_eq!(
            errors(quote!(
                struct A {
                    a: i64,
                    #[prost(group)]
                    b: Option<B>,
                }
            ))
            .len(),
            2
        );
    }

    #[test]
    fn what_is_right_is_expanded() {
        let expanded = super::describe(quote! {
            /// Docs.
            struct A {
                #[prost(oneof(B), tags(1, 2))]
                r#type: Option<B>,
                #[prost(message, repeated, boxed)]
                b: Vec<Box<A>>,
            }
        });
        let text = expanded.unwrap().to_string();
        assert!(text.contains(r#"Oneof :: of :: < B > ("type")"#), "{text}");
        assert!(text.contains(r#"Field :: new ("b" , 3u32"#), "{text}");
        assert!(text.contains(r##"docs (:: core :: concat ! (r" Docs." , "\n"))"##), "{text}");
    }
}
