//! Child processes: started, read, signalled, and never left behind.

use std::error::Error;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

use kit_testing::process::{Child, Signal};

use crate::rerun::{has_role, in_role};

const SOON: Duration = Duration::from_secs(20);

fn sh(script: &str) -> Child {
    Child::spawn(Command::new("sh").args(["-c", script])).unwrap()
}

/// Prints the pid of a process that it has started, in its own group, and sleeps.
const WITH_GRANDCHILD: &str = "sleep 1000 & echo grandchild $!; wait";

fn grandchild(child: &Child) -> u32 {
    child.wait_for(SOON, "a pid", |line| line.strip_prefix("grandchild ")?.parse().ok()).unwrap()
}

fn lives(pid: u32) -> bool {
    // An orphan may be a zombie until init gets to it; that one is dead enough.
    let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

fn dies(pid: u32) -> bool {
    let deadline = Instant::now() + SOON;
    while lives(pid) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn a_line_is_found_whether_it_came_before_or_comes_after() {
    let child = sh("echo first; echo second >&2; sleep 1000");
    assert_eq!(child.wait_for_line("sec", SOON).unwrap(), "second");
    assert_eq!(child.wait_for_line("fir", SOON).unwrap(), "first");
}

#[test]
fn both_streams_are_kept_apart() {
    let mut child = sh("echo out; echo err >&2; printf unfinished");
    assert!(child.wait(SOON).unwrap().success());
    assert_eq!((child.stdout().as_str(), child.stderr().as_str()), ("out\nunfinished\n", "err\n"));
}

#[test]
fn an_exit_code_comes_back() {
    assert_eq!(sh("exit 3").wait(SOON).unwrap().code(), Some(3));
}

#[test]
fn a_line_that_never_comes_shows_what_came_instead() {
    let error = sh("echo cannot bind; exit 1").wait_for_line("ready", SOON).unwrap_err();
    assert!(!error.is_timeout());
    assert_eq!(error.to_string(), "`sh` ended before a line with \"ready\" came; it said:\n  out: cannot bind\n");
}

#[test]
fn a_wait_gives_up_when_its_time_is_over() {
    let mut child = sh("sleep 1000");
    let error = child.wait_for_line("ready", Duration::from_millis(20)).unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(error.to_string(), "waited 20ms in vain for a line with \"ready\" of `sh`; it said nothing");
    assert!(child.wait(Duration::from_millis(20)).unwrap_err().is_timeout());
}

#[test]
fn a_clean_stop_is_a_success() {
    let mut child = sh("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done");
    child.wait_for_line("up", SOON).unwrap();
    assert!(child.stop().unwrap().success());
    assert_eq!(child.stdout(), "up\nbye\n");
    assert!(child.stop().unwrap().success(), "a second stop changes nothing");
    child.signal(Signal::Kill).unwrap();
}

#[test]
fn a_program_that_ignores_sigterm_is_killed() {
    let mut child = sh("trap '' TERM; echo up; while :; do sleep 0.01; done");
    child.wait_for_line("up", SOON).unwrap();
    assert_eq!(child.stop_within(Duration::from_millis(50)).unwrap().signal(), Some(9));
}

#[test]
fn signals_reach_the_program() {
    let mut child = sh("trap 'exit 7' INT; echo up; while :; do sleep 0.01; done");
    child.wait_for_line("up", SOON).unwrap();
    child.signal(Signal::Interrupt).unwrap();
    assert_eq!(child.wait(SOON).unwrap().code(), Some(7));
}

#[test]
fn a_frozen_program_says_nothing_until_it_goes_on() {
    let child = sh("trap 'echo thawed' HUP; echo up; while :; do sleep 0.01; done");
    child.wait_for_line("up", SOON).unwrap();
    child.signal(Signal::Stop).unwrap();
    child.signal(Signal::Hangup).unwrap();
    assert!(child.wait_for_line("thawed", Duration::from_millis(50)).unwrap_err().is_timeout());
    child.signal(Signal::Continue).unwrap();
    child.wait_for_line("thawed", SOON).unwrap();
}

#[test]
fn a_program_that_does_not_exist_is_an_error_that_names_it() {
    let error = Child::spawn(Command::new("/no/such/program")).unwrap_err();
    assert_eq!(error.to_string(), "cannot start `/no/such/program`");
    assert!(error.source().is_some());
}

#[test]
fn a_drop_ends_the_program_and_all_that_it_started() {
    let child = sh(WITH_GRANDCHILD);
    let (pid, grandchild) = (child.pid(), grandchild(&child));
    assert!(lives(pid) && lives(grandchild));
    drop(child);
    assert!(!lives(pid), "it is reaped when drop returns");
    assert!(dies(grandchild));
}

#[test]
fn a_panic_ends_the_program_too() {
    let mut pids = None;
    let child = sh(WITH_GRANDCHILD);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        pids = Some((child.pid(), grandchild(&child)));
        let _owned = child;
        panic!("a test fails");
    }));
    assert!(panic.is_err());
    let (pid, grandchild) = pids.unwrap();
    assert!(!lives(pid) && dies(grandchild));
}

