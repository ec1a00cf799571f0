//! What is sent arrives, whatever the link and the sizes are.

use super::*;

#[test]
fn streams_echo_and_know_of_their_encryption() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    let mut server_config = authority.server("localhost");
    server_config.alpn_protocols = vec![b"new".to_vec(), b"old".to_vec()];
    let mut client_config = authority.client();
    client_config.alpn_protocols = vec![b"old".to_vec()];
    run(async {
        let server = echo_server(server_config).await?;
        let port = server.local_addrs()[0].port();
        // The host is whom the certificate has to be for.
        let (mut reader, writer) = connect::Builder::new()
            .family(connect::Family::Inet)
            .ssl(client_config)
            .open_connection(("localhost", port))
            .await?;
        writer.write(b"hello")?;
        assert_eq!(reader.readexactly(5).await?, b"hello");
        let info = writer.tls_info().unwrap();
        assert_eq!(info.peer_certificates.len(), 1);
        assert_eq!(info.alpn_protocol.as_deref(), Some(&b"old"[..]));
        assert_eq!(info.protocol_version, Some(ProtocolVersion::TLSv1_3));
        assert!(info.cipher_suite.is_some());
        assert_eq!(info.handshake_kind, Some(HandshakeKind::Full));
        assert!(!writer.can_write_eof());
        assert_eq!(kind(writer.write_eof()), ErrorKind::Unsupported);
        assert_eq!(writer.peer_addr()?, server.local_addrs()[0]);
        writer.close();
        writer.wait_closed().await?;
        assert!(reader.read(1).await?.is_empty());
        Ok(())
    })
}

/// Writes `total` bytes in pieces of random sizes, and reads as many at the same time.
async fn exchange(ends: Ends, seed: u64, total: usize) -> io::Result<[Checksum; 2]> {
    let (mut reader, writer) = ends;
    let sending = async {
        let (mut sent, mut sum) = (0, Checksum::new());
        let mut random = Random(seed);
        while sent < total {
            let longest = [10, 1000, 100_000][random.below(3)];
            let size = (1 + random.below(longest)).min(total - sent);
            let data = random.bytes(size);
            sum.add(&data);
            sent += size;
            writer.write(&data).map_err(io::Error::other)?;
            if random.below(3) > 0 {
                writer.drain().await?;
            }
            if random.below(8) == 0 {
                yield_now().await?;
            }
        }
        Ok::<_, io::Error>(sum)
    };
    let receiving = async {
        let (mut came, mut sum) = (0, Checksum::new());
        let mut random = Random(seed ^ 77);
        while came < total {
            let data = reader.read(1 + random.below(70_000)).await?;
            assert!(!data.is_empty());
            sum.add(&data);
            came += data.len();
            if random.below(4) == 0 {
                yield_now().await?;
            }
        }
        Ok::<_, io::Error>(sum)
    };
    // Both in one task, so that both ends are ours.
    let (sent, received) = join(sending, receiving).await;
    Ok([sent?, received?])
}

#[test]
fn both_ways_at_once_every_byte_arrives_in_its_place() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        for round in 0..3 {
            let (client, server) = sides.connect().await?;
            let total = 3_000_000;
            let (one, two) = gather((
                exchange(client, 3 + round, total),
                exchange(server, 1000 + round, total),
            ))
            .await?;
            let ([sent, received], [answered, heard]) = (one?, two?);
            assert_eq!(sent, heard);
            assert_eq!(answered, received);
        }
        Ok(())
    })
}

