//! By what a request is limited.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kit_base::{Operation, RequestParts};

/// Finds the key of a request. A closure `Fn(&Req) -> Option<K>` does, given to [`Keyed::by`](crate::Keyed::by). The key is owned, and
/// may be anything with a hash: a text, a number, a tuple. It is not kept.
///
/// ```
/// use http::Request;
/// use kit_ratelimit::{KeyOf, Keyed, Quota, nonzero};
///
/// let tenant = |request: &Request<String>| request.headers().get("x-tenant").cloned();
/// let request = Request::get("/").header("x-tenant", "blue").body(String::new())?;
/// assert_eq!(tenant.key_of(&request).unwrap(), "blue");
/// let limit = Keyed::by(Quota::per_second(nonzero!(5)), tenant);
/// # let _ = limit;
/// # Ok::<(), http::Error>(())
/// ```
///
/// A key that the caller may choose freely, such as a header that nobody has checked, limits nobody: he takes another one.
pub trait KeyOf<Req, K>: Send + Sync + 'static {
    /// The key, if the request has one. All that have none share one bucket.
    fn key_of(&self, request: &Req) -> Option<K>;
}

impl<Req, K, F: Fn(&Req) -> Option<K> + Send + Sync + 'static> KeyOf<Req, K> for F {
    fn key_of(&self, request: &Req) -> Option<K> {
        self(request)
    }
}

/// The operation is the key.
#[derive(Clone, Copy, Debug, Default)]
pub struct OperationKey;

impl<Req: RequestParts> KeyOf<Req, Operation> for OperationKey {
    fn key_of(&self, request: &Req) -> Option<Operation> {
        Some(request.operation().clone())
    }
}

/// The network of the peer's address is the key.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeerKey;

impl<Req: RequestParts> KeyOf<Req, Network> for PeerKey {
    fn key_of(&self, request: &Req) -> Option<Network> {
        request.peer()?.addr.map(|addr| Network::of(addr.ip()))
    }
}

/// What one client can choose its address from: an IPv4 address, or an IPv6 network of 64 bits, of which a client has all.
///
/// That is the least that a client has. Providers give a household 56 bits, which are 256 such networks, and a site 48, which are
/// 65,536: beside this, limit all together. Behind a NAT64 with a prefix of its own, all of IPv4 is one network here: take the
/// address out of it, in a closure for [`Keyed::by`](crate::Keyed::by).
///
/// ```
/// use kit_ratelimit::Network;
///
/// let of = |addr: &str| addr.parse().map(Network::of);
/// assert_eq!(of("2001:db8::1")?, of("2001:db8::ffff:1")?);
/// assert_ne!(of("2001:db8::1")?, of("2001:db8:0:1::1")?);
/// assert_eq!(of("::ffff:192.0.2.7")?, of("192.0.2.7")?);
/// assert_ne!(of("192.0.2.7")?, of("192.0.2.8")?);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpAddr);

/// In one piece: what is derived takes three, and three times as long.
impl Hash for Network {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            IpAddr::V4(addr) => addr.to_bits().hash(state),
            IpAddr::V6(addr) => addr.to_bits().hash(state),
        }
    }
}

impl Network {
    /// The network of an address. An IPv4 address in IPv6's clothes (`::ffff:0:0/96`, and `64:ff9b::/96` of a NAT64, RFC 6052) is
    /// an IPv4 address.
    pub const fn of(addr: IpAddr) -> Self {
        Self(match addr.to_canonical() {
            IpAddr::V6(addr) if addr.to_bits() >> 32 == 0x64_ff9b << 64 => {
                IpAddr::V4(Ipv4Addr::from_bits(addr.to_bits() as u32))
            }
            IpAddr::V6(addr) => IpAddr::V6(Ipv6Addr::from_bits(addr.to_bits() & !(u64::MAX as u128))),
            v4 => v4,
        })
    }

    /// Its first address.
    pub const fn addr(&self) -> IpAddr {
        self.0
    }
}
