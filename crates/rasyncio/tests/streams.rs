//! Stream readers and writers, on the loopback.

#[path = "common/net.rs"]
mod net;

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use net::{Checksum, Outcome, Random, kind, reset, until};
use rasyncio::net::{TcpListener, TcpStream};
use rasyncio::streams::{IncompleteReadError, LimitOverrunError, ReadError};
use rasyncio::{
    Cancelled, StreamReader, StreamWriter, create_task, gather, gather_iter, open_connection, run,
    servers, sleep, start_server, yield_now,
};

/// A stream, and its peer as a socket.
async fn pair_with_limit(limit: usize) -> std::io::Result<(StreamReader, StreamWriter, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (reader, writer) = rasyncio::connect::Builder::new()
        .limit(limit)
        .open_connection(listener.local_addr()?)
        .await?;
    let (peer, address) = listener.accept().await?;
    assert_eq!(writer.local_addr()?, address);
    Ok((reader, writer, peer))
}

async fn pair() -> std::io::Result<(StreamReader, StreamWriter, TcpStream)> {
    pair_with_limit(64 * 1024).await
}

async fn echo() -> std::io::Result<(rasyncio::Server, SocketAddr)> {
    let server = start_server(
        async |mut reader, writer| {
            while let Ok(data) = reader.read(100_000).await
                && !data.is_empty()
            {
                writer.write(&data).unwrap();
                if writer.drain().await.is_err() {
                    return;
                }
            }
        },
        "127.0.0.1:0",
    )
    .await?;
    let address = server.local_addrs()[0];
    Ok((server, address))
}

#[test]
fn lines_and_lengths() -> Outcome {
    run(async {
        let (mut reader, _writer, peer) = pair().await?;
        peer.write_all(b"one\ntwo\nthree bytes\nrest").await?;
        assert_eq!(reader.readline().await?, b"one\n");
        assert_eq!(reader.readuntil(b"o\n").await?, b"two\n");
        assert_eq!(reader.readexactly(5).await?, b"three");
        assert_eq!(reader.readuntil_any(&[b"\n", b"tes"]).await?, b" bytes");
        assert_eq!(reader.readline().await?, b"\n");
        let mut buffer = [0; 3];
        assert_eq!(reader.read_into(&mut buffer).await?, 3);
        assert_eq!(&buffer, b"res");
        drop(peer);
        assert_eq!(reader.readline().await?, b"t");
        assert_eq!(reader.readline().await?, b"");
        assert!(reader.at_eof());
        assert_eq!(reader.read(10).await?, b"");
        assert_eq!(reader.read_to_end().await?, b"");
        Ok(())
    })
}

#[test]
fn the_end_too_soon_gives_what_there_is() -> Outcome {
    run(async {
        let (mut reader, _writer, peer) = pair().await?;
        peer.write_all(b"abc").await?;
        drop(peer);
        match reader.readexactly(5).await {
            Err(ReadError::Incomplete(IncompleteReadError { partial, expected })) => {
                assert_eq!((&partial[..], expected), (&b"abc"[..], Some(5)));
            }
            other => panic!("{other:?}"),
        }
        Ok(())
    })
}

#[test]
fn a_line_over_the_limit() -> Outcome {
    run(async {
        let (mut reader, _writer, peer) = pair_with_limit(4).await?;
        peer.write_all(b"12345\n12\n").await?;
        match reader.readuntil(b"\n").await {
            Err(ReadError::LimitOverrun(error)) => {
                let expected = LimitOverrunError {
                    found: true,
                    consumed: 5,
                };
                assert_eq!(error, expected);
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            reader.readline().await,
            Err(ReadError::LimitOverrun(_))
        ));
        assert_eq!(reader.readline().await?, b"12\n");
        Ok(())
    })
}

