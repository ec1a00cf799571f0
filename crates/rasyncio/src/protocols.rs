//! Protocols (asyncio's `protocols`): what is called when something happens on a connection.
//!
//! A protocol is shared and called by `&self`, for a call may lead to the next: `data_received`
//! writes, and that may call `pause_writing` before it returns. State goes into cells.
//!
//! asyncio's `BufferedProtocol` has no counterpart, since [`Protocol::data_received`] lends the
//! bytes and copies nothing.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::events::{self, ExceptionContext};
use crate::exceptions::Panic;
use crate::transports::{DatagramAddress, DatagramTransport, SubprocessTransport, Transport};

/// What happens on a stream (asyncio's `Protocol`). A panic in one of these goes to the
/// [exception handler](crate::events::set_exception_handler), and the connection is aborted.
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::Transport;
/// use rasyncio::protocols::Protocol;
///
/// /// Sends back what it gets.
/// struct Echo;
///
/// impl Protocol for Echo {
///     fn data_received(&self, transport: &Transport, data: &[u8]) {
///         transport.write(data).ok();
///     }
/// }
///
/// rasyncio::run(async {
///     let server = rasyncio::create_server(|| Rc::new(Echo), ("127.0.0.1", 0)).await?;
///     let address = server.local_addrs()[0];
///     let (mut reader, writer) = rasyncio::open_connection(address).await?;
///     writer.write(b"hello")?;
///     assert_eq!(reader.readexactly(5).await?, b"hello");
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub trait Protocol {
    /// The connection is there. Called once, first.
    fn connection_made(&self, transport: &Transport) {
        let _ = transport;
    }

    /// Some bytes have come, at least one.
    fn data_received(&self, transport: &Transport, data: &[u8]) {
        let _ = (transport, data);
    }

    /// The peer sends no more. With `false` the transport closes itself; with `true` it stays
    /// open for writing.
    fn eof_received(&self, transport: &Transport) -> bool {
        let _ = transport;
        false
    }

    /// More than the high-water mark waits to be written: better write no more for now.
    fn pause_writing(&self, transport: &Transport) {
        let _ = transport;
    }

    /// What waits to be written has sunk to the low-water mark.
    fn resume_writing(&self, transport: &Transport) {
        let _ = transport;
    }

    /// The connection is gone: closed from here or by the peer (`None`), or by an error. Called
    /// once, last.
    fn connection_lost(&self, transport: &Transport, error: Option<io::Error>) {
        let _ = (transport, error);
    }
}

/// What happens on a datagram socket (asyncio's `DatagramProtocol`). `A` is the type of its addresses, which is
/// another one for Unix sockets.
///
/// ```
/// use std::net::SocketAddr;
/// use rasyncio::{DatagramProtocol, DatagramTransport};
///
/// struct Echo;
///
/// impl DatagramProtocol for Echo {
///     fn datagram_received(&self, transport: &DatagramTransport, data: &[u8], from: SocketAddr) {
///         let _ = transport.sendto(data, Some(from));
///     }
/// }
/// ```
pub trait DatagramProtocol<A: DatagramAddress = SocketAddr> {
    /// The socket is there. Called once, first.
    fn connection_made(&self, transport: &DatagramTransport<A>) {
        let _ = transport;
    }

    /// A datagram has come.
    fn datagram_received(&self, transport: &DatagramTransport<A>, data: &[u8], from: A) {
        let _ = (transport, data, from);
    }

    /// A datagram could not be sent or received.
    fn error_received(&self, transport: &DatagramTransport<A>, error: io::Error) {
        let _ = (transport, error);
    }

    /// More than the high-water mark waits to be sent.
    fn pause_writing(&self, transport: &DatagramTransport<A>) {
        let _ = transport;
    }

    /// What waits to be sent has sunk to the low-water mark.
    fn resume_writing(&self, transport: &DatagramTransport<A>) {
        let _ = transport;
    }

    /// The socket is gone. Called once, last.
    fn connection_lost(&self, transport: &DatagramTransport<A>, error: Option<io::Error>) {
        let _ = (transport, error);
    }
}

/// What happens to a child process (asyncio's `SubprocessProtocol`). A panic in one of these goes to the
/// [exception handler](crate::events::set_exception_handler), and nothing else comes of it.
///
/// The process may end before its pipes do, which others may have too, and the other way round; but
/// [`connection_lost`](SubprocessProtocol::connection_lost) comes after all of that.
///
/// ```
/// use std::cell::RefCell;
/// use std::process::Stdio;
/// use std::rc::Rc;
/// use rasyncio::subprocess::subprocess_shell;
/// use rasyncio::{Event, SubprocessProtocol, SubprocessTransport};
///
/// #[derive(Default)]
/// struct Collect {
///     output: RefCell<Vec<u8>>,
///     ended: Event,
/// }
///
/// impl SubprocessProtocol for Collect {
///     fn pipe_data_received(&self, _: &SubprocessTransport, fd: i32, data: &[u8]) {
///         assert_eq!(fd, 1);
///         self.output.borrow_mut().extend_from_slice(data);
///     }
///
///     fn connection_lost(&self, _: &SubprocessTransport) {
///         self.ended.set();
///     }
/// }
///
/// rasyncio::run(async {
///     let pipes = [Stdio::null(), Stdio::piped(), Stdio::inherit()];
///     let line = "echo hello; exit 3";
///     let (transport, protocol) = subprocess_shell(Rc::<Collect>::default, line, pipes).await?;
///     protocol.ended.wait().await?;
///     assert_eq!(*protocol.output.borrow(), b"hello\n");
///     assert_eq!(transport.get_returncode(), Some(3));
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub trait SubprocessProtocol {
    /// The process runs. Called once, first.
    fn connection_made(&self, transport: &SubprocessTransport) {
        let _ = transport;
    }

    /// Some bytes have come, at least one, from its standard output (1) or its standard error (2).
    fn pipe_data_received(&self, transport: &SubprocessTransport, fd: i32, data: &[u8]) {
        let _ = (transport, fd, data);
    }

    /// One of its pipes is gone: closed, or by an error. Called once for each.
    fn pipe_connection_lost(
        &self,
        transport: &SubprocessTransport,
        fd: i32,
        error: Option<io::Error>,
    ) {
        let _ = (transport, fd, error);
    }

    /// The process has ended. Called once.
    fn process_exited(&self, transport: &SubprocessTransport) {
        let _ = transport;
    }

    /// More than the high-water mark waits for its standard input.
    fn pause_writing(&self, transport: &SubprocessTransport) {
        let _ = transport;
    }

    /// What waits for its standard input has sunk to the low-water mark.
    fn resume_writing(&self, transport: &SubprocessTransport) {
        let _ = transport;
    }

    /// The process has ended, and all of its pipes are gone. Called once, last.
    fn connection_lost(&self, transport: &SubprocessTransport) {
        let _ = transport;
    }
}

/// Calls a protocol's method. A panic is reported, and is the error.
pub(crate) fn call<R>(name: &str, f: impl FnOnce() -> R) -> io::Result<R> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        events::report(&ExceptionContext {
            message: &format!("Fatal error: protocol.{name}() call failed."),
            task: None,
            panic: &Panic::new(payload),
        });
        io::Error::other(format!("protocol.{name}() panicked"))
    })
}
