//! The header of the PROXY protocol, by which a proxy says whose connection it passes on.

use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};

use crate::socket::Socket;

/// The longest header that is taken, far more than any proxy sends: 16 bytes, addresses, and what a cloud adds.
const LONGEST: usize = 4096;

/// The longest header of version 1, by the specification.
const LONGEST_V1: usize = 107;

/// How a header of version 1 begins.
const V1: &[u8] = b"PROXY ";

/// How a header of version 2 begins.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Version and command, family, and the length of the rest follow the signature of version 2.
const V2_FIXED: usize = V2.len() + 4;

/// Reads a header, and no byte after it, from the beginning of a connection: the client's address, or none if the
/// connection is the proxy's own. An error is the key of the event.
pub(crate) async fn read(socket: &mut Socket) -> Result<Option<SocketAddr>, &'static str> {
    loop {
        if let Some((source, length)) = parse(socket.ahead())? {
            socket.forget_ahead(length);
            return Ok(source);
        }
        if !socket.read_ahead(LONGEST).await.unwrap_or(false) {
            return Err("missing");
        }
    }
}

/// The client's address and the header's length; none if more bytes are needed.
fn parse(bytes: &[u8]) -> Result<Option<(Option<SocketAddr>, usize)>, &'static str> {
    // At the first wrong byte, not when a whole header could be here.
    if ![V1, V2].iter().any(|begin| begin.starts_with(bytes) || bytes.starts_with(begin)) {
        return Err("missing");
    }
    let length = if bytes.starts_with(V1) { line(bytes)? } else { v2_length(bytes)? };
    let Some(header) = length.and_then(|length| bytes.get(..length)) else { return Ok(None) };
    let config = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    let (header, length) = ProxyHeader::parse(header, config).map_err(|_| "malformed")?;
    let source = header.proxied_address().filter(|proxied| proxied.protocol == Protocol::Stream);
    Ok(Some((source.map(|proxied| proxied.source), length)))
}

/// The length of a header of version 1, as soon as its end is here.
fn line(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    match bytes.iter().take(LONGEST_V1).position(|byte| *byte == b'\r') {
        Some(end) => Ok(Some(end + 2)),
        None if bytes.len() < LONGEST_V1 => Ok(None),
        None => Err("too_long"),
    }
}

/// The length of a header of version 2, as soon as it is told.
fn v2_length(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some(&[.., high, low]) = bytes.get(..V2_FIXED) else { return Ok(None) };
    let length = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length <= LONGEST { Ok(Some(length)) } else { Err("too_long") }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn no_bytes_panic_and_all_beginnings_of_a_header_ask_for_more() {
        let v1: &[u8] = b"PROXY TCP6 2001:db8::1 2001:db8::2 52953 25\r\n";
        let v2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x10\x00\x20\x00";
        for header in [v1, v2] {
            for length in 0..header.len() {
                assert_eq!(parse(&header[..length]), Ok(None), "{length}");
            }
            assert_eq!(parse(header).unwrap().unwrap().1, header.len());
            for position in 0..header.len() {
                for byte in 0..=255 {
                    let mut changed = header.to_vec();
                    changed[position] = byte;
                    for length in 0..=changed.len() {
                        let _ = parse(&changed[..length]);
                    }
                }
            }
        }
    }
}