#[test]
fn a_peer_that_sends_byte_by_byte() -> Outcome {
    run(async {
        let (mut reader, _writer, peer) = pair().await?;
        let sender = create_task(async move {
            for n in 0..2000u32 {
                let byte = if n % 100 == 99 { b'\n' } else { b'x' };
                peer.write_all(&[byte]).await?;
            }
            Ok::<_, std::io::Error>(())
        });
        for _ in 0..20 {
            assert_eq!(reader.readline().await?.len(), 100);
        }
        assert!(reader.readline().await?.is_empty());
        sender.await??;
        Ok(())
    })
}

#[test]
fn a_reader_that_does_not_read_stops_the_peer() -> Outcome {
    run(async {
        let (mut reader, _writer, peer) = pair_with_limit(1000).await?;
        let peer = Rc::new(peer);
        let sent = Rc::new(Cell::new(0usize));
        let sender = create_task({
            let (peer, sent) = (peer.clone(), sent.clone());
            async move {
                while sent.get() < 20_000_000 {
                    sent.set(sent.get() + peer.write(&[7; 65536]).await?);
                }
                peer.shutdown(std::net::Shutdown::Write)
            }
        });
        sleep(Duration::from_millis(100)).await?;
        assert!(!sender.done());
        assert!(
            reader.buffered() <= 2 * 1000 + 256 * 1024,
            "{}",
            reader.buffered()
        );
        let mut got = 0;
        loop {
            let data = reader.read(50_000).await?;
            if data.is_empty() {
                break;
            }
            got += data.len();
        }
        sender.await??;
        assert_eq!(got, sent.get());
        Ok(())
    })
}

#[test]
fn readexactly_of_more_than_the_limit() -> Outcome {
    run(async {
        let (mut reader, _writer, peer) = pair_with_limit(100).await?;
        let data = Random(1).bytes(3_000_000);
        let copy = data.clone();
        let sender = create_task(async move { peer.write_all(&copy).await });
        assert_eq!(reader.readexactly(3_000_000).await?, data);
        sender.await??;
        Ok(())
    })
}

#[test]
fn a_peer_that_never_reads_makes_drain_wait() -> Outcome {
    run(async {
        let (_reader, writer, peer) = pair().await?;
        writer.drain().await?;
        let mut written = 0;
        while writer.transport().get_write_buffer_size() <= 64 * 1024 {
            writer.write(&[0; 10_000])?;
            written += 10_000;
        }
        let writer = Rc::new(writer);
        let draining = create_task({
            let writer = writer.clone();
            async move { writer.drain().await }
        });
        sleep(Duration::from_millis(20)).await?;
        assert!(!draining.done());
        let reading = create_task(async move {
            let mut buffer = vec![0; 100_000];
            let mut got = 0;
            while got < written {
                got += peer.read(&mut buffer).await?;
            }
            Ok::<_, std::io::Error>(())
        });
        draining.await??;
        assert!(writer.transport().get_write_buffer_size() <= 16 * 1024);
        reading.await??;
        Ok(())
    })
}

#[test]
fn a_reset_wakes_reader_and_drainer_with_an_error() -> Outcome {
    run(async {
        let (mut reader, writer, peer) = pair().await?;
        while writer.transport().get_write_buffer_size() <= 64 * 1024 {
            writer.write(&[0; 10_000])?;
        }
        let writer = Rc::new(writer);
        let draining = create_task({
            let writer = writer.clone();
            async move { writer.drain().await }
        });
        let reading = create_task(async move { reader.read(1).await });
        yield_now().await?;
        net::reset_on_close(&peer);
        drop(peer);
        assert_eq!(kind(reading.await?), ErrorKind::ConnectionReset);
        assert_eq!(kind(draining.await?), ErrorKind::ConnectionReset);
        assert_eq!(kind(writer.wait_closed().await), ErrorKind::ConnectionReset);
        assert_eq!(kind(writer.drain().await), ErrorKind::ConnectionReset);
        for _ in 0..10 {
            writer.write(b"into the void")?;
        }
        Ok(())
    })
}

