//! Transports and their protocols: what is called, in which order, and once.

#[path = "common/mod.rs"]
mod common;
#[path = "common/net.rs"]
mod net;

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

use common::Log;
use net::{Outcome, kind, reset_on_close, until};
use rasyncio::connect::{
    Builder, ConnectErrors, Family, connect_read_pipe, connect_socket, connect_write_pipe,
};
use rasyncio::net::{TcpListener, TcpStream, UnixStream, getaddrinfo};
use rasyncio::{
    Protocol, Transport, create_connection, create_server, create_task, events, run, sleep,
    yield_now,
};
use rustix::io::Errno;

/// Notes what is called, and panics where it is told to.
#[derive(Default)]
struct Noting {
    log: Log,
    keep_open: Cell<bool>,
    panics_in: Cell<&'static str>,
    lost: Cell<Option<Option<ErrorKind>>>,
}

impl Noting {
    fn note(&self, what: impl Into<String>) {
        let what = what.into();
        self.log.note(what.clone());
        assert!(self.panics_in.get() != what, "as ordered");
    }
}

impl Protocol for Noting {
    fn connection_made(&self, _: &Transport) {
        self.note("made");
    }

    fn data_received(&self, _: &Transport, data: &[u8]) {
        self.note(String::from_utf8_lossy(data));
    }

    fn eof_received(&self, _: &Transport) -> bool {
        self.note("eof");
        self.keep_open.get()
    }

    fn pause_writing(&self, _: &Transport) {
        self.note("pause");
    }

    fn resume_writing(&self, _: &Transport) {
        self.note("resume");
    }

    fn connection_lost(&self, _: &Transport, error: Option<io::Error>) {
        self.lost.set(Some(error.map(|error| error.kind())));
        self.note("lost");
    }
}

/// A connection with a noting protocol, and its peer.
async fn pair() -> io::Result<(Transport, Rc<Noting>, UnixStream)> {
    let (near, far) = std::os::unix::net::UnixStream::pair()?;
    let (transport, protocol) = connect_socket(Rc::<Noting>::default, near).await?;
    Ok((transport, protocol, UnixStream::from_std(far)?))
}

impl Noting {
    async fn until_lost(&self) -> io::Result<Option<ErrorKind>> {
        until(|| self.lost.get().is_some()).await?;
        Ok(self.lost.take().flatten())
    }
}

#[test]
fn a_connection_from_beginning_to_end() -> Outcome {
    run(async {
        let (transport, protocol, peer) = pair().await?;
        assert_eq!(protocol.log.take(), ["made"]);
        peer.write_all(b"data").await?;
        sleep(Duration::from_millis(5)).await?;
        drop(peer);
        assert_eq!(protocol.until_lost().await?, None);
        assert_eq!(protocol.log.take(), ["data", "eof", "lost"]);
        assert!(transport.is_closing());
        assert_eq!(kind(transport.with_fd(|_| Ok(()))), ErrorKind::NotConnected);
        transport.close();
        transport.abort();
        transport.write(b"x")?;
        yield_now().await?;
        assert!(protocol.log.take().is_empty());
        Ok(())
    })
}

#[test]
fn an_end_that_is_kept_open() -> Outcome {
    run(async {
        let (transport, protocol, peer) = pair().await?;
        protocol.keep_open.set(true);
        peer.shutdown(std::net::Shutdown::Write)?;
        until(|| protocol.log.take().contains(&"eof".into())).await?;
        transport.write(b"answer")?;
        let mut answer = [0; 6];
        peer.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"answer");
        transport.pause_reading();
        transport.resume_reading();
        transport.close();
        assert_eq!(protocol.until_lost().await?, None);
        Ok(())
    })
}

#[test]
fn pausing_keeps_data_and_the_end_for_later() -> Outcome {
    run(async {
        let (transport, protocol, peer) = pair().await?;
        transport.pause_reading();
        assert!(!transport.is_reading());
        peer.write_all(b"data").await?;
        drop(peer);
        sleep(Duration::from_millis(10)).await?;
        assert_eq!(protocol.log.take(), ["made"]);
        transport.resume_reading();
        protocol.until_lost().await?;
        assert_eq!(protocol.log.take(), ["data", "eof", "lost"]);
        Ok(())
    })
}

#[test]
fn water_marks_pause_and_resume_the_protocol() -> Outcome {
    run(async {
        let (transport, protocol, peer) = pair().await?;
        transport.set_write_buffer_limits(Some(1000), Some(10))?;
        assert_eq!(transport.get_write_buffer_limits(), (10, 1000));
        assert!(transport.set_write_buffer_limits(Some(1), Some(2)).is_err());
        let mut written = 0;
        while transport.get_write_buffer_size() <= 1000 {
            transport.write(&[1; 500])?;
            written += 500;
        }
        assert_eq!(protocol.log.take(), ["made", "pause"]);
        let mut buffer = vec![0; written];
        peer.read_exact(&mut buffer).await?;
        until(|| transport.get_write_buffer_size() == 0).await?;
        assert_eq!(protocol.log.take(), ["resume"]);
        assert_eq!(transport.get_write_buffer_size(), 0);
        Ok(())
    })
}

