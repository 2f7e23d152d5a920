//! Whose word is taken for a client's address.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

/// The proxies, by their addresses, whose word is taken for the address of a client; clones share the list.
///
/// ```
/// use kit_serve::TrustedProxies;
///
/// let ours = TrustedProxies::new(["10.0.0.0/8", "fd00::/8", "192.0.2.7"])?.and_unix();
/// let error = TrustedProxies::new(["10.0.0.0/33"]).unwrap_err();
/// assert_eq!(error.to_string(), "not an address or a network: `10.0.0.0/33`");
/// # let _ = ours;
/// # Ok::<(), kit_serve::InvalidNetwork>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Arc<[IpNet]>,
    unix: bool,
}

impl TrustedProxies {
    /// Trusts these addresses (`192.0.2.7`, `2001:db8::7`) and networks in CIDR notation (`10.0.0.0/8`). An IPv4
    /// address that comes as an IPv6 one (`::ffff:10.0.0.1`, on a socket for both) counts as IPv4.
    ///
    /// # Errors
    ///
    /// When a text is neither; the error shows it.
    pub fn new<T: AsRef<str>>(networks: impl IntoIterator<Item = T>) -> Result<Self, InvalidNetwork> {
        let parse = |text: T| {
            let text = text.as_ref();
            let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| InvalidNetwork(text.to_owned()))
        };
        Ok(Self { networks: networks.into_iter().map(parse).collect::<Result<_, _>>()?, unix: false })
    }

    /// Trusts whoever connects over a Unix socket, too: they have no address, and the file's permissions say who they
    /// are.
    #[must_use]
    pub fn and_unix(mut self) -> Self {
        self.unix = true;
        self
    }

    /// Whether the peer of a connection is one of them; `None` for one over a Unix socket.
    pub(crate) fn trusts_peer(&self, addr: Option<SocketAddr>) -> bool {
        addr.map_or(self.unix, |addr| self.trusts(addr.ip()))
    }

    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }
}

/// A text that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidNetwork(String);

impl InvalidNetwork {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an address or a network: `{}`", self.0)
    }
}

impl Error for InvalidNetwork {}