#[test]
fn a_half_closed_peer_is_answered() -> Outcome {
    run(async {
        let (mut reader, writer, peer) = pair().await?;
        peer.write_all(b"question").await?;
        peer.shutdown(std::net::Shutdown::Write)?;
        assert_eq!(reader.read_to_end().await?, b"question");
        assert!(!writer.is_closing());
        let answer = Random(3).bytes(2_000_000);
        writer.write(&answer)?;
        writer.write_eof()?;
        assert!(writer.write(b"more").is_err());
        let mut got = vec![0; answer.len()];
        peer.read_exact(&mut got).await?;
        assert_eq!(got, answer);
        assert_eq!(peer.read(&mut got).await?, 0);
        Ok(())
    })
}

#[test]
fn closing_writes_everything_first() -> Outcome {
    run(async {
        let (_reader, writer, peer) = pair().await?;
        let data = Random(5).bytes(5_000_000);
        writer.write(&data)?;
        writer.close();
        assert!(writer.is_closing());
        let closed = create_task(async move { writer.wait_closed().await });
        let mut got = vec![0; data.len()];
        peer.read_exact(&mut got).await?;
        assert_eq!(got, data);
        assert_eq!(peer.read(&mut got).await?, 0);
        closed.await??;
        Ok(())
    })
}

#[test]
fn a_reading_that_is_cancelled_or_dropped_loses_nothing() -> Outcome {
    run(async {
        let (reader, _writer, peer) = pair_with_limit(10).await?;
        let mut random = Random(11);
        let data = random.bytes(50_000);
        let copy = data.clone();
        let sender = create_task(async move {
            let mut random = Random(13);
            let mut rest = &copy[..];
            while !rest.is_empty() {
                let count = (1 + random.below(40)).min(rest.len());
                peer.write_all(&rest[..count]).await?;
                rest = &rest[count..];
                yield_now().await?;
            }
            Ok::<_, std::io::Error>(())
        });
        let mut got = Vec::new();
        let reader = Rc::new(RefCell::new(Some(reader)));
        while got.len() < data.len() {
            let part = Rc::new(RefCell::new(Vec::new()));
            let task = create_task({
                let (reader, part) = (reader.clone(), part.clone());
                async move {
                    let mut mine = reader.borrow_mut().take().unwrap();
                    let result = mine.readexactly(25).await;
                    *reader.borrow_mut() = Some(mine);
                    match result {
                        Ok(bytes) => *part.borrow_mut() = bytes,
                        Err(ReadError::Incomplete(error)) => *part.borrow_mut() = error.partial,
                        Err(error) => {
                            let error = std::io::Error::from(error);
                            assert!(Cancelled::of(&error).is_some(), "{error}");
                        }
                    }
                }
            });
            for _ in 0..random.below(4) {
                yield_now().await?;
            }
            task.cancel();
            let _ = task.await;
            got.extend(part.take());
        }
        assert_eq!(got, data);
        sender.await??;
        Ok(())
    })
}

#[test]
fn checksummed_streams_in_both_directions() -> Outcome {
    run(async {
        let (server, address) = echo().await?;
        let clients = (0..8u64).map(|client| async move {
            let (mut reader, writer) = open_connection(address).await?;
            let writing = create_task(async move {
                let mut random = Random(1 + client);
                let mut sent = Checksum::new();
                for _ in 0..200 {
                    let size = 1 + random.below(30_000);
                    let data = random.bytes(size);
                    sent.add(&data);
                    if random.below(3) == 0 {
                        let (one, two) = data.split_at(random.below(size));
                        writer.writelines([one, two]).unwrap();
                    } else {
                        writer.write(&data).unwrap();
                    }
                    if random.below(2) == 0 {
                        writer.drain().await?;
                    }
                }
                writer.write_eof()?;
                // Kept open until the answer has come.
                Ok::<_, std::io::Error>((sent, writer))
            });
            let mut random = Random(100 + client);
            let mut got = Checksum::new();
            loop {
                let data = reader.read(1 + random.below(50_000)).await?;
                if data.is_empty() {
                    break;
                }
                got.add(&data);
            }
            let (sent, _writer) = writing.await.unwrap()?;
            assert_eq!(sent, got);
            Ok::<_, std::io::Error>(())
        });
        for result in gather_iter(clients).await? {
            result?;
        }
        server.close();
        server.wait_closed().await?;
        Ok(())
    })
}

