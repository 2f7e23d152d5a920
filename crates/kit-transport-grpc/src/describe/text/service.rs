//! Services and enumerations.

use prost_types::{EnumDescriptorProto, ServiceDescriptorProto};

use super::super::DescribeError;
use super::super::names::join;
use super::options::{self, Options};
use super::printer::Printer;

impl Printer<'_> {
    pub(super) fn service(&mut self, path: &[i32], of: &ServiceDescriptorProto) -> Result<(), DescribeError> {
        let full = self.full(of.name());
        self.open(path, &format!("service {}", of.name()));
        self.options(&known(&full, of.options.as_ref(), options::of_service)?);
        for (index, method) in (0..).zip(&of.method) {
            let name = join(&full, method.name());
            let stream = |streams: bool| if streams { "stream " } else { "" };
            let head = format!(
                "rpc {}({}{}) returns ({}{})",
                method.name(),
                stream(method.client_streaming()),
                self.refer(&full, &name, method.input_type())?,
                stream(method.server_streaming()),
                self.refer(&full, &name, method.output_type())?,
            );
            let path = [path, &[2, index]].concat();
            let options = known(&name, method.options.as_ref(), options::of_method)?;
            if options.is_empty() {
                self.statement(&path, &format!("{head};"));
            } else {
                self.open(&path, &head);
                self.options(&options);
                self.close();
            }
        }
        self.close();
        Ok(())
    }

    pub(super) fn enumeration(
        &mut self,
        path: &[i32],
        scope: &str,
        of: &EnumDescriptorProto,
    ) -> Result<(), DescribeError> {
        let full = join(scope, of.name());
        self.open(path, &format!("enum {}", of.name()));
        self.options(&known(&full, of.options.as_ref(), options::of_enum)?);
        for (index, value) in (0..).zip(&of.value) {
            let options = known(&join(scope, value.name()), value.options.as_ref(), options::of_value)?;
            let text = format!("{} = {}{};", value.name(), value.number(), in_brackets(&options));
            self.statement(&[path, &[2, index]].concat(), &text);
        }
        // Of an enumeration both ends are reserved.
        let ranges = of.reserved_range.iter().map(|range| (range.start(), range.end(), i32::MAX));
        self.reserved(ranges, &of.reserved_name);
        self.close();
        Ok(())
    }

    /// Numbers and names that must not be used again. Each range is its first, its last, and the last possible number.
    pub(super) fn reserved(&mut self, ranges: impl Iterator<Item = (i32, i32, i32)>, names: &[String]) {
        let range = |(first, last, max): (i32, i32, i32)| match (first, last) {
            (first, last) if first == last => first.to_string(),
            (first, last) if last == max => format!("{first} to max"),
            (first, last) => format!("{first} to {last}"),
        };
        let names = names.iter().map(|name| options::quoted(name));
        for list in [ranges.map(range).collect::<Vec<_>>(), names.collect()] {
            if !list.is_empty() {
                self.line(&format!("reserved {};", list.join(", ")));
            }
        }
    }
}

/// The options that are set, if all are known.
pub(super) fn known<T>(
    of: &str,
    options: Option<&T>,
    set: fn(&T) -> Option<Options>,
) -> Result<Options, DescribeError> {
    let refused = || DescribeError::NoText { name: of.to_owned(), what: options::UNKNOWN.to_owned() };
    options.map_or_else(|| Ok(Options::new()), |options| set(options).ok_or_else(refused))
}

/// Options of what ends in a semicolon.
pub(super) fn in_brackets(options: &Options) -> String {
    let options: Vec<String> = options.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if options.is_empty() { String::new() } else { format!(" [{}]", options.join(", ")) }
}
