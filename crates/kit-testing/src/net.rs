//! A network cable that can be cut: packets vanish, and nobody is told.

use std::fs::File;
use std::io::{self, Write};
use std::iter;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::tools;

/// The two ends, and nobody: addresses of network cards. Each cable is a network of its own, so all have the same.
const NEAR: &str = "02:6b:69:74:00:01";
const FAR: &str = "02:6b:69:74:00:02";
const NOBODY: &str = "02:6b:69:74:00:00";

/// How long the two ends may take to come up, which is a matter of milliseconds.
const COMES_UP: Duration = Duration::from_secs(5);

/// A cable from this machine to another one that is made up: a network namespace behind a pair of virtual cards.
///
/// A peer that dies by power, by a pulled cable or behind a router that forgot it says nothing, and no test on loopback
/// shows what becomes of a connection to it: there, every end is told. Over a cable, real TCP meets real silence.
///
/// ```
/// use std::io::{ErrorKind, Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use std::time::Duration;
///
/// use kit_testing::net::Cable;
///
/// # fn main() -> std::io::Result<()> {
/// // Prints a line and returns nothing where it cannot be had; in CI, it panics if `ip` is missing.
/// # if Cable::lay().is_err() { return Ok(()); }
/// let Some(cable) = Cable::or_skip() else { return Ok(()) };
///
/// // The socket belongs to the far side for good, wherever it is used.
/// let listener = cable.inside(|| TcpListener::bind((cable.far(), 0)))??;
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let (mut server, _) = listener.accept()?;
///
/// cable.cut()?;
/// client.write_all(b"hello")?; // the operating system takes it, and tries in vain
/// server.set_read_timeout(Some(Duration::from_millis(50)))?;
/// assert_eq!(server.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
///
/// cable.mend()?;
/// server.set_read_timeout(None)?;
/// let mut hello = [0; 5];
/// server.read_exact(&mut hello)?; // it tries again, after pauses that double from 0.2 s on
/// assert_eq!(&hello, b"hello");
/// # Ok(())
/// # }
/// ```
///
/// A program runs on the far side by [`command`](Self::command):
///
/// ```no_run
/// use std::time::Duration;
///
/// use kit_testing::net::Cable;
/// use kit_testing::process::Child;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cable = Cable::lay()?;
/// let far = cable.far().to_string();
/// let server = Child::spawn(cable.command("python3").args(["-u", "-m", "http.server", "--bind", &far, "8080"]))?;
/// server.wait_for_line("Serving HTTP", Duration::from_secs(10))?;
/// // A client of the test connects to (cable.far(), 8080).
/// # Ok(())
/// # }
/// ```
///
/// # What is guaranteed
///
/// - A [`cut`](Self::cut) cable takes all packets, both ways, and gives no sign: no reset, no ICMP, no "host
///   unreachable", no lost carrier, now or later. What is written stays unacknowledged.
/// - Each cable has addresses and a namespace of its own, so tests may run at the same time, also those of several
///   processes. The addresses are a /30 within 198.19.0.0/16, which is set aside for tests of networks (RFC 2544); a
///   machine that uses these for something else does not reach four of them meanwhile.
/// - On drop, both ends and the namespace are removed. A process that was killed leaves them; the next cable on the
///   machine removes them.
///
/// It needs Linux, the program `ip`, and the right to make network namespaces. Root has it, but not in a container as Docker
/// starts it: there it takes `--cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined`. The methods block for
/// some milliseconds.
#[derive(Debug)]
pub struct Cable {
    /// The name of the namespace, and that of the near end.
    name: String,
    near: Ipv4Addr,
    far: Ipv4Addr,
}

impl Cable {
    /// Lays a cable, or skips the test as [`skip_unless`](tools::skip_unless) does: with one line on stderr that says what
    /// is missing.
    ///
    /// # Panics
    ///
    /// In CI, when `ip` is missing, or fails. Where the right is missing, the line is all, in CI too: nothing can be installed
    /// that brings it.
    #[must_use = "a test without its cable must return"]
    pub fn or_skip() -> Option<Self> {
        if !tools::skip_unless_or("ip", "install it, on Debian by `apt-get install iproute2`") {
            return None;
        }
        match Self::lay() {
            Ok(cable) => Some(cable),
            Err(error) => {
                let missing = format!("the right to make network namespaces is missing ({error})");
                let how = "run it as root, in a container with the capabilities SYS_ADMIN and NET_ADMIN";
                let refused = ["not permitted", "denied"].iter().any(|word| error.to_string().contains(word));
                // A program can be installed, and a right cannot: a container without it is no reason for CI to fail.
                if refused {
                    tools::say_skipped(&missing, how)
                } else {
                    tools::skip(&missing, how)
                }
                None
            }
        }
    }