#[test]
fn ends_that_are_dropped_close_the_connection() -> Outcome {
    run(async {
        let (reader, writer, peer) = pair().await?;
        drop((reader, writer));
        assert_eq!(peer.read(&mut [0]).await?, 0);
        Ok(())
    })
}

#[test]
fn a_server_waits_for_its_clients() -> Outcome {
    run(async {
        let (server, address) = echo().await?;
        let (mut reader, writer) = open_connection(address).await?;
        writer.write(b"x")?;
        assert_eq!(reader.readexactly(1).await?, b"x");
        assert!(server.is_serving());
        server.close();
        assert!(!server.is_serving());
        assert!(server.local_addrs().is_empty());
        assert_eq!(
            kind(open_connection(address).await),
            ErrorKind::ConnectionRefused
        );
        let waiting = create_task({
            let server = server.clone();
            async move { server.wait_closed().await }
        });
        sleep(Duration::from_millis(5)).await?;
        assert!(!waiting.done());
        server.close_clients();
        waiting.await??;
        assert_eq!(reader.read(1).await?, b"");
        assert_eq!(kind(server.start_serving().await), ErrorKind::NotConnected);
        Ok(())
    })
}

#[test]
fn aborted_clients_do_not_flush() -> Outcome {
    run(async {
        let server = start_server(
            async |_reader, writer: StreamWriter| {
                writer.write(&vec![0; 20_000_000]).unwrap();
                let _ = writer.wait_closed().await;
            },
            "127.0.0.1:0",
        )
        .await?;
        let (mut reader, _writer) = open_connection(server.local_addrs()[0]).await?;
        reader.readexactly(1).await?;
        server.close();
        server.close_clients();
        sleep(Duration::from_millis(5)).await?;
        server.abort_clients();
        server.wait_closed().await?;
        assert!(reader.read_to_end().await.map_or(0, |data| data.len()) < 20_000_000);
        Ok(())
    })
}

#[test]
fn serve_forever_ends_with_its_cancellation() -> Outcome {
    run(async {
        let (server, address) = echo().await?;
        let serving = create_task({
            let server = server.clone();
            async move { server.serve_forever().await }
        });
        let (mut reader, writer) = open_connection(address).await?;
        writer.write(b"x")?;
        reader.readexactly(1).await?;
        serving.cancel();
        sleep(Duration::from_millis(5)).await?;
        assert!(!serving.done(), "a connection is still there");
        drop((reader, writer));
        assert!(serving.await.unwrap_err().cancelled().is_some());
        assert!(!server.is_serving());
        Ok(())
    })
}

#[test]
fn several_addresses_and_the_same_port_twice() -> Outcome {
    run(async {
        let addresses: [SocketAddr; 2] = ["127.0.0.1:0".parse()?, "127.0.0.2:0".parse()?];
        let server = start_server(async |_, _| {}, &addresses[..]).await?;
        assert_eq!(server.local_addrs().len(), 2);
        for address in server.local_addrs() {
            let (mut reader, _writer) = open_connection(address).await?;
            assert_eq!(reader.read(1).await?, b"");
        }
        let shared = servers::Builder::new().reuse_port(true);
        let first = shared.start_server(async |_, _| {}, "127.0.0.1:0").await?;
        let again = first.local_addrs()[0];
        shared.start_server(async |_, _| {}, again).await?;
        let refused = start_server(async |_, _| {}, again).await;
        assert_eq!(kind(refused), ErrorKind::AddrInUse);
        Ok(())
    })
}

