//! The end of a connection.

use super::*;

#[test]
fn an_end_without_goodbye_is_an_error_after_what_came() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let ((mut reader, writer), (_peer, peer_writer)) = sides.connect().await?;
        peer_writer.write(b"all that I ever")?;
        // Behind the back of TLS.
        let cut = |fd: std::os::fd::BorrowedFd<'_>| Ok(rustix::net::shutdown(fd, Shutdown::Write)?);
        peer_writer.transport().with_fd(cut)?;
        assert_eq!(reader.readexactly(15).await?, b"all that I ever");
        let error = reader.read(100).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(
            error.to_string(),
            "the peer has closed the connection without a TLS close_notify"
        );
        assert_eq!(kind(writer.wait_closed().await), ErrorKind::UnexpectedEof);
        Ok(())
    })
}

#[test]
fn closing_has_its_time() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run_virtual(async {
        let (client, (_reader, peer)) = sides.connect().await?;
        // It gets the goodbye, and does not look at it.
        peer.transport().pause_reading();
        let start = events::time();
        client.1.close();
        assert!(client.1.is_closing());
        let error = client.1.wait_closed().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "SSL shutdown timed out");
        assert_eq!((events::time() - start).as_secs(), 30);
        Ok(())
    })
}

#[test]
fn what_was_written_before_the_close_arrives() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        for size in [1, 100_000, 5_000_000] {
            let ((_reader, writer), (mut peer, peer_writer)) = sides.connect().await?;
            writer.write(&vec![1; size])?;
            writer.writelines([vec![2; 10], Vec::new(), vec![3; size]])?;
            writer.close();
            writer.write(b"too late")?;
            let all = peer.read_to_end().await?;
            assert_eq!(all.len(), 2 * size + 10);
            assert_eq!((all[0], all[size], all[size + 10]), (1, 2, 3));
            writer.wait_closed().await?;
            peer_writer.wait_closed().await?;
        }
        Ok(())
    })
}

#[test]
fn it_arrives_also_from_who_has_paused_reading() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let ((_reader, writer), (mut peer, _peer_writer)) = sides.connect().await?;
        writer.transport().pause_reading();
        // More than the link takes.
        writer.writelines([vec![1; 3_000_000], vec![2; 1_000_000]])?;
        writer.close();
        assert_eq!(peer.read_to_end().await?.len(), 4_000_000);
        writer.wait_closed().await?;
        Ok(())
    })
}

#[test]
fn who_closes_with_much_unread_is_not_kept_waiting() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run_virtual(async {
        let ((_reader, writer), (mut peer, peer_writer)) = sides.connect().await?;
        writer.transport().pause_reading();
        // So much comes that the link below pauses, too.
        peer_writer.write(&vec![1; 1_000_000])?;
        sleep(Duration::from_secs(1)).await?;
        let start = events::time();
        writer.close();
        assert!(peer.read_to_end().await?.is_empty());
        writer.wait_closed().await?;
        peer_writer.wait_closed().await?;
        assert!((events::time() - start).as_secs() < 30, "its time was over");
        Ok(())
    })
}

#[test]
fn who_still_writes_after_what_is_no_tls_harms_nobody() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let ((mut reader, writer), (_peer, peer_writer)) = sides.connect().await?;
        // Behind the back of TLS.
        let say = |fd: std::os::fd::BorrowedFd<'_>| Ok(rustix::io::write(fd, &[0; 100])?);
        peer_writer.transport().with_fd(say)?;
        // Once at least before it is told that the connection is lost.
        for _ in 0..100 {
            writer.write(b"still there?")?;
            yield_now().await?;
        }
        assert_eq!(kind(reader.read(1).await), ErrorKind::InvalidData);
        assert_eq!(kind(writer.wait_closed().await), ErrorKind::InvalidData);
        Ok(())
    })
}

#[test]
fn an_abort_drops_everything() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let ((_reader, writer), (mut peer, _peer_writer)) = sides.connect().await?;
        writer.write(&vec![1; 5_000_000])?;
        writer.transport().abort();
        assert!(peer.read_to_end().await.is_err());
        writer.wait_closed().await?;
        Ok(())
    })
}

#[test]
fn a_server_says_goodbye_to_its_clients() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    run(async {
        let server = echo_server(authority.server("localhost")).await?;
        let (mut reader, writer) = connect_to(&server, authority.client()).await?;
        writer.write(b"x")?;
        reader.readexactly(1).await?;
        server.close();
        server.close_clients();
        assert!(reader.read(1).await?.is_empty());
        writer.wait_closed().await?;
        server.wait_closed().await?;

        let server = echo_server(authority.server("localhost")).await?;
        let (mut reader, writer) = connect_to(&server, authority.client()).await?;
        writer.write(b"x")?;
        reader.readexactly(1).await?;
        server.close();
        server.abort_clients();
        assert!(reader.read(1).await.is_err());
        server.wait_closed().await?;
        Ok(())
    })
}

#[test]
fn connections_that_nobody_ends_go_with_the_loop() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    let before = descriptors();
    for _ in 0..3 {
        let kept = run(async {
            let (client, server) = sides.connect().await?;
            client.1.write(&vec![0; 3_000_000])?;
            client.1.close();
            Ok::<_, Box<dyn std::error::Error>>((client, server))
        })?;
        drop(kept);
    }
    assert_eq!(descriptors(), before);
    Ok(())
}
