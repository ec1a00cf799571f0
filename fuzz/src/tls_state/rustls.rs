//! rustls in the place of the toy: its own handshake and records, by ring's hashes and ciphers, without
//! what is random or dear.
//!
//! A key exchange and a signature would cost more than all else, and what they make would be another thing
//! each time, which tells libFuzzer of news where there are none: here they are constants.

use std::sync::{Arc, LazyLock};

use rasyncio::tls::fuzzing::Records;
use rasyncio::tls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use rasyncio::tls::rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
    UnsupportedOperationError,
};
use rasyncio::tls::rustls::crypto::ring::cipher_suite::{
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS13_AES_128_GCM_SHA256,
};
use rasyncio::tls::rustls::crypto::{
    ActiveKeyExchange, CipherSuiteCommon, CryptoProvider, GetRandomFailed, SecureRandom,
    SharedSecret, SupportedKxGroup, ring,
};
use rasyncio::tls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rasyncio::tls::rustls::server::{ClientHello, ResolvesServerCert};
use rasyncio::tls::rustls::sign::{CertifiedKey, Signer, SigningKey};
use rasyncio::tls::rustls::{
    self, ClientConfig, ConnectionTrafficSecrets, ContentType, DigitallySignedStruct, NamedGroup,
    ProtocolVersion, ServerConfig, SignatureAlgorithm, SignatureScheme, SupportedCipherSuite,
    Tls13CipherSuite,
};
use rasyncio::tls::{Answer, Tls};

use super::ends::{End, Engine};

/// The scheme in which nothing is signed.
const SCHEME: SignatureScheme = SignatureScheme::ED25519;
const SIGNATURE: &[u8] = b"signed";

/// One side by rustls.
pub(crate) struct Rustls {
    records: Records,
    sealed: bool,
    /// What has come is lent to it, as the link's buffer is; if not, it is copied.
    lends: bool,
}

/// What is chosen before a program begins.
pub(crate) struct How {
    /// What comes is as it was sent, or refused.
    pub(crate) sealed: bool,
    pub(crate) lends: bool,
    /// TLS 1.2, with which all is sealed.
    pub(crate) old: bool,
}

/// Two ends whose links stand: a client and a server.
pub(crate) fn ends(how: &How) -> [End<Rustls>; 2] {
    let sealed = how.sealed || how.old;
    let version = if how.old {
        &rustls::version::TLS12
    } else {
        &rustls::version::TLS13
    };
    let provider = Arc::new(provider(sealed));
    let mut client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .expect("the version has a suite")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    client.resumption = rustls::client::Resumption::in_memory_sessions(1);
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("the version has a suite")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Anything));
    server.session_storage = rustls::server::ServerSessionMemoryCache::new(1);
    let client = Tls::client(client, "localhost").expect("it is a name");
    let ends = [client, Tls::server(server)].map(|tls| {
        let records = Records::new(&tls).expect("the configuration is in order");
        let engine = Rustls {
            records,
            sealed,
            lends: how.lends,
        };
        End::new(engine, true)
    });
    for end in &ends {
        end.state.connection_made(end).expect("it does not fail");
    }
    ends
}

impl Engine for Rustls {
    type Error = String;

    /// A message of a handshake may be in many records.
    const LONGEST: usize = 128 * 1024;

    fn is_sealed(&self) -> bool {
        self.sealed
    }

    fn with_input(&self, bytes: &[u8], work: impl FnOnce()) {
        if self.lends {
            self.records.lend(bytes, work);
        } else {
            self.records.feed(bytes);
            work();
        }
    }

    fn handshake(&self) -> Result<Answer, String> {
        self.records.handshake().map_err(|error| error.to_string())
    }

    fn encrypt(&self, data: &[u8], send: impl FnOnce(&[u8])) -> Result<usize, String> {
        let encrypted = self.records.encrypt(data, send);
        encrypted.map_err(|error| error.to_string())
    }

