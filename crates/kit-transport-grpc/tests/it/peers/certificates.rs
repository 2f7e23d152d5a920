//! An authority for one test, with a certificate for a server and one for a client, as PEM files.

use std::path::PathBuf;

use kit_testing::temp::{TempDir, temp_dir};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

/// The files vanish on drop.
#[derive(Debug)]
pub(crate) struct Certificates(TempDir);

impl Certificates {
    /// The server is `localhost` and 127.0.0.1, the client `client.test`.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        // Another name than those of its certificates, or OpenSSL takes them for self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let made = Self(temp_dir().unwrap());
        made.write("ca.pem", &authority.pem());
        let sides = [
            ("server", &["localhost", "127.0.0.1"][..], ExtendedKeyUsagePurpose::ServerAuth),
            ("client", &["client.test"], ExtendedKeyUsagePurpose::ClientAuth),
        ];
        for (side, names, usage) in sides {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).unwrap();
            params.extended_key_usages.push(usage);
            let key = KeyPair::generate().unwrap();
            made.write(&format!("{side}.pem"), &params.signed_by(&key, &authority).unwrap().pem());
            made.write(&format!("{side}.key"), &key.serialize_pem());
        }
        made
    }

    /// One of `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`.
    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, pem: &str) {
        std::fs::write(self.path(name), pem).unwrap();
    }
}
