//! Waiting for room at a Unix datagram socket that the sender is not connected to.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};

use rasyncio_engine::Direction;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::{Registration, Watched, socket};

/// A socket that is connected to where datagrams are to go, and never sends any itself. The system tells only
/// those who are connected when a receiver has room.
#[derive(Debug)]
pub struct Room {
    /// None if the receiver is connected to the sender: then the sender always has room there.
    beside: Option<Watched<OwnedFd>>,
    /// Whether the receiver had room when it was asked last.
    had: Cell<bool>,
}

/// Why a datagram could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The sender has too much under way.
    Sender,
    /// The receiver has too much to read.
    Receiver,
    /// None any more.
    Gone,
}

impl Room {
    /// # Errors
    ///
    /// The system's: mostly those that sending to there would have.
    pub(crate) fn at(address: &SocketAddrUnix) -> io::Result<Room> {
        let socket = socket::open(AddressFamily::UNIX, SocketType::DGRAM)?;
        let beside = match rustix::net::connect(&socket, address) {
            Ok(()) => Some(Watched::new(socket)),
            Err(Errno::PERM) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Room {
            beside,
            had: Cell::new(false),
        })
    }

    /// What is in the way after `sender` was told that sending would block. If that is the receiver, it is
    /// told when it has room.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn obstacle(&self, sender: impl AsFd) -> io::Result<Obstacle> {
        if let Some(beside) = &self.beside
            && !is_writable(beside.get())?
        {
            self.had.set(false);
            return Ok(Obstacle::Receiver);
        }
        // It may have had none when the sender was told. If it had room both times, it is not the receiver.
        if !self.had.replace(true) || is_writable(sender)? {
            return Ok(Obstacle::Gone);
        }
        Ok(Obstacle::Sender)
    }

    /// Waits until the receiver has room.
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation.
    pub(crate) async fn wait(&self) -> io::Result<()> {
        match &self.beside {
            Some(beside) => when_writable(beside).await,
            None => Ok(()),
        }
    }

    /// What is told when the receiver has room.
    pub(crate) fn registration(&self) -> Option<&Registration> {
        Some(self.beside.as_ref()?.registration())
    }
}

/// Waits until the system says that there is room, which it may be saying already.
pub(super) async fn when_writable<T: AsFd>(io: &Watched<T>) -> io::Result<()> {
    io.when_ready(Direction::Write, || {
        // Asking is also what has the system tell of the next change.
        if is_writable(io.get())? {
            return Ok(());
        }
        Err(ErrorKind::WouldBlock.into())
    })
    .await
}

fn is_writable(socket: impl AsFd) -> io::Result<bool> {
    let mut asked = [PollFd::new(&socket, PollFlags::OUT)];
    loop {
        match rustix::event::poll(&mut asked, Some(&Timespec::default())) {
            Err(Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}