    fn deliver(&self, give: impl FnMut(&[u8]) -> bool) -> Result<bool, String> {
        let closed = self.records.deliver(give);
        closed.map_err(|error| error.to_string())
    }

    fn goodbye(&self) -> Result<Answer, String> {
        self.records.goodbye().map_err(|error| error.to_string())
    }

    fn incoming(&self) -> usize {
        self.records.incoming()
    }

    fn outgoing(&self) -> usize {
        self.records.outgoing()
    }

    fn take_output(&self) -> Vec<u8> {
        self.records.take_output()
    }
}

/// ring's, but for what is dear or random; with a cipher that is none where nothing is to be sealed, so
/// that bytes out of nowhere get past it.
fn provider(sealed: bool) -> CryptoProvider {
    static CLEAR: LazyLock<Option<Tls13CipherSuite>> = LazyLock::new(|| {
        let suite = TLS13_AES_128_GCM_SHA256.tls13()?;
        Some(Tls13CipherSuite {
            common: CipherSuiteCommon {
                suite: suite.common.suite,
                hash_provider: suite.common.hash_provider,
                confidentiality_limit: u64::MAX,
            },
            hkdf_provider: suite.hkdf_provider,
            aead_alg: &Clear,
            quic: None,
        })
    });
    let mut provider = ring::default_provider();
    provider.secure_random = &Constant;
    provider.kx_groups = vec![&Constant];
    provider.cipher_suites = if sealed {
        vec![
            TLS13_AES_128_GCM_SHA256,
            TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ]
    } else {
        CLEAR.iter().map(SupportedCipherSuite::Tls13).collect()
    };
    provider
}

/// Random numbers and a key exchange that are always the same.
#[derive(Debug)]
struct Constant;

impl SecureRandom for Constant {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        buffer.fill(4);
        Ok(())
    }
}

impl SupportedKxGroup for Constant {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        Ok(Box::new(Constant))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Constant {
    fn complete(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, rustls::Error> {
        Ok(SharedSecret::from(&[7; 32][..]))
    }

    fn pub_key(&self) -> &[u8] {
        &[9; 32]
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// Anybody may be anybody: a certificate of no content, and a signature that is a word.
#[derive(Debug)]
struct Anything;

impl ResolvesServerCert for Anything {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificate = CertificateDer::from(&b"certificate"[..]);
        Some(Arc::new(CertifiedKey::new(
            vec![certificate],
            Arc::new(Anything),
        )))
    }
}

impl SigningKey for Anything {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SCHEME)
            .then(|| Box::new(Anything) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Anything {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(SIGNATURE.to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SCHEME
    }
}

impl Anything {
    fn verify(signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        if signed.signature() == SIGNATURE {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(rustls::CertificateError::BadSignature.into())
        }
    }
}

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Anything::verify(signed)
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Anything::verify(signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SCHEME]
    }
}

/// A cipher of TLS 1.3 that leaves all as it is.
struct Clear;

impl Tls13AeadAlgorithm for Clear {
    fn encrypter(&self, _: AeadKey, _: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Clear)
    }

    fn decrypter(&self, _: AeadKey, _: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Clear)
    }

    fn key_len(&self) -> usize {
        16
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl MessageEncrypter for Clear {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        _: u64,
    ) -> Result<OutboundOpaqueMessage, rustls::Error> {
        let len = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(len);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&[u8::from(message.typ)]);
        Ok(OutboundOpaqueMessage::new(
            ContentType::ApplicationData,
            ProtocolVersion::TLSv1_2,
            payload,
        ))
    }

    fn encrypted_payload_len(&self, len: usize) -> usize {
        len + 1
    }
}

impl MessageDecrypter for Clear {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        _: u64,
    ) -> Result<InboundPlainMessage<'a>, rustls::Error> {
        message.into_tls13_unpadded_message()
    }
}
