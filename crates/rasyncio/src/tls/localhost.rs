// What the examples of the documentation have in common; no part of the crate. A file of its own, so that
// each includes it in one hidden line.

use rasyncio::tls::rustls;

/// A server that is `localhost` by a certificate that nobody has signed but itself, and a client who trusts it.
pub(crate) fn localhost() -> (rustls::ServerConfig, rustls::ClientConfig) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = ["localhost".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let certificate = certificate.der().clone();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut trusted = rustls::RootCertStore::empty();
    trusted.add(certificate.clone()).unwrap();
    let server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    let client = rustls::ClientConfig::builder()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    (server, client)
}
