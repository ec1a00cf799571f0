//! TLS: a server that answers in capitals, a client that trusts it, and one that does not.
//!
//!     cargo run --package rasyncio --features tls --example tls_echo

use rasyncio::tls::error_of;
use rasyncio::tls::rustls::pki_types::PrivatePkcs8KeyDer;
use rasyncio::tls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use rasyncio::{StreamReader, StreamWriter, connect, servers};
use std::error::Error;

/// A server's configuration, and that of a client who trusts it: a certificate that signs itself.
/// Others come from files.
fn configurations() -> Result<(ServerConfig, ClientConfig), Box<dyn Error>> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
    let mut trusted = RootCertStore::empty();
    trusted.add(certificate.der().clone())?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())?;
    server.alpn_protocols = vec![b"shout".to_vec()];
    let mut client = ClientConfig::builder()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"whisper".to_vec(), b"shout".to_vec()];
    Ok((server, client))
}

async fn shout(mut reader: StreamReader, writer: StreamWriter) {
    while let Ok(line) = reader.readline().await
        && !line.is_empty()
        && writer.write(&line.to_ascii_uppercase()).is_ok()
        && writer.drain().await.is_ok()
    {}
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (server, client) = configurations()?;
    let server = servers::Builder::new()
        .ssl(server)
        .start_server(shout, "127.0.0.1:0")
        .await?;
    let address = server.local_addrs()[0];

    let (mut reader, writer) = connect::Builder::new()
        .ssl(client)
        .server_hostname("localhost")
        .open_connection(address)
        .await?;
    writer.write(b"hello\n")?;
    let answer = reader.readline().await?;
    println!("answer: {}", String::from_utf8_lossy(&answer).trim());
    if let Some(info) = writer.tls_info() {
        let protocol = info.alpn_protocol.unwrap_or_default();
        println!("version: {:?}", info.protocol_version);
        println!("protocol: {}", String::from_utf8_lossy(&protocol));
    }
    writer.close();
    writer.wait_closed().await?;

    let (_, stranger) = configurations()?;
    let refused = connect::Builder::new()
        .ssl(stranger)
        .server_hostname("localhost")
        .open_connection(address)
        .await;
    if let Err(error) = refused {
        println!(
            "a stranger: refused by rustls: {}",
            error_of(&error).is_some()
        );
    }
    server.close();
    server.wait_closed().await?;
    Ok(())
}
