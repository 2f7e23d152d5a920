//! A library's `lib.rs` is its table of contents: docs, modules and re-exports, no code.

use super::Finding;
use crate::workspace::Workspace;

/// What begins an item that belongs into a module of its own.
const ITEMS: [&str; 11] =
    ["fn", "impl", "struct", "enum", "union", "trait", "type", "const", "static", "unsafe", "macro_rules!"];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in workspace.packages.iter().filter(|package| package.in_crates()) {
        let path = package.dir.join("src/lib.rs");
        let text = workspace.read(&path);
        let mut depth = 0_usize;
        for (index, line) in text.lines().enumerate() {
            let code = line.trim();
            if code.starts_with("//") {
                continue;
            }
            // The compiler wants the entry of a macro in the crate's root; its body belongs elsewhere all the same,
            // but its one call may stand here.
            let macro_entry = package.proc_macro && item(code) == Some("fn");
            // The unit struct that the README is attached to.
            let readme = code == "struct Readme;";
            let inside_entry = depth > 0 && package.proc_macro;
            if let Some(item) = item(code).filter(|_| !macro_entry && !readme && !inside_entry) {
                findings.push(Finding::new(
                    &path,
                    index + 1,
                    format!("`{item}` in lib.rs, which holds only docs, modules and re-exports"),
                    "move it into a module and re-export it",
                ));
            }
            depth = (depth + code.matches('{').count()).saturating_sub(code.matches('}').count());
        }
    }
    findings
}

/// The word that makes a line the beginning of an item, without visibility and `async` before it.
fn item(code: &str) -> Option<&'static str> {
    let mut words = code.split_whitespace();
    let word = words.find(|word| !word.starts_with("pub") && !matches!(*word, "crate)" | "async"))?;
    let word = word.split(['<', '(']).next()?;
    ITEMS.into_iter().find(|item| *item == word)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::fixture::Fixture;

    fn fixture(tail: &str, lib: &str) -> Fixture {
        let fixture = Fixture::new();
        fixture.crate_with("kit-x", tail);
        fixture.file("crates/kit-x/src/lib.rs", lib);
        fixture
    }

    #[test]
    fn code_in_a_lib_rs_is_found_with_its_line() {
        let items = [
            "pub fn f() {}",
            "fn f() {}",
            "pub(crate) async fn f() {}",
            "impl<T> X for T {}",
            "pub struct S;",
            "pub(crate) trait T {}",
            "macro_rules! m { () => {} }",
        ];
        for item in items {
            fixture("", &format!("//! Docs.\n\n{item}\n")).finds(check, "crates/kit-x/src/lib.rs:3: `");
        }
    }

    #[test]
    fn docs_modules_re_exports_and_the_readme_are_allowed() {
        let lib = "//! Docs: fn f() {}.\n//! ```\n//! fn main() {}\n//! ```\n#![cfg_attr(docsrs, feature(doc_cfg))]\n\n\
                   mod a;\npub mod b;\n\n// fn in a comment\npub use a::{A, B};\n\n\
                   #[doc(hidden)]\npub mod private {\n    pub use crate::a::A;\n}\n\n\
                   #[cfg(doctest)]\n#[doc = include_str!(\"../README.md\")]\nstruct Readme;\n";
        fixture("", lib).finds_nothing(check);
    }

    #[test]
    fn a_macro_crate_may_have_its_entries_but_no_other_code() {
        let entry = "//! Macros.\n\nmod a;\n\n#[proc_macro]\npub fn m(input: TokenStream) -> TokenStream {\n    \
                     a::expand(input)\n}\n";
        let macros = "[lib]\nproc-macro = true\n";
        fixture(macros, entry).finds_nothing(check);
        fixture(macros, &format!("{entry}\nstruct S;\n")).finds(check, "crates/kit-x/src/lib.rs:10: `struct`");
    }
}
