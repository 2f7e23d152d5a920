//! TLS and mutual TLS, with a peer that no one here wrote.

use std::sync::Arc;
use std::time::Duration;

use kit_base::{Kind, Operation, Origin};
use kit_transport_grpc::{Connected, Connections, GrpcClient, Prost};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::ends::{calling, chain, soon};
use super::host::Host;
use super::{Asked, Told, after};
use crate::peers::{Certificates, Peer, python_is_here};

fn certificates(made: &Certificates, name: &str) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from_pem_file(made.file(name)).unwrap()]
}

fn key(made: &Certificates, name: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(made.file(name)).unwrap()
}

/// Trusts the authority, and shows the client's certificate if asked to.
fn config(made: &Certificates, shows: bool) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(made, "ca.pem"));
    let config =
        ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let config = config.unwrap().with_root_certificates(roots);
    if shows {
        config.with_client_auth_cert(certificates(made, "client.pem"), key(made, "client.key")).unwrap()
    } else {
        config.with_no_client_auth()
    }
}

fn echo_at(url: String, config: ClientConfig) -> Connected<Connections, Prost, Asked, Told> {
    let client = GrpcClient::with_connections(url, Connections::new().tls(config)).unwrap();
    client.endpoint(Operation::new("kit.probe.v1.Probe", "Echo"))
}

#[tokio::test]
async fn tls_and_mutual_tls_are_spoken_by_the_programs_configuration() {
    if !python_is_here() {
        return;
    }
    let made = Certificates::new();
    let (certificate, secret, authority) = (made.file("server.pem"), made.file("server.key"), made.file("ca.pem"));
    let peer = Peer::serve(&["--tls", &certificate, &secret]).await;
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}", peer.addr().port());
        after(Duration::ZERO, &echo_at(url, config(&made, false))).await.unwrap();
    }

    let peer = Peer::serve(&["--tls", &certificate, &secret, "--client-ca", &authority]).await;
    let url = format!("https://{}", peer.addr());
    after(Duration::ZERO, &echo_at(url.clone(), config(&made, true))).await.unwrap();
    let error = after(Duration::ZERO, &echo_at(url.clone(), config(&made, false))).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));

    // Another authority, by the same name.
    let error = after(Duration::ZERO, &echo_at(url, config(&Certificates::new(), true))).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
    assert!(chain(&error).contains("invalid peer certificate"), "{}", chain(&error));
}

#[tokio::test]
async fn a_server_that_does_not_agree_on_http2_is_refused() {
    let made = Certificates::new();
    let builder =
        ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let server = builder.unwrap().with_no_client_auth();
    let server = server.with_single_cert(certificates(&made, "server.pem"), key(&made, "server.key")).unwrap();
    let host = Host::bind().await;
    let client =
        GrpcClient::with_connections(format!("https://{}", host.addr()), Connections::new().tls(config(&made, false)));
    let call = calling(&client.unwrap().endpoint(crate::support::echo()), "");
    let stream = host.accept_raw().await;
    let _stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await.unwrap();
    let error = soon(call).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
    assert!(chain(&error).contains("h2 (ALPN)"), "{}", chain(&error));
}

#[tokio::test]
async fn tls_and_none_tell_what_is_wrong_when_they_meet() {
    let made = Certificates::new();
    let builder =
        ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let server = builder.unwrap().with_no_client_auth();
    let server = server.with_single_cert(certificates(&made, "server.pem"), key(&made, "server.key")).unwrap();
    let host = Host::bind().await;
    let call = calling(&host.echo(Connections::new()), "");
    let stream = host.accept_raw().await;
    let accepting = tokio::spawn(async move { TlsAcceptor::from(Arc::new(server)).accept(stream).await.map(drop) });
    let error = soon(call).await.unwrap_err();
    assert!(soon(accepting).await.is_err());
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
    let told = chain(&error);
    assert!(told.contains(&host.addr().to_string()) && told.contains("HTTP/2 without TLS"), "{told}");

    let url = format!("https://{}", host.addr());
    let client = GrpcClient::with_connections(url, Connections::new().tls(config(&made, false))).unwrap();
    let call = calling(&client.endpoint(crate::support::echo()), "");
    let mut stream = host.accept_raw().await;
    // The SETTINGS of a server without TLS.
    tokio::io::AsyncWriteExt::write_all(&mut stream, &[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let error = soon(call).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
    let told = chain(&error);
    assert!(told.contains(&host.addr().to_string()) && told.contains("does not speak TLS"), "{told}");
}

#[tokio::test]
async fn a_scheme_or_host_that_does_not_fit_tls_is_refused_when_the_client_is_built() {
    let made = Certificates::new();
    for (url, why) in [("http://localhost:1", "http is without TLS"), ("https://two..dots:1", "its host")] {
        let error = GrpcClient::with_connections(url, Connections::new().tls(config(&made, false)));
        let Err(error) = error else { panic!("{url} was taken") };
        assert!(error.to_string().contains(url) && error.to_string().contains(why), "{error}");
    }
}
