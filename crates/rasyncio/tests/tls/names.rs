//! Who shows which certificate, and whom the other side takes for somebody.

use super::*;

#[test]
fn a_certificate_of_nobody_known_is_refused() -> Outcome {
    let _alone = alone();
    let (authority, stranger) = (Authority::new(), Authority::new());
    run(async {
        let server = echo_server(stranger.server("localhost")).await?;
        let error = connect_to(&server, authority.client()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert_eq!(error_of(&error), Some(&unknown));
        // It goes on serving others.
        let (mut reader, writer) = connect_to(&server, stranger.client()).await?;
        writer.write(b"x")?;
        assert_eq!(reader.readexactly(1).await?, b"x");
        Ok(())
    })
}

#[test]
fn a_certificate_for_somebody_else_is_refused_and_both_sides_know_why() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    let client = Tls::client(authority.client(), "localhost")?;
    let server = Tls::server(authority.server("example.org"));
    run(async {
        let (one, two) = UnixStream::pair()?;
        let (one, two) = gather((over(one, client), over(two, server))).await?;
        let error = one.unwrap_err();
        assert!(matches!(
            error_of(&error),
            Some(Error::InvalidCertificate(
                CertificateError::NotValidForNameContext { .. }
            ))
        ));
        let error = two.unwrap_err();
        assert!(
            matches!(error_of(&error), Some(Error::AlertReceived(_))),
            "{error}"
        );
        Ok(())
    })
}

#[test]
fn clients_show_certificates_if_they_are_asked() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    run(async {
        let server = Tls::server(authority.asking_server("localhost"));
        let known = Tls::client(authority.known_client("ann"), "localhost")?;
        let (one, two) = UnixStream::pair()?;
        let (one, two) = gather((over(one, known), over(two, server.clone()))).await?;
        let (_reader, served) = two?;
        assert_eq!(served.tls_info().unwrap().peer_certificates.len(), 1);
        drop(one?);

        let unknown = Tls::client(authority.client(), "localhost")?;
        let (one, two) = UnixStream::pair()?;
        let (one, two) = gather((over(one, unknown), over(two, server))).await?;
        assert_eq!(
            error_of(&two.unwrap_err()),
            Some(&Error::NoCertificatesPresented)
        );
        // In TLS 1.3 the client hears of it when it is done already.
        let (mut reader, _writer) = one?;
        let error = reader.read(1).await.unwrap_err();
        assert!(
            matches!(error_of(&error), Some(Error::AlertReceived(_))),
            "{error}"
        );
        Ok(())
    })
}

#[test]
fn a_server_of_many_names_shows_the_right_certificate() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    let mut by_name = ResolvesServerCertUsingSni::new();
    for name in ["one.test", "two.test"] {
        let (chain, key) = authority.identity(name);
        let key = crypto::ring::sign::any_supported_type(&key)?;
        by_name.add(name, CertifiedKey::new(chain, key))?;
    }
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(by_name));
    let server = Tls::server(config);
    run(async {
        for name in ["two.test", "one.test"] {
            let client = Tls::client(authority.client(), name)?;
            let (one, two) = UnixStream::pair()?;
            let (one, two) = gather((over(one, client), over(two, server.clone()))).await?;
            drop((one?, two?));
        }
        Ok(())
    })
}

#[test]
fn a_server_knows_which_name_it_was_asked_for() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    let server = Tls::server(authority.server("one.test"));
    run(async {
        // The second time the session is resumed.
        let config = Arc::new(authority.client());
        for _ in 0..2 {
            let client = Tls::client(config.clone(), "One.Test")?;
            let (one, two) = UnixStream::pair()?;
            let (one, two) = gather((over(one, client), over(two, server.clone()))).await?;
            let ((mut reader, one), (_, two)) = (one?, two?);
            assert_eq!(
                two.tls_info().unwrap().server_name.as_deref(),
                Some("one.test")
            );
            assert_eq!(one.tls_info().unwrap().server_name, None);
            two.write(b"x")?;
            assert_eq!(reader.readexactly(1).await?, b"x");
        }
        Ok(())
    })
}

#[test]
fn who_connects_to_numbers_asks_for_no_name() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    let server = Tls::server(authority.server("127.0.0.1"));
    run(async {
        let client = Tls::client(authority.client(), "127.0.0.1")?;
        let (one, two) = UnixStream::pair()?;
        let (one, two) = gather((over(one, client), over(two, server))).await?;
        one?;
        assert_eq!(two?.1.tls_info().unwrap().server_name, None);
        Ok(())
    })
}
