//! What protocols over encrypted transports are told.

use super::*;

#[test]
fn protocols_are_told_as_if_nothing_was_encrypted() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    run(async {
        let served = Rc::<Noting>::default();
        let server = servers::Builder::new()
            .ssl(authority.server("localhost"))
            .create_server(
                {
                    let served = served.clone();
                    move || served.clone()
                },
                "127.0.0.1:0",
            )
            .await?;
        let (transport, protocol) = connect::Builder::new()
            .ssl(authority.client())
            .server_hostname("localhost")
            .create_connection(
                || {
                    let protocol = Rc::<Noting>::default();
                    protocol.answer.set(Some(b"hello"));
                    protocol
                },
                server.local_addrs()[0],
            )
            .await?;
        assert!(transport.tls_info().is_some());
        assert_eq!(*protocol.told.borrow(), ["made"]);
        protocol.lost.wait().await?;
        served.lost.wait().await?;
        assert_eq!(*protocol.told.borrow(), ["made", "HELLO", "eof", "lost"]);
        assert_eq!(*served.told.borrow(), ["made", "hello", "eof", "lost"]);
        assert!(transport.is_closing());
        server.close();
        server.wait_closed().await?;
        Ok(())
    })
}

#[test]
fn start_tls_takes_a_transport_over() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let (one, two) = UnixStream::pair()?;
        let protocol = || {
            let protocol = Rc::<Noting>::default();
            protocol.answer.set(Some(b""));
            protocol
        };
        let (plain, noting) = connect::connect_socket(protocol, one).await?;
        let ours = async {
            let secure = start_tls(&plain, noting.clone(), &sides.client).await?;
            assert_ne!(secure, plain);
            let again = start_tls(&secure, noting.clone(), &sides.client).await;
            assert!(again.is_err());
            Ok::<_, io::Error>(secure)
        };
        let theirs = async {
            let (mut reader, _writer) = over(two, sides.server.clone()).await?;
            // What starts inside is no answer to the second handshake.
            let hello = reader.read(1000).await?;
            assert!(hello.len() > 100);
            Ok::<_, io::Error>(())
        };
        let (ours, theirs) = join(timeout(Duration::from_secs(5), ours), theirs).await;
        theirs?;
        ours??;
        assert_eq!(noting.told.borrow()[..1], ["made"]);
        Ok(())
    })
}

struct Panics;

impl Protocol for Panics {
    fn data_received(&self, _: &Transport, _: &[u8]) {
        panic!("enough");
    }
}

#[test]
fn a_panic_in_a_protocol_ends_the_connection_only() -> Outcome {
    let _alone = alone();
    let authority = Authority::new();
    run(async {
        let reports = Rc::new(RefCell::new(Vec::new()));
        events::set_exception_handler({
            let reports = reports.clone();
            move |context| reports.borrow_mut().push(context.message.to_owned())
        });
        let server = servers::Builder::new()
            .ssl(authority.server("localhost"))
            .create_server(|| Rc::new(Panics), "127.0.0.1:0")
            .await?;
        let (mut reader, writer) = connect_to(&server, authority.client()).await?;
        writer.write(b"x")?;
        assert!(reader.read(1).await.is_err());
        assert_eq!(
            *reports.borrow(),
            ["Fatal error: protocol.data_received() call failed."]
        );
        server.close();
        server.wait_closed().await?;
        Ok(())
    })
}

#[test]
fn reading_pauses_and_goes_on() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let (one, two) = UnixStream::pair()?;
        let quiet = || {
            let protocol = Rc::<Noting>::default();
            protocol.answer.set(Some(b""));
            protocol
        };
        let (plain, noting) = connect::connect_socket(quiet, one).await?;
        let (secure, peer) = join(
            start_tls(&plain, noting.clone(), &sides.client),
            over(two, sides.server.clone()),
        )
        .await;
        let (secure, (_reader, peer)) = (secure?, peer?);
        secure.pause_reading();
        assert!(!secure.is_reading());
        peer.write(b"wait for it")?;
        peer.close();
        sleep(Duration::from_millis(10)).await?;
        assert_eq!(*noting.told.borrow(), ["made"]);
        secure.resume_reading();
        noting.lost.wait().await?;
        assert_eq!(
            *noting.told.borrow(),
            ["made", "wait for it", "eof", "lost"]
        );
        Ok(())
    })
}

#[test]
fn reading_fails_as_other_readings_do() -> Outcome {
    let _alone = alone();
    let sides = Sides::new();
    run(async {
        let ((mut reader, _writer), (_peer, peer)) = sides.connect().await?;
        peer.write(b"half a line")?;
        peer.close();
        match reader.readuntil(b"\n").await {
            Err(ReadError::Incomplete(error)) => assert_eq!(error.partial, b"half a line"),
            other => panic!("{other:?}"),
        }
        Ok(())
    })
}
