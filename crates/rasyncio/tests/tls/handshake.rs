//! The handshake: what ends it, what it agrees on, how long it may take.

use super::*;

#[test]
fn an_end_in_the_handshake_is_a_reset() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let (one, two) = UnixStream::pair()?;
        let connecting = create_task(over(one, sides.client));
        yield_now().await?;
        drop(two);
        let outcome = connecting.await?;
        assert!(matches!(
            kind(outcome),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ));
        Ok(())
    })
}

#[test]
fn what_is_no_tls_is_refused() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let (one, two) = UnixStream::pair()?;
        let (_reader, writer) = open_socket(two).await?;
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        let error = over(one, sides.client).await.unwrap_err();
        assert!(matches!(error_of(&error), Some(Error::InvalidMessage(_))));
        Ok(())
    })
}

#[test]
fn a_handshake_has_its_time() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run_virtual(async {
        for (tls, seconds) in [
            (sides.client.clone(), 60),
            (sides.client.handshake_timeout(Duration::from_secs(5)), 5),
            (sides.server, 60),
        ] {
            let (one, _silent) = UnixStream::pair()?;
            let start = events::time();
            let error = over(one, tls).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
            assert_eq!(
                error.to_string(),
                format!(
                    "SSL handshake is taking longer than {seconds}.0 seconds: aborting the connection"
                )
            );
            assert_eq!((events::time() - start).as_secs(), seconds);
        }
        Ok(())
    })
}

#[test]
fn limits_are_positive_and_keywords_want_ssl() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    run(async {
        let nowhere = "127.0.0.1:1";
        let second = Duration::from_secs(1);
        let message = async |builder: connect::Builder| {
            let error = builder.open_connection(nowhere).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            error.to_string()
        };
        let new = connect::Builder::new;
        assert_eq!(
            message(new().server_hostname("x")).await,
            "server_hostname is only meaningful with ssl"
        );
        assert_eq!(
            message(new().ssl_handshake_timeout(second)).await,
            "ssl_handshake_timeout is only meaningful with ssl"
        );
        assert_eq!(
            message(new().ssl_shutdown_timeout(second)).await,
            "ssl_shutdown_timeout is only meaningful with ssl"
        );
        let (one, _two) = UnixStream::pair()?;
        let builder = new().ssl(authority.client());
        let error = builder.open_socket(one).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "You must set server_hostname when using ssl without a host"
        );
        let error = builder.open_unix_connection("/nowhere").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "you have to pass server_hostname when using ssl"
        );
        let error = servers::Builder::new()
            .ssl(authority.server("localhost"))
            .ssl_shutdown_timeout(Duration::ZERO)
            .start_server(echo, "127.0.0.1:0")
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "ssl_shutdown_timeout should be a positive number, got 0"
        );
        Ok(())
    })
}

#[test]
fn a_cancelled_handshake_leaves_nothing_behind() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        // Once, for what is made once.
        drop(sides.connect().await?);
        until(|| rasyncio::all_tasks().len() == 1).await?;
        sleep(Duration::from_millis(5)).await?;
        let before = descriptors();
        for turns in 0..6 {
            let (one, two) = UnixStream::pair()?;
            let (silent, _writer) = open_socket(two).await?;
            let connecting = create_task(over(one, sides.client.clone()));
            for _ in 0..turns {
                yield_now().await?;
            }
            connecting.cancel();
            assert!(connecting.await.is_err());
            drop(silent);
        }
        until(|| descriptors() == before).await?;
        Ok(())
    })
}

#[test]
fn tls_1_2_does_as_well() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    let provider = Arc::new(crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.root())?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    run(async {
        let server = echo_server(authority.server("localhost")).await?;
        let (mut reader, writer) = connect_to(&server, client).await?;
        let version = writer.tls_info().unwrap().protocol_version;
        assert_eq!(version, Some(ProtocolVersion::TLSv1_2));
        let data = vec![5; 200_000];
        writer.write(&data)?;
        assert_eq!(reader.readexactly(data.len()).await?, data);
        writer.close();
        writer.wait_closed().await?;
        Ok(())
    })
}

#[test]
fn a_session_is_resumed() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    let config = Arc::new(authority.client());
    run(async {
        let server = echo_server(authority.server("localhost")).await?;
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let (mut reader, writer) = connect::Builder::new()
                .ssl(config.clone())
                .server_hostname("localhost")
                .open_connection(server.local_addrs()[0])
                .await?;
            writer.write(b"x")?;
            // The ticket comes before that.
            reader.readexactly(1).await?;
            kinds.push(writer.tls_info().unwrap().handshake_kind);
            writer.close();
            writer.wait_closed().await?;
        }
        assert_eq!(
            kinds,
            [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]
        );
        Ok(())
    })
}
