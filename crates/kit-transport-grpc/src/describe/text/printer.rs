//! Lines with their comments, and references to types.

use std::collections::BTreeMap;

use prost_types::FileDescriptorProto;
use prost_types::source_code_info::Location;

use super::super::DescribeError;
use super::super::names::{is_full_name, join};
use super::super::symbols::Symbols;
use super::options::Options;

/// Words that begin something else where a type may stand.
const WORDS: &str = "\
    bool bytes double enum export extend extensions fixed32 fixed64 float group import int32 int64 local map message \
    oneof option optional repeated required reserved returns rpc sfixed32 sfixed64 sint32 sint64 stream string uint32 uint64";

/// A text that is being written.
pub(super) struct Printer<'a> {
    package: &'a str,
    /// All names that a short name could mean, if they are known.
    symbols: Option<&'a Symbols>,
    comments: BTreeMap<&'a [i32], &'a Location>,
    text: String,
    depth: usize,
}

impl<'a> Printer<'a> {
    pub(super) fn new(file: &'a FileDescriptorProto, symbols: Option<&'a Symbols>) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comments = locations.map(|location| (&*location.path, location)).collect();
        Self { package: file.package(), symbols, comments, text: String::new(), depth: 0 }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// An empty line, but not at the beginning of a block.
    pub(super) fn blank(&mut self) {
        if !self.text.ends_with("{\n") {
            self.text.push('\n');
        }
    }

    pub(super) fn line(&mut self, text: &str) {
        self.indent();
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }

    /// A line with its comments.
    pub(super) fn statement(&mut self, path: &[i32], text: &str) {
        let location = self.comments.get(path).copied();
        for comment in location.iter().flat_map(|location| &location.leading_detached_comments) {
            // Without the empty line it would belong to what stands before it.
            if !self.text.is_empty() && !self.text.ends_with("\n\n") {
                self.text.push('\n');
            }
            self.comment(comment);
            self.text.push('\n');
        }
        if let Some(comment) = location.and_then(|location| location.leading_comments.as_deref()) {
            self.comment(comment);
        }
        self.line(text);
        match location.and_then(|location| location.trailing_comments.as_deref()) {
            Some(comment) if comment.trim_end().contains('\n') => {
                self.comment(comment);
                self.text.push('\n');
            }
            Some(comment) => {
                self.text.pop();
                self.text.push_str(" //");
                self.text.push_str(comment.trim_end());
                self.text.push('\n');
            }
            None => {}
        }
    }

    fn comment(&mut self, text: &str) {
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.line(format!("//{line}").trim_end());
        }
    }

    pub(super) fn open(&mut self, path: &[i32], head: &str) {
        // The comment behind the brace belongs to the block.
        self.statement(path, &format!("{head} {{"));
        self.depth += 1;
    }

    pub(super) fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.text.ends_with("{\n") {
            self.text.pop();
            self.text.push_str("}\n");
        } else {
            self.line("}");
        }
    }

    pub(super) fn options(&mut self, options: &Options) {
        for (name, value) in options {
            self.line(&format!("option {name} = {value};"));
        }
    }

    /// The full name of what is named in the package.
    pub(super) fn full(&self, name: &str) -> String {
        join(self.package, name)
    }

    /// A type as it is named in a scope: short where that means the same, as in `Sum` for `.pb.Sum`.
    pub(super) fn refer(&self, scope: &str, of: &str, target: &str) -> Result<String, DescribeError> {
        let Some(full) = target.strip_prefix('.').filter(|full| is_full_name(full)) else {
            let what = format!("its type `{target}` is not resolved");
            return Err(DescribeError::NoText { name: of.to_owned(), what });
        };
        // From the innermost scope outward: what is left of the name there, if it means the same.
        let scopes = scope.rmatch_indices('.').map(|(end, _)| end);
        let scopes = std::iter::once(scope.len()).chain(scopes).filter_map(|end| scope.get(..end));
        let shorts = scopes.filter_map(|scope| full.strip_prefix(scope)?.strip_prefix('.')).chain([full]);
        let short = shorts.into_iter().find(|short| self.is_safe(scope, short, full));
        Ok(short.unwrap_or(target).to_owned())
    }

    fn is_safe(&self, scope: &str, short: &str, full: &str) -> bool {
        let first = short.split('.').next().unwrap_or_default();
        let meant = self.means(scope, first);
        meant.is_some_and(|scope| join(scope, short) == full) && WORDS.split(' ').all(|word| word != first)
    }

    /// In which scope a first name is found, from the innermost outward.
    fn means<'s>(&self, scope: &'s str, first: &str) -> Option<&'s str> {
        let symbols = self.symbols?;
        let mut scope = scope;
        while !symbols.contains(&join(scope, first)) {
            if scope.is_empty() {
                return None;
            }
            scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
        Some(scope)
    }
}
