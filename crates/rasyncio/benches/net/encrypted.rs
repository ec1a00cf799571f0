//! Encrypted echo servers, of ours and of tokio-rustls.

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;

use rasyncio::servers;
use rasyncio::tls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rasyncio::tls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{ANY, net, serving};

/// A server's config, and its certificate in hexadecimal digits.
fn certified() -> (ServerConfig, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let digits = certificate.iter().map(|it| format!("{it:02x}")).collect();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    (config, digits)
}

/// A client that trusts the server with this certificate, and makes a whole handshake each time.
pub(crate) fn client(digits: &str) -> Arc<ClientConfig> {
    let bytes: Vec<u8> = (0..digits.len() / 2)
        .map(|place| u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).unwrap())
        .collect();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(bytes)).unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rasyncio::tls::rustls::client::Resumption::disabled();
    Arc::new(config)
}

fn say(port: u16, digits: &str) {
    serving(format!("{port} {digits}"));
}

pub(crate) async fn protocol() {
    let (config, digits) = certified();
    let server = servers::Builder::new()
        .ssl(config)
        .create_server(|| Rc::new(net::ours::Echo), ANY)
        .await
        .unwrap();
    say(server.local_addrs()[0].port(), &digits);
    pending().await
}

pub(crate) async fn streams() {
    let (config, digits) = certified();
    let server = servers::Builder::new()
        .ssl(config)
        .start_server(net::ours::echo_stream, ANY)
        .await
        .unwrap();
    say(server.local_addrs()[0].port(), &digits);
    pending().await
}

pub(crate) async fn tokio() {
    let (config, digits) = certified();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(ANY).await.unwrap();
    say(listener.local_addr().unwrap().port(), &digits);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                net::theirs::echo(stream).await;
            }
        });
    }
}
