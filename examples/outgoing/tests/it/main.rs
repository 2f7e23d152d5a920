//! The built program, called with curl, over real services: one that is scripted, and tonic's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use kit_testing::backend::{Backend, Reply};
use kit_testing::http::curl;
use kit_testing::process::Child;
use outgoing::Services;

const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the app, and gives its URL.
async fn serve(args: &[&str]) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outgoing"));
    command.args(["serve", "--http-addr", "127.0.0.1:0"]).args(args);
    tokio::task::spawn_blocking(move || {
        let child = Child::spawn(command).unwrap();
        let line = child.wait_for_line("outgoing: http on ", PATIENCE).unwrap();
        (child, format!("http://{}", line.strip_prefix("outgoing: http on ").unwrap()))
    })
    .await
    .unwrap()
}

/// Status, `Retry-After` and text of an answer.
async fn get(url: &str) -> (u16, Option<u64>, String) {
    let answer = curl([url]).await.unwrap();
    let after = answer.headers().get("retry-after").map(|after| after.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), after, String::from_utf8(answer.body().to_vec()).unwrap())
}

/// Five failures, and then refusals that say when to come back.
async fn five_fail_and_the_rest_is_refused(url: &str) {
    for _ in 0..5 {
        let (status, after, text) = get(url).await;
        assert_eq!((status, after), (502, None), "{text}");
    }
    for _ in 0..3 {
        let (status, after, text) = get(url).await;
        assert_eq!(status, 503, "{text}");
        assert!(after.is_some_and(|after| (1..=60).contains(&after)), "{after:?}");
        assert!(text.contains(r#""reason":"CIRCUIT_OPEN""#), "{text}");
    }
}

#[test]
fn the_demonstration_runs_to_its_end() {
    let mut demo = Child::spawn(Command::new(env!("CARGO_BIN_EXE_outgoing"))).unwrap();
    let status = demo.wait(Duration::from_secs(60)).unwrap();
    assert_eq!(status.code(), Some(0), "{}{}", demo.stdout(), demo.stderr());
    let (stdout, lines) = (demo.stdout(), |text: &str| demo.stdout().matches(text).count());
    // As often over tonic as over reqwest.
    for (told, times) in [(" 502 ", 12), (" 503, Retry-After: 1 ", 8), (" 200 ", 6), ("a refusal takes ", 2)] {
        assert_eq!(lines(told), times, "{told}: {stdout}");
    }
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
}

#[tokio::test]
async fn over_reqwest_failures_and_hangs_open_the_circuit_and_the_service_is_left_alone() {
    for reply in [Reply::status(503), Reply::status(500), Reply::reset(), Reply::hang()] {
        let quotes = Backend::start(reply).await.unwrap();
        let (_app, url) = serve(&["--quotes-url", &quotes.url(), "--limit", "200ms", "--open-for", "60s"]).await;
        five_fail_and_the_rest_is_refused(&format!("{url}/quote")).await;
        assert_eq!(quotes.requests().len(), 5);
    }
}

#[tokio::test]
async fn over_reqwest_the_answer_passes_through_and_callers_faults_open_nothing() {
    let long = "x".repeat(1 << 20);
    let quotes = Backend::start([Reply::ok().body(long.clone()), Reply::status(404)]).await.unwrap();
    let (_app, url) = serve(&["--quotes-url", &quotes.url()]).await;
    assert_eq!(get(&format!("{url}/quote")).await, (200, None, long));
    for _ in 0..20 {
        assert_eq!(get(&format!("{url}/quote")).await.0, 502);
    }
    assert_eq!(quotes.requests().len(), 21);
}

#[tokio::test]
async fn over_tonic_unavailable_opens_the_circuit_and_it_closes_again() {
    let services = Services::start().await.unwrap();
    let (_app, url) = serve(&["--health-url", &services.health, "--open-for", "1s"]).await;
    let health = format!("{url}/health");
    assert_eq!(get(&health).await, (200, None, "Serving\n".to_owned()));
    services.ill.store(true, SeqCst);
    let before = services.calls.load(SeqCst);
    for _ in 0..5 {
        assert_eq!(get(&health).await.0, 502);
    }
    let (status, after, text) = get(&health).await;
    assert_eq!((status, after), (503, Some(1)), "{text}");
    assert!(text.contains(r#""reason":"CIRCUIT_OPEN""#), "{text}");
    assert_eq!(services.calls.load(SeqCst) - before, 5);
    services.ill.store(false, SeqCst);
    let begun = Instant::now();
    while get(&health).await.0 != 200 {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let circuits = get(&format!("{url}/circuits")).await.2;
    assert!(circuits.contains("health closed, "), "{circuits}");
}

/// Either circuit is its own.
#[tokio::test]
async fn a_service_that_is_gone_opens_its_circuit_alone() {
    let services = Services::start().await.unwrap();
    let gone = kit_testing::ports::listener().unwrap().local_addr().unwrap();
    let gone = format!("http://{gone}");
    let (_app, url) = serve(&["--quotes-url", &services.quotes, "--health-url", &gone, "--open-for", "60s"]).await;
    five_fail_and_the_rest_is_refused(&format!("{url}/health")).await;
    assert_eq!(get(&format!("{url}/quote")).await.0, 200);
    let (_app, url) = serve(&["--quotes-url", &gone, "--health-url", &services.health, "--open-for", "60s"]).await;
    five_fail_and_the_rest_is_refused(&format!("{url}/quote")).await;
    assert_eq!(get(&format!("{url}/health")).await.0, 200);
}

#[tokio::test]
async fn a_tonic_server_that_hangs_opens_the_circuit() {
    // It takes connections, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let health = format!("http://{}", silent.local_addr().unwrap());
    let (_app, url) = serve(&["--health-url", &health, "--limit", "100ms", "--open-for", "60s"]).await;
    five_fail_and_the_rest_is_refused(&format!("{url}/health")).await;
}

#[tokio::test]
async fn circuits_are_shown_and_switched() {
    let services = Services::start().await.unwrap();
    let (_app, url) = serve(&["--quotes-url", &services.quotes, "--health-url", &services.health]).await;
    let put =
        async |path: &str| curl(["-X", "PUT", &format!("{url}/circuits/{path}")]).await.unwrap().status().as_u16();
    assert_eq!(get(&format!("{url}/circuits")).await.2, "quotes closed, 0 refused\nhealth closed, 0 refused\n");
    for (name, route) in [("quotes", "/quote"), ("health", "/health")] {
        let url = format!("{url}{route}");
        assert_eq!(put(&format!("{name}/open")).await, 204);
        // Nobody knows until when.
        let (status, after, text) = get(&url).await;
        assert_eq!((status, after), (503, None), "{text}");
        services.ill.store(true, SeqCst);
        assert_eq!(put(&format!("{name}/closed")).await, 204);
        for _ in 0..20 {
            assert_eq!(get(&url).await.0, 502);
        }
        services.ill.store(false, SeqCst);
        assert_eq!(put(&format!("{name}/reset")).await, 204);
        assert_eq!(get(&url).await.0, 200);
    }
    assert_eq!(get(&format!("{url}/circuits")).await.2, "quotes closed, 1 refused\nhealth closed, 1 refused\n");
    assert_eq!((put("nobody/open").await, put("quotes/ajar").await), (404, 404));
}