#[test]
fn unix_sockets_and_their_files() -> Outcome {
    let path = std::env::temp_dir().join(format!("rasyncio-{}.sock", std::process::id()));
    run(async {
        let handler = async |mut reader: StreamReader, writer: StreamWriter| {
            let line = reader.readline().await.unwrap();
            writer.write(&line).unwrap();
        };
        let server = rasyncio::start_unix_server(handler, &path).await?;
        let (mut reader, writer) = rasyncio::open_unix_connection(&path).await?;
        writer.write(b"hello\n")?;
        assert_eq!(reader.readline().await?, b"hello\n");
        server.close();
        assert!(!path.exists());

        // One left behind is no obstacle; a file is.
        drop(std::os::unix::net::UnixListener::bind(&path)?);
        let server = rasyncio::start_unix_server(handler, &path).await?;
        server.close();
        std::fs::write(&path, "precious")?;
        let refused = rasyncio::start_unix_server(handler, &path).await;
        assert_eq!(kind(refused), ErrorKind::AddrInUse);
        std::fs::remove_file(&path)?;
        Ok(())
    })
}

#[test]
fn a_handler_that_panics_closes_its_connection_and_no_other() -> Outcome {
    run(async {
        rasyncio::events::set_exception_handler(|_| {});
        let server = start_server(
            async |mut reader: StreamReader, writer: StreamWriter| {
                let data = reader.read(1).await.unwrap();
                assert_ne!(data, b"!", "as ordered");
                writer.write(&data).unwrap();
            },
            "127.0.0.1:0",
        )
        .await?;
        let address = server.local_addrs()[0];
        let ask = async |what: &[u8]| {
            let (mut reader, writer) = open_connection(address).await?;
            writer.write(what).unwrap();
            reader.read(1).await
        };
        assert_eq!(ask(b"!").await?, b"");
        assert_eq!(ask(b"x").await?, b"x");
        Ok(())
    })
}

#[test]
fn resets_of_many_clients_leave_the_server_standing() -> Outcome {
    run(async {
        let (server, address) = echo().await?;
        let connections = gather_iter((0..50).map(|_| open_connection(address))).await?;
        for connection in connections {
            let (_reader, writer) = connection?;
            writer.write(&[1; 100_000])?;
            yield_now().await?;
            reset(writer.transport());
        }
        let (one, two) = gather((open_connection(address), sleep(Duration::ZERO))).await?;
        two?;
        let (mut reader, writer) = one?;
        writer.write(b"still there?")?;
        assert_eq!(reader.readexactly(12).await?, b"still there?");
        drop((reader, writer));
        server.close();
        server.wait_closed().await?;
        until(|| !server.is_serving()).await?;
        Ok(())
    })
}

#[test]
fn a_dropped_writer_closes_and_what_has_come_can_be_read_still() {
    use std::io::{Read, Write};

    rasyncio::run(async {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (mut reader, writer) = rasyncio::connect::open_socket(ours).await.unwrap();
        theirs.write_all(b"came").unwrap();
        rasyncio::sleep(std::time::Duration::from_millis(10))
            .await
            .unwrap();
        drop(writer);
        assert_eq!(reader.read(100).await.unwrap(), b"came");
        assert_eq!(reader.read(100).await.unwrap(), b"");
        assert_eq!(theirs.read(&mut [0; 10]).unwrap(), 0);
    });
}

#[test]
fn a_dropped_reader_closes_nothing() {
    use std::io::Read;

    rasyncio::run(async {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (reader, writer) = rasyncio::connect::open_socket(ours).await.unwrap();
        drop(reader);
        writer.write(b"went").unwrap();
        writer.drain().await.unwrap();
        assert!(!writer.is_closing());
        assert_eq!(theirs.read(&mut [0; 10]).unwrap(), 4);
    });
}
