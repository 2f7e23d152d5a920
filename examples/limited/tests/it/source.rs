//! What the example promises of itself: one line each, and one crate of kit.

/// A limit, with all that it takes, in one line.
const LINE: &str = ".layer(Tower::new(Guard::new(RateLimit::new(Quota::per_second(nonzero!(5))))).answered())";

#[test]
fn each_server_is_guarded_by_one_line() {
    let source = include_str!("../../src/services.rs");
    assert_eq!(source.lines().filter(|line| line.trim() == LINE).count(), 2, "{source}");
    // That of the router is a chain of routes and layers, and that of tonic of what tonic's servers have.
    for line in ["Router::new()", "Server::builder()", ".add_service(health)"] {
        assert_eq!(source.lines().filter(|found| found.trim() == line).count(), 1, "{line}");
    }
}

#[test]
fn of_kit_it_needs_kit_ratelimit_alone() {
    let manifest: toml::Table = toml::from_str(include_str!("../../Cargo.toml")).unwrap();
    let needed = manifest["dependencies"].as_table().unwrap().keys();
    assert_eq!(needed.filter(|name| name.starts_with("kit-")).collect::<Vec<_>>(), ["kit-ratelimit"]);
}
