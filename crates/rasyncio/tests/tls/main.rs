//! Encrypted transports and streams.

#[path = "../common/certificates.rs"]
mod certificates;
#[path = "../common/net.rs"]
mod net;

mod closing;
mod data;
mod handshake;
mod layers;
mod names;
mod protocols;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use certificates::Authority;
use net::{Checksum, Outcome, Random, alone, descriptors, kind, until};
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
