//! The descriptor under a transport, until it is closed.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, SendAncillaryBuffer, Shutdown};

use super::stream::Descriptor;
use crate::net::socket::SEND;

/// What a transport reads from and writes to. It does not block.
pub(crate) enum Link {
    /// Both ways.
    Socket(OwnedFd),
    /// One way: in.
    ReadPipe(OwnedFd),
    /// One way: out. That its reader has gone shows as readability.
    WritePipe(OwnedFd),
}

/// A link that can be closed while others look at it.
pub(crate) struct Slot(RefCell<Option<Link>>);

impl Link {
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(match self {
            Link::Socket(socket) => rustix::net::recv(socket, buffer, RecvFlags::empty())?.1,
            Link::ReadPipe(pipe) | Link::WritePipe(pipe) => rustix::io::read(pipe, buffer)?,
        })
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Link::Socket(fd) | Link::ReadPipe(fd) | Link::WritePipe(fd) => fd.as_fd(),
        }
    }
}

impl Slot {
    pub(crate) fn new(link: Link) -> Slot {
        Slot(RefCell::new(Some(link)))
    }

    /// Calls `f` with the link.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it is closed.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Link) -> io::Result<R>) -> io::Result<R> {
        match &*self.0.borrow() {
            Some(link) => f(link),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|link| link.receive(buffer))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.borrow().is_none()
    }

    pub(crate) fn is_write_pipe(&self) -> bool {
        matches!(&*self.0.borrow(), Some(Link::WritePipe(_)))
    }

    /// Whether nobody is at the other end.
    pub(crate) fn is_broken(&self) -> bool {
        let broken = PollFlags::ERR | PollFlags::HUP;
        self.with(|link| {
            let mut polled = [PollFd::new(link, PollFlags::empty())];
            rustix::event::poll(&mut polled, Some(&Timespec::default()))?;
            Ok(polled[0].revents().intersects(broken))
        })
        .unwrap_or(true)
    }

    pub(crate) fn is_socket(&self) -> bool {
        matches!(&*self.0.borrow(), Some(Link::Socket(_)))
    }

    pub(crate) fn close(&self) {
        drop(self.0.take());
    }
}

impl Descriptor for Slot {
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.with(|link| {
            Ok(match link {
                Link::Socket(socket) => rustix::net::send(socket, data, SEND)?,
                Link::ReadPipe(pipe) | Link::WritePipe(pipe) => rustix::io::write(pipe, data)?,
            })
        })
    }

    fn send_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.with(|link| {
            Ok(match link {
                Link::Socket(socket) => {
                    let mut control = SendAncillaryBuffer::default();
                    rustix::net::sendmsg(socket, slices, &mut control, SEND)?
                }
                Link::ReadPipe(pipe) | Link::WritePipe(pipe) => rustix::io::writev(pipe, slices)?,
            })
        })
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.with(|link| match link {
            Link::Socket(socket) => Ok(rustix::net::shutdown(socket, Shutdown::Write)?),
            // Closing is all that there is.
            Link::ReadPipe(_) | Link::WritePipe(_) => Ok(()),
        })
    }
}
