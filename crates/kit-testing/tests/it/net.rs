//! Cables: what is sent over one that is cut vanishes, and nobody is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use kit_testing::net::Cable;
use kit_testing::process::{Child, Signal};

use crate::rerun::{has_role, in_role};

const SOON: Duration = Duration::from_secs(20);
const WHILE: Duration = Duration::from_millis(400);

/// A listener on the far side, and a connection to it from this side: near end, far end.
fn connected(cable: &Cable) -> (TcpStream, TcpStream) {
    let listener = cable.inside(|| TcpListener::bind((cable.far(), 0)).unwrap()).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip(), cable.near());
    (near, far)
}

fn receive(stream: &mut TcpStream, within: Duration) -> std::io::Result<String> {
    let mut bytes = [0; 100];
    stream.set_read_timeout(Some(within)).unwrap();
    loop {
        match stream.read(&mut bytes) {
            // By the end of another test's child.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map(|count| String::from_utf8_lossy(&bytes[..count]).into_owned()),
        }
    }
}

fn hears_nothing(stream: &mut TcpStream) {
    let heard = receive(stream, WHILE);
    assert_eq!(heard.as_ref().unwrap_err().kind(), ErrorKind::WouldBlock, "{heard:?}");
    assert!(stream.take_error().unwrap().is_none());
}

/// Bytes that a socket of this side has sent, and the other has not acknowledged.
fn unacknowledged(stream: &TcpStream) -> u64 {
    let SocketAddr::V4(addr) = stream.local_addr().unwrap() else { unreachable!() };
    let local = format!("{:08X}:{:04X}", u32::from_le_bytes(addr.ip().octets()), addr.port());
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let line = sockets.lines().find(|line| line.split_whitespace().nth(1) == Some(&local)).unwrap();
    let queues = line.split_whitespace().nth(4).unwrap();
    u64::from_str_radix(queues.split_once(':').unwrap().0, 16).unwrap()
}

#[test]
fn over_a_cut_cable_nothing_passes_and_nobody_is_told_until_it_is_mended() {
    let Some(cable) = Cable::or_skip() else { return };
    let (mut near, mut far) = connected(&cable);
    near.write_all(b"one").unwrap();
    assert_eq!(receive(&mut far, SOON).unwrap(), "one");
    far.write_all(b"two").unwrap();
    assert_eq!(receive(&mut near, SOON).unwrap(), "two");

    cable.cut().unwrap();
    near.write_all(b"three").unwrap();
    far.write_all(b"four").unwrap();
    hears_nothing(&mut near);
    hears_nothing(&mut far);
    assert_eq!(unacknowledged(&near), 5);

    cable.mend().unwrap();
    assert_eq!(receive(&mut far, SOON).unwrap(), "three");
    assert_eq!(receive(&mut near, SOON).unwrap(), "four");
}

#[test]
fn an_end_that_dies_while_the_cable_is_cut_is_not_heard() {
    let Some(cable) = Cable::or_skip() else { return };
    let (mut near, far) = connected(&cable);
    cable.cut().unwrap();
    drop(far);
    near.write_all(b"is anybody there").unwrap();
    hears_nothing(&mut near);
    near.write_all(b"?").unwrap();
    hears_nothing(&mut near);
    assert_eq!(unacknowledged(&near), 17);
}

#[test]
fn connecting_over_a_cut_cable_is_neither_refused_nor_unreachable() {
    let Some(cable) = Cable::or_skip() else { return };
    let unreachable = |addr: Ipv4Addr| TcpStream::connect_timeout(&(addr, 9).into(), WHILE).unwrap_err().kind();
    assert_eq!(unreachable(cable.far()), ErrorKind::ConnectionRefused);
    assert_eq!(cable.inside(|| unreachable(cable.near())).unwrap(), ErrorKind::ConnectionRefused);
    cable.cut().unwrap();
    assert_eq!(unreachable(cable.far()), ErrorKind::TimedOut);
    assert_eq!(cable.inside(|| unreachable(cable.near())).unwrap(), ErrorKind::TimedOut);
}

