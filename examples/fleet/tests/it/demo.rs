//! The demonstration, with Consul and without, and how it ends.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use kit_testing::process::{Child, Signal};
use kit_testing::temp::{TempDir, temp_dir};

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
fn runs_to_its_end(args: &[&str], discovery: &str) {
    let mut demo = demo(args);
    let status = demo.wait(PATIENCE).unwrap();
    let output = demo.stdout();
    assert_eq!((status.code(), &*demo.stderr()), (Some(0), ""), "{output}");
    assert!(output.starts_with(discovery), "{output}");
    assert!(output.lines().all(|line| line.chars().count() <= 80), "{output}");
    for news in ["addsvc-2: kill -9", "addsvc-2: back", "addsvc-3: SIGTERM", "addsvc-3: back"] {
        assert!(output.contains(news), "no {news:?} in {output}");
    }
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
    runs_to_its_end(&["--no-consul", "--seconds", "6"], "no consul: an in-process registry stands in\n");
}

#[test]
#[ignore = "takes 9 s: the heartbeat of the killed one must run out, and a clean leave waits for watchers"]
fn it_shows_a_kill_and_a_restart_over_consul() {
    if crate::consul::program().is_some() {
        runs_to_its_end(&["--seconds", "9"], "consul: an agent in a temporary folder, http on 127.0.0.1:");
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
    let begun = Instant::now();
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

/// A program of this name that is found first, and leaves a file `started` beside it.
fn consul_that(does: &str) -> (TempDir, Command, PathBuf) {
    let folder = temp_dir().unwrap();
    let (script, started) = (folder.path().join("consul"), folder.path().join("started"));
    std::fs::write(&script, format!("#!/bin/sh\n: > {}\n{does}\n", started.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    command.env("PATH", format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap()));
    (folder, command, started)
}

#[test]
fn a_signal_ends_it_while_it_waits_for_consul() {
    let (_folder, command, started) = consul_that("exec sleep 60");
    let mut demo = Child::spawn(command).unwrap();
    let begun = Instant::now();
    while !started.exists() {
        assert!(begun.elapsed() < PATIENCE, "{}", demo.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    demo.signal(Signal::Interrupt).unwrap();
    assert_eq!(demo.wait(Duration::from_secs(15)).unwrap().code(), Some(0), "{}", demo.stderr());
    assert_eq!(demo.stdout(), "\nstopped by a signal\n");
}

#[test]
fn a_consul_that_does_not_start_is_told_at_once_and_how_to_do_without() {
    let (_folder, command, _) = consul_that("echo this is broken; exit 3");
    let mut demo = Child::spawn(command).unwrap();
    assert_eq!(demo.wait(Duration::from_secs(15)).unwrap().code(), Some(1));
    for told in ["it has ended: this is broken", "--no-consul"] {
        assert!(demo.stderr().contains(told), "{}", demo.stderr());
    }
}
