//! Encrypted transports and streams.

#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/net.rs"]
mod net;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use certificates::Authority;
use net::{Checksum, Outcome, Random, descriptors, kind, until};
use rasyncio::connect::{self, open_socket};
use rasyncio::runners::run_virtual;
use rasyncio::servers;
use rasyncio::streams::ReadError;
use rasyncio::tls::rustls::server::ResolvesServerCertUsingSni;
use rasyncio::tls::rustls::sign::CertifiedKey;
use rasyncio::tls::rustls::version::TLS12;
use rasyncio::tls::rustls::{
    CertificateError, ClientConfig, Error, HandshakeKind, ProtocolVersion, RootCertStore,
    ServerConfig, crypto,
};
use rasyncio::tls::{Tls, error_of, start_tls};
use rasyncio::{
    Event, Protocol, Server, StreamReader, StreamWriter, Transport, create_task, events, gather,
    run, sleep, timeout, yield_now,
};
use rustix::net::Shutdown;

type Ends = (StreamReader, StreamWriter);

/// Tests that count descriptors take turns with all others.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The two sides of a connection through a pair of sockets.
struct Sides {
    client: Tls,
    server: Tls,
}

impl Sides {
    fn new() -> Sides {
        let authority = Authority::new();
        Sides {
            client: Tls::client(authority.client(), "localhost").unwrap(),
            server: Tls::server(authority.server("localhost")),
        }
    }

    async fn connect(&self) -> io::Result<(Ends, Ends)> {
        let (one, two) = UnixStream::pair()?;
        self.over(one, two).await
    }

    /// Over two sockets, that are connected somehow.
    async fn over(&self, one: UnixStream, two: UnixStream) -> io::Result<(Ends, Ends)> {
        let (client, server) = gather((
            over(one, self.client.clone()),
            over(two, self.server.clone()),
        ))
        .await
        .unwrap();
        Ok((client?, server?))
    }
}

async fn over(socket: UnixStream, tls: Tls) -> io::Result<Ends> {
    let (reader, mut writer) = open_socket(socket).await?;
    writer.start_tls(&tls).await?;
    Ok((reader, writer))
}

/// A server on the loopback that sends back what it gets.
async fn echo_server(config: ServerConfig) -> io::Result<Server> {
    servers::Builder::new()
        .ssl(config)
        .start_server(echo, "127.0.0.1:0")
        .await
}

async fn echo(mut reader: StreamReader, writer: StreamWriter) {
    while let Ok(data) = reader.read(100_000).await
        && !data.is_empty()
        && writer.write(&data).is_ok()
        && writer.drain().await.is_ok()
    {}
}

async fn connect_to(server: &Server, config: ClientConfig) -> io::Result<Ends> {
    connect::Builder::new()
        .ssl(config)
        .server_hostname("localhost")
        .open_connection(server.local_addrs()[0])
        .await
}

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

/// Notes what it is told.
#[derive(Default)]
struct Noting {
    told: RefCell<Vec<String>>,
    lost: Event,
    answer: Cell<Option<&'static [u8]>>,
}

impl Noting {
    fn note(&self, what: impl Into<String>) {
        self.told.borrow_mut().push(what.into());
    }
}

impl Protocol for Noting {
    fn connection_made(&self, transport: &Transport) {
        self.note("made");
        if let Some(answer) = self.answer.get() {
            transport.write(answer).unwrap();
        }
    }

    fn data_received(&self, transport: &Transport, data: &[u8]) {
        self.note(String::from_utf8_lossy(data));
        if self.answer.get().is_none() {
            transport.write(&data.to_ascii_uppercase()).unwrap();
        } else {
            transport.close();
        }
    }

    fn eof_received(&self, _: &Transport) -> bool {
        self.note("eof");
        true
    }

    fn connection_lost(&self, _: &Transport, error: Option<io::Error>) {
        self.note(match error {
            None => "lost".to_owned(),
            Some(error) => format!("lost: {error}"),
        });
        self.lost.set();
    }
}

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

/// Polls both until both are done.
async fn join<A, B>(one: impl Future<Output = A>, two: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut two) = (Box::pin(one), Box::pin(two));
    let (mut first, mut second) = (None, None);
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        if first.is_none()
            && let Poll::Ready(done) = one.as_mut().poll(cx)
        {
            first = Some(done);
        }
        if second.is_none()
            && let Poll::Ready(done) = two.as_mut().poll(cx)
        {
            second = Some(done);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (one, two) => {
                (first, second) = (one, two);
                Poll::Pending
            }
        }
    })
    .await
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
