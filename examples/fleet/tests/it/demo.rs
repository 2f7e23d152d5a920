//! The demonstration, with Consul and without, and how it ends.

use std::process::Command;
use std::time::Duration;

use kit_testing::process::{Child, Signal};

const PATIENCE: Duration = Duration::from_secs(60);

fn demo(args: &[&str]) -> Child {
    Child::spawn(Command::new(env!("CARGO_BIN_EXE_fleet")).args(args)).unwrap()
}

/// What was answered by each of the three in each second; no number where none was.
fn table(output: &str) -> Vec<[Option<u32>; 3]> {
    let rows =
        output.lines().skip_while(|line| !line.starts_with("second")).skip(1).take_while(|line| !line.is_empty());
    rows.map(|row| {
        let cells: Vec<&str> = row.split_whitespace().collect();
        [1, 2, 3].map(|cell| cells[cell].parse().ok())
    })
    .collect()
}

/// Runs it to its end and looks at what it says.
fn runs_to_its_end(args: &[&str], discovery: &str, while_dead: &str) {
    let mut demo = demo(args);
    let status = demo.wait(PATIENCE).unwrap();
    let output = demo.stdout();
    assert_eq!((status.code(), &*demo.stderr()), (Some(0), ""), "{output}");
    assert!(output.starts_with(discovery), "{output}");
    assert!(output.lines().all(|line| line.chars().count() <= 100), "{output}");
    for news in ["addsvc-2 killed (kill -9)", "addsvc-2 is back", "addsvc-3 restarts (SIGTERM)", "addsvc-3 is back"] {
        assert!(output.contains(news), "no {news:?} in {output}");
    }
    assert!(output.lines().any(|line| line.split_whitespace().nth(2) == Some(while_dead)), "{output}");
    assert!(output.trim_end().ends_with(", 0 otherwise"), "{output}");
    let table = table(&output);
    // All served at first and in the end; the killed one did not meanwhile, and the others took over.
    for row in [table.first(), table.last()] {
        assert!(row.unwrap().iter().all(|served| served.is_some_and(|served| served > 10)), "{output}");
    }
    assert!(table.iter().any(|row| row[1].is_none() && row[0].is_some_and(|served| served > 10)), "{output}");
}

#[test]
fn it_shows_a_kill_and_a_restart_over_the_in_process_registry() {
    let registry = "consul: left out; the in-process registry stands in\n";
    runs_to_its_end(&["--no-consul", "--seconds", "6"], registry, "rests");
}

#[test]
#[ignore = "takes 9 s: the heartbeat of the killed one must run out, and a clean leave waits for watchers"]
fn it_shows_a_kill_and_a_restart_over_consul() {
    if crate::consul::program().is_some() {
        runs_to_its_end(&["--seconds", "9"], "consul: an agent in a temporary folder, http on 127.0.0.1:", "-");
    }
}

/// Where the backends of a demonstration are.
fn backends(demo: &Child) -> Vec<String> {
    demo.wait_for_line("second ", PATIENCE).unwrap();
    let output = demo.stdout();
    output.lines().filter_map(|line| Some(line.split_once(": http and grpc on ")?.1.to_owned())).collect()
}

fn all_end(backends: &[String]) {
    assert_eq!(backends.len(), 3);
    let begun = std::time::Instant::now();
    while backends.iter().any(|addr| std::net::TcpStream::connect(addr).is_ok()) {
        assert!(begun.elapsed() < PATIENCE, "a backend outlives the demonstration");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_ends_it_early_with_all_that_it_has_started() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let mut demo = demo(&["--no-consul"]);
        let backends = backends(&demo);
        demo.signal(signal).unwrap();
        assert_eq!(demo.wait(PATIENCE).unwrap().code(), Some(0), "{}", demo.stderr());
        assert!(demo.stdout().ends_with("stopped by a signal\n"), "{}", demo.stdout());
        all_end(&backends);
    }
}

#[test]
fn what_it_has_started_ends_also_when_it_is_killed() {
    let mut demo = demo(&["--no-consul"]);
    let backends = backends(&demo);
    demo.signal(Signal::Kill).unwrap();
    demo.wait(PATIENCE).unwrap();
    all_end(&backends);
}