#[test]
fn what_a_program_leaves_behind_ends_with_it() {
    let mut child = sh("sleep 1000 & echo grandchild $!");
    let pid = grandchild(&child);
    assert!(child.wait(SOON).unwrap().success());
    assert!(dies(pid));
}

#[test]
fn a_program_lives_on_when_the_thread_that_started_it_ends() {
    // The kernel's parent-death signal fails here: it fires when the starting thread ends.
    let child = std::thread::spawn(|| sh("while :; do sleep 0.01; echo beat; done")).join();
    let child = child.unwrap();
    let beats = || child.stdout().lines().count();
    let seen = beats();
    let deadline = Instant::now() + SOON;
    while beats() < seen + 3 {
        assert!(Instant::now() < deadline, "it has stopped");
        std::thread::yield_now();
    }
}

#[test]
fn nothing_stays_behind_when_the_test_process_is_killed() {
    if has_role("owner") {
        let child = sh(WITH_GRANDCHILD);
        println!("\nprogram {}", child.pid());
        println!("grandchild {}", grandchild(&child));
        println!("watched");
        std::thread::park();
    }
    let mut owner =
        Child::spawn(in_role("process::nothing_stays_behind_when_the_test_process_is_killed", "owner")).unwrap();
    let program: u32 = owner.wait_for(SOON, "a pid", |line| line.strip_prefix("program ")?.parse().ok()).unwrap();
    let grandchild = grandchild(&owner);
    owner.wait_for_line("watched", SOON).unwrap();
    assert!(lives(program) && lives(grandchild));
    // The program leads a group of its own, so only the watchdog can reach it.
    owner.signal(Signal::Kill).unwrap();
    assert_eq!(owner.wait(SOON).unwrap().signal(), Some(9));
    assert!(dies(program) && dies(grandchild));
}

#[test]
fn a_failing_test_shows_what_the_program_said() {
    if has_role("failing") {
        let child = sh("echo 'cannot open the database'; sleep 1000");
        child.wait_for_line("cannot", SOON).unwrap();
        panic!("the test fails");
    }
    let mut owner = Child::spawn(in_role("process::a_failing_test_shows_what_the_program_said", "failing")).unwrap();
    assert!(!owner.wait(SOON).unwrap().success());
    assert!(owner.stderr().contains("`sh` said:\n  out: cannot open the database\n"), "{}", owner.stderr());
}

#[test]
fn a_flood_of_output_is_read_and_its_last_lines_are_kept() {
    let mut child = sh("i=0; while [ $i -lt 100010 ]; do echo $i; i=$((i+1)); done");
    assert!(child.wait(SOON).unwrap().success());
    let stdout = child.stdout();
    assert_eq!((stdout.lines().next(), stdout.lines().last()), (Some("10"), Some("100009")));
}