#[test]
fn many_clients_at_once_do_not_mix() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    run(async {
        let server = echo_server(authority.server("localhost")).await?;
        let config = Arc::new(authority.client());
        let address = server.local_addrs()[0];
        let client = |number: u64| {
            let config = config.clone();
            async move {
                let (mut reader, writer) = connect::Builder::new()
                    .ssl(config)
                    .server_hostname("localhost")
                    .open_connection(address)
                    .await?;
                let mut random = Random(number + 1);
                for _ in 0..10 {
                    let size = 1 + random.below(30_000);
                    let data = random.bytes(size);
                    writer.write(&data).map_err(io::Error::other)?;
                    assert_eq!(reader.readexactly(data.len()).await?, data);
                }
                writer.close();
                writer.wait_closed().await
            }
        };
        for outcome in rasyncio::gather_iter((0..50).map(client)).await? {
            outcome?;
        }
        server.close();
        server.wait_closed().await?;
        Ok(())
    })
}

/// Passes on what comes, so much at a time.
async fn relay(from: UnixStream, to: UnixStream, at_once: usize) -> io::Result<()> {
    let from = rasyncio::net::UnixStream::from_std(from)?;
    let to = rasyncio::net::UnixStream::from_std(to)?;
    let one_way = async |from: &rasyncio::net::UnixStream, to: &rasyncio::net::UnixStream| {
        let mut buffer = vec![0; at_once];
        loop {
            match from.read(&mut buffer).await? {
                0 => return to.shutdown(std::net::Shutdown::Write),
                count => to.write_all(&buffer[..count]).await?,
            }
            yield_now().await?;
        }
    };
    let (there, back) = join(one_way(&from, &to), one_way(&to, &from)).await;
    there.and(back)
}

#[test]
fn one_byte_at_a_time_is_enough() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let (one, left) = UnixStream::pair()?;
        let (right, two) = UnixStream::pair()?;
        let relaying = create_task(relay(left, right, 1));
        let ((mut reader, writer), server) = sides.over(one, two).await?;
        let serving = create_task(echo(server.0, server.1));
        writer.write(b"letter by letter")?;
        assert_eq!(reader.readexactly(16).await?, b"letter by letter");
        writer.close();
        writer.wait_closed().await?;
        serving.await?;
        relaying.await??;
        Ok(())
    })
}

#[test]
fn a_peer_that_reads_nothing_makes_the_writer_wait_and_costs_little() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let (client, (mut slow, _peer)) = sides.connect().await?;
        let sent = Cell::new(0usize);
        let most = Cell::new(0);
        let piece = vec![7; 50_000];
        let writing = async {
            while sent.get() < 20_000_000 {
                client.1.write(&piece).map_err(io::Error::other)?;
                most.set(client.1.transport().get_write_buffer_size().max(most.get()));
                sent.set(sent.get() + piece.len());
                client.1.drain().await?;
            }
            client.1.close();
            Ok::<_, io::Error>(())
        };
        let reading = async {
            sleep(Duration::from_millis(50)).await?;
            // The buffers of both ends and the system's, but not the twenty megabytes.
            assert!(sent.get() < 3_000_000, "{}", sent.get());
            assert!(slow.buffered() < 1_000_000);
            let mut came = 0;
            loop {
                let data = slow.read(1_000_000).await?;
                came += data.len();
                if data.is_empty() {
                    return Ok::<_, io::Error>(came);
                }
            }
        };
        let (written, came) = join(writing, reading).await;
        written?;
        assert_eq!(came?, 20_000_000);
        assert!(most.get() < 1_000_000, "{}", most.get());
        Ok(())
    })
}

#[test]
fn files_are_encrypted_and_sent() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    let content = Random(5).bytes(3_000_000);
    let path = std::env::temp_dir().join(format!("rasyncio-tls-file-{}", std::process::id()));
    std::fs::write(&path, &content)?;
    let file = std::fs::File::open(&path)?;
    std::fs::remove_file(&path)?;
    run(async {
        let ((_reader, writer), (mut peer, _peer_writer)) = sides.connect().await?;
        let (sent, came) = join(
            writer.sendfile(&file, 100, None),
            peer.readexactly(content.len() - 100),
        )
        .await;
        assert_eq!(sent?, 2_999_900);
        assert!(came? == content[100..]);
        Ok(())
    })
}