    /// Lays a cable, over which packets pass.
    ///
    /// # Errors
    ///
    /// When `ip` is missing, or may not do it; the error shows what it said.
    pub fn lay() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        sweep();
        // At most 15 bytes, as Linux wants the names of its cards. A killed process may have left the name, and its pid to us.
        let mut names =
            iter::repeat_with(|| format!("kit{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed) % 10_000));
        let name = names.find(|name| !namespace(name).exists()).unwrap_or_default();
        ip(&["netns", "add", &name], "")?;
        // From here on it is removed if something fails.
        let mut cable = Self { name, near: Ipv4Addr::UNSPECIFIED, far: Ipv4Addr::UNSPECIFIED };
        let name = &cable.name;
        let pair = ["link", "add", name, "address", NEAR, "type", "veth"];
        ip(&[&pair[..], &["peer", "name", "far", "address", FAR, "netns", name]].concat(), "")?;
        // The number of the card is that of no other on the machine, so neither are these addresses.
        let shown = ip(&["-o", "link", "show", name], "")?;
        let (number, _) = shown.split_once(':').ok_or_else(|| io::Error::other(shown.clone()))?;
        let block = number.trim().parse::<u32>().map_err(io::Error::other)? % (1 << 14);
        let network = u32::from(Ipv4Addr::new(198, 19, 0, 0)) + 4 * block;
        (cable.near, cable.far) = (Ipv4Addr::from(network + 1), Ipv4Addr::from(network + 2));
        cable.near_side(&format!("addr add {}/30 dev {}\nlink set {} up\n", cable.near, cable.name, cable.name))?;
        cable.far_side(&format!("link set lo up\naddr add {}/30 dev far\nlink set far up\n", cable.far))?;
        cable.mend()?;
        cable.wait_until_up()?;
        Ok(cable)
    }

    /// The address of this side, which the far side reaches.
    #[must_use]
    pub fn near(&self) -> Ipv4Addr {
        self.near
    }

    /// The address of the far side, which this side reaches.
    #[must_use]
    pub fn far(&self) -> Ipv4Addr {
        self.far
    }

    /// The name of the far side's namespace, as `ip netns exec` takes it.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.name
    }

    /// A command that runs a program on the far side, for [`Child::spawn`](crate::process::Child::spawn). Of the network it
    /// sees a loopback of its own and the far end of the cable; files and all else are those of this machine. Its pid
    /// is the program's.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a function on the far side, on a thread of its own, and returns what it does. Sockets made by it stay on the
    /// far side, so that a server or a client of the test itself can live there.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    ///
    /// # Panics
    ///
    /// As the function does.
    pub fn inside<T: Send>(&self, function: impl FnOnce() -> T + Send) -> io::Result<T> {
        let namespace = File::open(namespace(&self.name))?;
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(function())
            });
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// From now on every packet vanishes, in both directions.
    ///
    /// # Errors
    ///
    /// When `ip` fails.
    pub fn cut(&self) -> io::Result<()> {
        // Each side sends to a card that does not exist, and the other one ignores that, as cards do.
        self.address(NOBODY, NOBODY)
    }

    /// Lets packets pass again. Those lost meanwhile are sent once more by TCP, when it next tries.
    ///
    /// # Errors
    ///
    /// When `ip` fails.
    pub fn mend(&self) -> io::Result<()> {
        self.address(NEAR, FAR)
    }

    /// Tells each side the card of the other, for good, so that neither ever asks and finds nobody.
    fn address(&self, near: &str, far: &str) -> io::Result<()> {
        self.near_side(&format!("neigh replace {} lladdr {far} nud permanent dev {}\n", self.far, self.name))?;
        self.far_side(&format!("neigh replace {} lladdr {near} nud permanent dev far\n", self.near))
    }

    fn near_side(&self, commands: &str) -> io::Result<()> {
        ip(&["-batch", "-"], commands).map(drop)
    }

    fn far_side(&self, commands: &str) -> io::Result<()> {
        ip(&["-n", &self.name, "-batch", "-"], commands).map(drop)
    }

    fn wait_until_up(&self) -> io::Result<()> {
        let since = Instant::now();
        while ![&["-o", "link", "show", &self.name][..], &["-n", &self.name, "-o", "link", "show", "far"]]
            .iter()
            .all(|shown| ip(shown, "").is_ok_and(|shown| shown.contains("state UP")))
        {
            if since.elapsed() > COMES_UP {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the cable does not come up"));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // First the card, and the other end with it: the namespace lives on while a socket of it does.
        let _ = ip(&["link", "del", &self.name], "");
        let _ = ip(&["netns", "del", &self.name], "");
    }
}

/// Where `ip` keeps the namespace of this name.
fn namespace(name: &str) -> PathBuf {
    Path::new("/var/run/netns").join(name)
}

/// Removes what processes have left that are gone. Best effort: the machine may have given a pid to somebody else.
fn sweep() {
    for line in ip(&["netns", "list"], "").unwrap_or_default().lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let pid = name.strip_prefix("kit").and_then(|rest| rest.split_once('-')).and_then(|(pid, _)| pid.parse().ok());
        if pid.is_some_and(|pid: u32| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = ip(&["link", "del", name], "");
            let _ = ip(&["netns", "del", name], "");
        }
    }
}

/// Runs `ip`, with lines of input, and returns what it says.
fn ip(args: &[&str], input: &str) -> io::Result<String> {
    let mut child =
        Command::new("ip").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that has ended already says why below.
        let _ = stdin.write_all(input.as_bytes());
    }
    let Output { status, stdout, stderr } = child.wait_with_output()?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr);
    Err(io::Error::other(format!("`ip {}` said: {}", args.join(" "), said.trim())))
}
