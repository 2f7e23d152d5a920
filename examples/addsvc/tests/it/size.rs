//! The service's own lines: Go kit's addsvc has 1,543 for the same two methods.

#[test]
fn the_service_has_at_most_150_lines_of_its_own() {
    let mut lines = 0;
    for file in ["src/lib.rs", "src/http.rs"] {
        let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        lines += text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    }
    assert!(lines <= 150, "the service has {lines} lines");
}
