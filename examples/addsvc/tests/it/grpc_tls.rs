//! addsvc over gRPC with TLS, and with certificates of clients, from our client to our server.

use std::sync::{Arc, Mutex};

use addsvc::{Add, AddEndpoints, AddError, ConcatReply, ConcatRequest, SumReply, SumRequest, grpc_server};
use kit_base::{Context, Endpoint as _, Error, Kind, Operation, Origin, Peer, Request};
use kit_serve::{Listener, Server};
use kit_transport_grpc::{Connections, GrpcClient};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A certificate with its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// An authority for one test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages.push(usage);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// Of a server, which may ask for a client's certificate.
    fn server(&self, mutual: bool) -> ServerConfig {
        let provider = Arc::new(default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let verifier = || WebPkiClientVerifier::builder_with_provider(self.roots(), provider).build().unwrap();
        let config = if mutual { config.with_client_cert_verifier(verifier()) } else { config.with_no_client_auth() };
        let (chain, key) = self.issue("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
        config.with_single_cert(chain, key).unwrap()
    }

    /// Of a client, with a certificate of its own or without.
    fn client(&self, identity: Option<Identity>) -> ClientConfig {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(self.roots());
        match identity {
            Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
            None => config.with_no_client_auth(),
        }
    }
}

/// Notes the certificate of whoever calls.
#[derive(Clone, Default)]
struct Noting(Arc<Mutex<Vec<Option<Vec<u8>>>>>);

impl Add for Noting {
    async fn sum(&self, cx: &Context, req: SumRequest) -> Result<SumReply, AddError> {
        let shown = cx.extensions().get::<Peer>().unwrap().tls.as_ref();
        self.0.lock().unwrap().push(shown.map(|identity| identity.certificates[0].clone()));
        Ok(SumReply { v: req.a + req.b })
    }

    async fn concat(&self, _: &Context, req: ConcatRequest) -> Result<ConcatReply, AddError> {
        Ok(ConcatReply { v: req.a })
    }
}

/// Serves it on a port with TLS, and gives the URL.
async fn serve(service: Noting, config: ServerConfig) -> String {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap().tls(config);
    let url = format!("https://{}", listener.local_addr().unwrap());
    let service = AddEndpoints::new(service).bind(grpc_server(())).build().unwrap();
    tokio::spawn(Server::new(listener).serve(service, std::future::pending::<()>()));
    url
}

/// The field of `pb.SumReply` that is looked at here.
#[derive(prost::Message)]
struct Sum {
    #[prost(int64, tag = "1")]
    v: i64,
}

async fn three(url: &str, config: ClientConfig) -> Result<i64, Error> {
    let client = GrpcClient::over(url, Connections::new().tls(config)).unwrap();
    let sum = client.endpoint::<SumRequest, Sum>(Operation::new("pb.Add", "Sum"));
    Ok(sum.call(Request::new(SumRequest { a: 1, b: 2 })).await?.message().v)
}

#[tokio::test]
async fn calls_go_over_tls() {
    let (authority, noting) = (Authority::new(), Noting::default());
    let url = serve(noting.clone(), authority.server(false)).await;
    assert_eq!(three(&url, authority.client(None)).await.unwrap(), 3);
    assert_eq!(*noting.0.lock().unwrap(), [None]);
    // Another authority has not signed the server's certificate.
    let error = three(&url, Authority::new().client(None)).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{error:?}");
    assert_eq!(noting.0.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn with_mutual_tls_the_method_knows_the_caller_s_certificate() {
    let (authority, noting) = (Authority::new(), Noting::default());
    let url = serve(noting.clone(), authority.server(true)).await;
    let identity = authority.issue("client.test", ExtendedKeyUsagePurpose::ClientAuth);
    let certificate = identity.0[0].to_vec();
    assert_eq!(three(&url, authority.client(Some(identity))).await.unwrap(), 3);
    assert_eq!(*noting.0.lock().unwrap(), [Some(certificate)]);
    // Without one, and with one of another authority, nobody comes in.
    for identity in [None, Some(Authority::new().issue("client.test", ExtendedKeyUsagePurpose::ClientAuth))] {
        let error = three(&url, authority.client(identity)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    }
    assert_eq!(noting.0.lock().unwrap().len(), 1);
}