#[test]
fn a_peer_that_resets() -> Outcome {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (_, protocol) = create_connection(Rc::<Noting>::default, address).await?;
        let (peer, _) = listener.accept().await?;
        reset_on_close(&peer);
        drop(peer);
        assert_eq!(
            protocol.until_lost().await?,
            Some(ErrorKind::ConnectionReset)
        );
        Ok(())
    })
}

#[test]
fn a_panic_in_any_method_aborts_the_connection_and_is_reported() -> Outcome {
    run(async {
        let reports = Log::default();
        events::set_exception_handler({
            let reports = reports.clone();
            move |context| reports.note(context.message)
        });
        for method in ["made", "data", "eof", "pause", "resume", "lost"] {
            let (near, far) = std::os::unix::net::UnixStream::pair()?;
            let far = UnixStream::from_std(far)?;
            let protocol = Rc::new(Noting::default());
            protocol.panics_in.set(method);
            let made = protocol.clone();
            let (transport, _) = connect_socket(move || made, near).await?;
            if method == "pause" || method == "resume" {
                transport.set_write_buffer_limits(Some(0), None)?;
                transport.write(&vec![0; 1_000_000])?;
                let mut buffer = vec![0; 1_000_000];
                let reading = create_task(async move { far.read_exact(&mut buffer).await });
                protocol.until_lost().await?;
                drop(reading);
            } else {
                far.write_all(b"data").await.ok();
                sleep(Duration::from_millis(5)).await?;
                drop(far);
                protocol.until_lost().await?;
            }
            let reports = reports.take();
            assert_eq!(reports.len(), 1, "{method}: {reports:?}");
            assert!(
                reports[0].starts_with("Fatal error: protocol."),
                "{reports:?}"
            );
            let log = protocol.log.take();
            assert_eq!(
                log.iter().filter(|what| *what == "lost").count(),
                1,
                "{log:?}"
            );
            assert!(transport.is_closing());
        }
        Ok(())
    })
}

#[test]
fn a_factory_that_panics_costs_one_connection() -> Outcome {
    run(async {
        events::set_exception_handler(|_| {});
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        let factory = move || {
            counted.set(counted.get() + 1);
            assert!(counted.get() != 1, "as ordered");
            Rc::new(Noting::default())
        };
        let server = create_server(factory, "127.0.0.1:0").await?;
        let address = server.local_addrs()[0];
        let first = TcpStream::connect(address).await?;
        assert_eq!(first.read(&mut [0]).await?, 0);
        let _second = TcpStream::connect(address).await?;
        until(|| count.get() == 2).await?;
        Ok(())
    })
}

#[test]
fn another_protocol_may_take_over() -> Outcome {
    run(async {
        let (transport, protocol, peer) = pair().await?;
        let other = Rc::new(Noting::default());
        transport.set_protocol(other.clone());
        peer.write_all(b"for the other").await?;
        drop(peer);
        other.until_lost().await?;
        assert_eq!(protocol.log.take(), ["made"]);
        assert_eq!(other.log.take(), ["for the other", "eof", "lost"]);
        Ok(())
    })
}

/// Writes more each time that it may.
struct Source(Cell<usize>);

impl Protocol for Source {
    fn connection_made(&self, transport: &Transport) {
        self.resume_writing(transport);
    }

    fn resume_writing(&self, transport: &Transport) {
        while self.0.get() > 0 && transport.get_write_buffer_size() <= 64 * 1024 {
            self.0.set(self.0.get() - 1);
            transport.write(&[7; 1000]).unwrap();
        }
        if self.0.get() == 0 {
            transport.close();
        }
    }
}

#[test]
fn a_protocol_that_writes_from_resume_writing() -> Outcome {
    run(async {
        let server = create_server(|| Rc::new(Source(Cell::new(20_000))), "127.0.0.1:0").await?;
        let (mut reader, _writer) = rasyncio::open_connection(server.local_addrs()[0]).await?;
        assert_eq!(reader.read_to_end().await?.len(), 20_000_000);
        Ok(())
    })
}

#[test]
fn many_small_lines_that_wait() -> Outcome {
    run(async {
        let (transport, _, peer) = pair().await?;
        transport.write(&vec![0; 500_000])?;
        let lines: Vec<Vec<u8>> = (0..5000u32).map(|n| n.to_le_bytes().to_vec()).collect();
        transport.writelines(lines.clone())?;
        transport.write_eof()?;
        let mut buffer = vec![0; 500_000];
        peer.read_exact(&mut buffer).await?;
        let mut rest = vec![0; 20_000];
        peer.read_exact(&mut rest).await?;
        assert_eq!(rest, lines.concat());
        assert_eq!(peer.read(&mut rest).await?, 0);
        Ok(())
    })
}

