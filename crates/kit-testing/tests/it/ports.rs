//! Free ports are free, and stay so.

#[cfg(target_os = "linux")]
use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};

use kit_testing::ports::{free_port, listener};

#[test]
fn a_listener_listens_on_loopback() {
    let listener = listener().unwrap();
    let addr = listener.local_addr().unwrap();
    assert!(addr.ip().is_loopback() && addr.port() > 0);
    TcpStream::connect(addr).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn two_reservations_never_share_a_port() {
    let ports: Vec<_> = (0..200).map(|_| free_port().unwrap()).collect();
    let numbers: HashSet<u16> = ports.iter().map(|port| port.number()).collect();
    assert_eq!(numbers.len(), 200);
}

#[test]
fn a_reserved_port_refuses_connections() {
    let port = free_port().unwrap();
    assert_eq!(TcpStream::connect(port.addr()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_released_port_can_be_bound() {
    let number = free_port().unwrap().release();
    TcpListener::bind(("127.0.0.1", number)).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_binds_the_port_while_it_is_reserved_and_again_after_a_restart() {
    let port = free_port().unwrap();
    for _ in 0..2 {
        let server = TcpListener::bind(port.addr()).unwrap();
        TcpStream::connect(port.addr()).unwrap();
        drop(server);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_who_asks_for_any_port_is_given_a_reserved_one() {
    let reserved: HashSet<u16> = {
        let ports: Vec<_> = (0..500).map(|_| free_port().unwrap()).collect();
        let others: Vec<_> = (0..5_000).map_while(|_| listener().ok()).collect();
        let others: HashSet<u16> = others.iter().map(|other| other.local_addr().unwrap().port()).collect();
        ports.iter().map(|port| port.number()).filter(|number| others.contains(number)).collect()
    };
    assert!(reserved.is_empty(), "given twice: {reserved:?}");
}
