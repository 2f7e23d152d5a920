//! The path of an operation: `/package.Service/Method`.

use kit_base::Operation;

use crate::BuildError;

/// What the operation is called over gRPC: by the name that its service gave it, or by its service and method as they are.
///
/// # Errors
/// They are no names of gRPC.
pub(crate) fn path_of(operation: &Operation) -> Result<String, BuildError> {
    let (service, method) = match operation.name_for("grpc") {
        Some(name) => name.rsplit_once('/').unwrap_or(("", name)),
        None => (operation.service(), operation.method()),
    };
    let is_name = |name: &str| {
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !service.split('.').all(is_name) || !is_name(method) {
        return Err(BuildError::new(format!(
            "{operation} cannot be called over gRPC: want a service as in \"pb.Add\" and a method as in \"Sum\", found {service:?} and {method:?}"
        )));
    }
    Ok(format!("/{service}/{method}"))
}