#[test]
fn the_reader_of_a_pipe_goes_away() -> Outcome {
    run(async {
        let (reader, writer) = io::pipe()?;
        let (transport, protocol) = connect_write_pipe(Rc::<Noting>::default, writer).await?;
        transport.write(&vec![0; 1_000_000])?;
        drop(reader);
        assert_eq!(protocol.until_lost().await?, Some(ErrorKind::BrokenPipe));
        let (reader, writer) = io::pipe()?;
        let (_, protocol) = connect_write_pipe(Rc::<Noting>::default, writer).await?;
        drop(reader);
        assert_eq!(protocol.until_lost().await?, None);
        Ok(())
    })
}

#[test]
fn a_pipe_is_read_to_its_end() -> Outcome {
    run(async {
        let (reader, mut writer) = io::pipe()?;
        let (_, protocol) = connect_read_pipe(Rc::<Noting>::default, reader).await?;
        io::Write::write_all(&mut writer, b"words")?;
        drop(writer);
        assert_eq!(protocol.until_lost().await?, None);
        assert_eq!(protocol.log.take(), ["made", "words", "eof", "lost"]);
        let file = std::fs::File::open("/proc/self/exe")?;
        let refused = connect_read_pipe(Rc::<Noting>::default, file).await;
        assert_eq!(refused.err().unwrap().kind(), ErrorKind::InvalidInput);
        Ok(())
    })
}

#[test]
fn happy_eyeballs_go_past_an_address_that_is_silent() -> Outcome {
    run(async {
        // A listener whose backlog is full does not answer.
        let deaf = std::net::TcpListener::bind("127.0.0.1:0")?;
        rustix::net::listen(&deaf, 0)?;
        let silent = deaf.local_addr()?;
        let _full: Vec<_> = (0..3)
            .map(|_| create_task(TcpStream::connect(silent)))
            .collect();
        sleep(Duration::from_millis(20)).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addresses = [silent, listener.local_addr()?];
        let started = events::time();
        let stream = Builder::new()
            .happy_eyeballs_delay(Duration::from_millis(50))
            .connect(&addresses[..])
            .await?;
        assert_eq!(stream.peer_addr()?, addresses[1]);
        assert!(events::time() - started >= Duration::from_millis(50));
        assert!(events::time() - started < Duration::from_millis(900));
        Ok(())
    })
}

#[test]
fn addresses_that_refuse_are_passed_over_at_once() -> Outcome {
    run(async {
        let refusing = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addresses = [refusing, listener.local_addr()?];
        for builder in [
            Builder::new(),
            Builder::new().happy_eyeballs_delay(Duration::from_secs(600)),
        ] {
            let stream = builder.connect(&addresses[..]).await?;
            assert_eq!(stream.peer_addr()?, addresses[1]);
        }
        Ok(())
    })
}

#[test]
fn all_errors_can_be_had() -> Outcome {
    run(async {
        let one = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let two = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let error = Builder::new().connect(&[one, two][..]).await.unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(Errno::CONNREFUSED.raw_os_error())
        );
        let error = Builder::new()
            .all_errors(true)
            .connect(&[one, two][..])
            .await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(ConnectErrors::of(&error).unwrap().len(), 2);
        let none = Builder::new().family(Family::Inet6).connect(one).await;
        assert_eq!(none.unwrap_err().kind(), ErrorKind::NotFound);
        Ok(())
    })
}

#[test]
fn how_to_look_up_whom_to_connect_to() -> Outcome {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let tcp = Builder::new().proto(libc::IPPROTO_TCP);
        tcp.connect(("localhost", port)).await?;
        let numbers = Builder::new().flags(libc::AI_NUMERICHOST);
        numbers.connect(("127.0.0.1", port)).await?;
        assert!(numbers.connect(("localhost", port)).await.is_err());
        let udp = Builder::new().proto(libc::IPPROTO_UDP);
        assert!(udp.connect(("localhost", port)).await.is_err());
        let address = listener.local_addr()?;
        let error = udp.connect(address).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPROTONOSUPPORT));
        let error = Builder::new().proto(-1).connect(address).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
        Ok(())
    })
}

#[test]
fn a_local_address_to_connect_from() -> Outcome {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let local = "127.0.0.9:0".parse()?;
        let address = listener.local_addr()?;
        let stream = Builder::new().local_addr(local).connect(address).await?;
        assert_eq!(stream.local_addr()?.ip(), local.ip());
        let local = "[::1]:0".parse()?;
        let stream = Builder::new().local_addr(local).connect(address).await;
        assert_eq!(kind(stream), ErrorKind::AddrNotAvailable);
        Ok(())
    })
}

#[test]
fn names_are_looked_up_by_a_thread() -> Outcome {
    run(async {
        let addresses = getaddrinfo("localhost", 80).await?;
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
        let task = create_task(getaddrinfo("localhost", 80));
        yield_now().await?;
        // The thread may have been quicker.
        let cancelled = task.cancel();
        assert_eq!(task.await.is_err(), cancelled);
        Ok(())
    })
}