#[test]
fn programs_run_on_the_far_side() {
    let Some(cable) = Cable::or_skip() else { return };
    let mut child = Child::spawn(cable.command("ip").args(["-o", "-4", "addr", "show", "far"])).unwrap();
    assert!(child.wait(SOON).unwrap().success(), "{}", child.stderr());
    assert!(child.stdout().contains(&format!(" {}/30 ", cable.far())), "{}", child.stdout());

    let server = Child::spawn(cable.command("sh").args(["-c", "echo $$; while :; do sleep 0.05; done"])).unwrap();
    assert_eq!(server.wait_for_line("", SOON).unwrap(), server.pid().to_string());
}

#[test]
fn cables_do_not_touch() {
    let Some(first) = Cable::or_skip() else { return };
    let Some(second) = Cable::or_skip() else { return };
    let (mut near, mut far) = connected(&second);
    first.cut().unwrap();
    near.write_all(b"still here").unwrap();
    assert_eq!(receive(&mut far, SOON).unwrap(), "still here");
    assert_ne!((first.namespace(), first.near(), first.far()), (second.namespace(), second.near(), second.far()));
}

fn said_by_ip(args: &[&str]) -> String {
    String::from_utf8(Command::new("ip").args(args).output().unwrap().stdout).unwrap()
}

fn is_there(name: &str) -> bool {
    said_by_ip(&["netns", "list"]).contains(name) || said_by_ip(&["-o", "link"]).contains(name)
}

#[test]
fn a_dropped_cable_is_gone_also_with_a_connection_open() {
    let Some(cable) = Cable::or_skip() else { return };
    let _open = connected(&cable);
    let name = cable.namespace().to_owned();
    assert!(is_there(&name));
    drop(cable);
    assert!(!is_there(&name));
}

#[test]
fn what_a_killed_test_left_is_removed_by_the_next() {
    if has_role("killed") {
        let Some(cable) = Cable::or_skip() else { return };
        println!("\nlaid {}", cable.namespace());
        std::thread::park();
    }
    if Cable::or_skip().is_none() {
        return;
    }
    let mut owner = Child::spawn(in_role("net::what_a_killed_test_left_is_removed_by_the_next", "killed")).unwrap();
    let name = owner.wait_for(SOON, "a name", |line| line.strip_prefix("laid ").map(str::to_owned)).unwrap();
    owner.signal(Signal::Kill).unwrap();
    owner.wait(SOON).unwrap();
    // Another test may have been faster.
    drop(Cable::lay().unwrap());
    assert!(!is_there(&name));
}

#[test]
fn who_may_not_lay_cables_skips_with_one_line_in_ci_too() {
    if has_role("nobody") {
        let _ = Cable::or_skip();
        return;
    }
    if Cable::or_skip().is_none() {
        return;
    }
    // Root alone can become nobody. The binary is copied to where everybody may read it.
    let folder = kit_testing::temp::temp_dir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let binary = folder.path().join("it");
    std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let role = in_role("net::who_may_not_lay_cables_skips_with_one_line_in_ci_too", "nobody");
    let run = |ci: &str| {
        let mut command = Command::new(&binary);
        command.args(role.get_args()).envs(role.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("CI", ci).current_dir("/").uid(65_534).gid(65_534);
        loop {
            match command.output() {
                // What copied it is closed here, but not yet in children that other tests are just starting.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                output => return output.unwrap(),
            }
        }
    };
    for ci in ["", "true"] {
        let skipped = run(ci);
        assert!(skipped.status.success());
        let line = String::from_utf8(skipped.stderr).unwrap();
        assert!(line.starts_with("skipped: the right to make network namespaces is missing (`ip netns add "), "{line}");
        assert!(line.contains("; to run this test, run it as root") && line.lines().count() == 1, "{line}");
    }
}

#[test]
fn names_that_a_killed_process_of_the_same_pid_has_left_are_passed_over() {
    let Some(cable) = Cable::or_skip() else { return };
    let (pid, count) = cable.namespace().split_once('-').unwrap();
    let count: u32 = count.parse().unwrap();
    let left = |n| format!("{pid}-{n}");
    let netns = |what, name: &str| Command::new("ip").args(["netns", what, name]).output().unwrap().status.success();
    // The tests beside this one may be faster to take a name.
    let ours: Vec<_> = (count + 1..count + 20).map(left).filter(|name| netns("add", name)).collect();
    let next = Cable::lay();
    for name in &ours {
        assert!(netns("del", name), "{name}");
    }
    assert!(!ours.contains(&next.unwrap().namespace().to_owned()));
}
