//! Pipes.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::FileType;

use super::made;
use crate::protocols::Protocol;
use crate::transports::{Link, Transport};

/// Has a protocol get what comes through a pipe (asyncio's `loop.connect_read_pipe`). The descriptor
/// is that of a pipe, a socket or a character device, and becomes non-blocking. At the end the
/// transport closes itself.
///
/// # Errors
///
/// `InvalidInput` for anything else; the system's; a cancellation.
///
/// ```
/// use std::cell::RefCell;
/// use std::io;
/// use std::rc::Rc;
/// use rasyncio::{Event, Protocol, Transport};
/// use rasyncio::connect::{connect_read_pipe, connect_write_pipe};
///
/// #[derive(Default)]
/// struct Collect {
///     all: RefCell<Vec<u8>>,
///     lost: Event,
/// }
///
/// impl Protocol for Collect {
///     fn data_received(&self, _: &Transport, data: &[u8]) {
///         self.all.borrow_mut().extend_from_slice(data);
///     }
///
///     fn connection_lost(&self, _: &Transport, _: Option<io::Error>) {
///         self.lost.set();
///     }
/// }
///
/// rasyncio::run(async {
///     let (reader, writer) = io::pipe()?;
///     let (_, collected) = connect_read_pipe(Rc::<Collect>::default, reader).await?;
///     let (transport, _) = connect_write_pipe(Rc::<Collect>::default, writer).await?;
///     transport.write(b"through a pipe").map_err(io::Error::other)?;
///     transport.close();
///     collected.lost.wait().await?;
///     assert_eq!(*collected.all.borrow(), b"through a pipe");
///     Ok::<_, io::Error>(())
/// })
/// .unwrap();
/// ```
pub async fn connect_read_pipe<P, F>(
    factory: F,
    pipe: impl Into<OwnedFd>,
) -> io::Result<(Transport, Rc<P>)>
where
    P: Protocol + 'static,
    F: FnOnce() -> Rc<P>,
{
    let pipe = prepare(pipe.into())?;
    made(Link::ReadPipe(pipe), factory(), None).await
}

/// Writes to a pipe (asyncio's `loop.connect_write_pipe`). The descriptor is that of a pipe, a socket
/// or a character device, and becomes non-blocking. When the reader has gone the transport closes
/// itself.
///
/// # Errors
///
/// `InvalidInput` for anything else; the system's; a cancellation.
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{Protocol, connect::connect_write_pipe};
///
/// rasyncio::run(async {
///     struct Quiet;
///     impl Protocol for Quiet {}
///     let (_reader, writer) = std::io::pipe()?;
///     let (transport, _) = connect_write_pipe(|| Rc::new(Quiet), writer).await?;
///     transport.write(b"hello")?;
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn connect_write_pipe<P, F>(
    factory: F,
    pipe: impl Into<OwnedFd>,
) -> io::Result<(Transport, Rc<P>)>
where
    P: Protocol + 'static,
    F: FnOnce() -> Rc<P>,
{
    let pipe = prepare(pipe.into())?;
    made(Link::WritePipe(pipe), factory(), None).await
}

fn prepare(pipe: OwnedFd) -> io::Result<OwnedFd> {
    let mode = rustix::fs::fstat(&pipe)?.st_mode;
    match FileType::from_raw_mode(mode) {
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice => {}
        _ => {
            let message = "Pipe transport is for pipes/sockets only.";
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
    }
    rustix::io::ioctl_fionbio(&pipe, true)?;
    Ok(pipe)
}
