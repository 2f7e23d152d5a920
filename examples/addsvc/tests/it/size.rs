//! The service's own lines: Go kit's addsvc has 1,543 for the same two methods.

#[test]
fn the_service_has_at_most_150_lines_of_its_own() {
    let mut lines = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
        let path = file.unwrap().path();
        // The program around the service: flags, ports, debug pages.
        if path.is_dir() || path.ends_with("main.rs") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        lines += text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    }
    assert!(lines <= 150, "the service has {lines} lines");
}
