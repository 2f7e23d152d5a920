//! Files in the order in which they can be read: each after what it imports.

use std::collections::BTreeMap;

use prost_types::FileDescriptorProto;

use super::DescribeError;

pub(super) fn order(
    mut files: BTreeMap<String, FileDescriptorProto>,
) -> Result<Vec<FileDescriptorProto>, DescribeError> {
    let imports: BTreeMap<String, Vec<String>> =
        files.iter().map(|(name, file)| (name.clone(), file.dependency.clone())).collect();
    let mut ordered = Vec::with_capacity(files.len());
    for name in imports.keys() {
        if !files.contains_key(name) {
            continue;
        }
        // The way from the first file to the one that is looked at, each with its imports that are left.
        let mut way: Vec<(&str, &[String])> = vec![(name, imports.get(name).map_or(&[], Vec::as_slice))];
        while let Some((name, left)) = way.last_mut() {
            let files_left: &[String] = left;
            let Some((next, rest)) = files_left.split_first() else {
                ordered.extend(files.remove(*name));
                way.pop();
                continue;
            };
            *left = rest;
            if let Some(begin) = way.iter().position(|(name, _)| name == next) {
                let files = way.get(begin..).unwrap_or_default().iter().map(|(name, _)| (*name).to_owned()).collect();
                return Err(DescribeError::ImportCycle { files });
            }
            if files.contains_key(next) {
                way.push((next, imports.get(next).map_or(&[], Vec::as_slice)));
            }
        }
    }
    Ok(ordered)
}
