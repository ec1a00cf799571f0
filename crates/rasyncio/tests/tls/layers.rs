//! Encryption over all that there is: streams in the middle, TLS itself, Unix and accepted sockets.

use super::*;

#[test]
fn a_plain_stream_becomes_encrypted_in_the_middle() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let (one, two) = UnixStream::pair()?;
        let server = async {
            let (mut reader, mut writer) = open_socket(two).await?;
            assert_eq!(reader.readline().await?, b"STARTTLS\n");
            writer.write(b"go ahead\n")?;
            // The client's first words may be here already: they are not lost.
            sleep(Duration::from_millis(5)).await?;
            writer.start_tls(&sides.server).await?;
            let line = reader.readline().await?;
            writer.write(&line.to_ascii_uppercase())?;
            writer.drain().await?;
            Ok::<_, Box<dyn std::error::Error>>(reader.read(1).await?)
        };
        let client = async {
            let (mut reader, mut writer) = open_socket(one).await?;
            assert!(writer.tls_info().is_none());
            writer.write(b"STARTTLS\n")?;
            assert_eq!(reader.readline().await?, b"go ahead\n");
            writer.start_tls(&sides.client).await?;
            assert!(writer.tls_info().is_some());
            writer.write(b"secret\n")?;
            assert_eq!(reader.readline().await?, b"SECRET\n");
            writer.close();
            writer.wait_closed().await?;
            Ok::<_, Box<dyn std::error::Error>>(())
        };
        let (served, done) = join(server, client).await;
        done?;
        assert!(served?.is_empty());
        Ok(())
    })
}

#[test]
fn who_reads_while_encryption_starts_goes_on_reading() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let (one, two) = UnixStream::pair()?;
        let (mut reader, mut writer) = open_socket(one).await?;
        let reading = create_task(async move { reader.readexactly(6).await });
        yield_now().await?;
        let (started, server) = join(
            writer.start_tls(&sides.client),
            over(two, sides.server.clone()),
        )
        .await;
        started?;
        let (_peer, peer) = server?;
        peer.write(b"sec")?;
        sleep(Duration::from_millis(2)).await?;
        peer.write(b"ret")?;
        assert_eq!(reading.await??, b"secret");
        Ok(())
    })
}

#[test]
fn tls_goes_over_tls() -> Outcome {
    let _alone = alone();
    let (outer, inner) = (Sides::new(), Sides::new());
    run(async {
        let ((mut reader, mut writer), (mut peer, mut peer_writer)) = outer.connect().await?;
        let (one, two) = join(
            writer.start_tls(&inner.client),
            peer_writer.start_tls(&inner.server),
        )
        .await;
        one?;
        two?;
        let data = Random(9).bytes(700_000);
        let (sent, came) = join(
            async {
                writer.write(&data).map_err(io::Error::other)?;
                writer.drain().await
            },
            peer.readexactly(data.len()),
        )
        .await;
        sent?;
        assert_eq!(came?, data);
        peer_writer.write(b"thanks")?;
        assert_eq!(reader.readexactly(6).await?, b"thanks");
        writer.close();
        assert!(peer.read(1).await?.is_empty());
        writer.wait_closed().await?;
        peer_writer.wait_closed().await?;
        Ok(())
    })
}

#[test]
fn unix_sockets_can_be_encrypted() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    let path = std::env::temp_dir().join(format!("rasyncio-tls-{}", std::process::id()));
    run(async {
        let server = servers::Builder::new()
            .ssl(authority.server("localhost"))
            .start_unix_server(echo, &path)
            .await?;
        let (mut reader, writer) = connect::Builder::new()
            .ssl(authority.client())
            .server_hostname("localhost")
            .open_unix_connection(&path)
            .await?;
        writer.write(b"through a file")?;
        assert_eq!(reader.readexactly(14).await?, b"through a file");
        server.close();
        Ok(())
    })
}

#[test]
fn sockets_that_others_have_accepted_can_be_encrypted() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    run(async {
        let listener = rasyncio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = create_task(async move {
            let (socket, _) = listener.accept().await?;
            let builder = servers::Builder::new().ssl(authority.server("localhost"));
            let (_, protocol) = builder
                .connect_accepted_socket(Rc::<Noting>::default, socket)
                .await?;
            protocol.lost.wait().await?;
            Ok::<_, io::Error>((protocol.told.take(), authority))
        });
        let socket = rasyncio::net::TcpStream::connect(address).await?;
        let authority = Authority::new();
        let outcome = connect::Builder::new()
            .ssl(authority.client())
            .server_hostname("localhost")
            .open_socket(socket)
            .await;
        assert!(
            error_of(&outcome.unwrap_err()).is_some(),
            "another authority"
        );
        assert!(serving.await?.is_err());
        Ok(())
    })
}
