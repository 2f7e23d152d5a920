//! `AddError` is not an enum: `#[derive(kit_endpoint::Error)]` needs one variant for each failure

#[derive(Debug, kit_endpoint::Error)]
struct AddError; // here

fn main() {}
