//! What the kinds of sockets share.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rasyncio_engine::Direction;
use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny, SocketFlags,
    SocketType, sockopt,
};

use super::Watched;
use crate::transports::sendfile::{SENT_AT_ONCE, is_unsupported, read as read_file};

/// What is written to a peer that has gone is an error, and no signal.
pub(crate) const SEND: SendFlags = SendFlags::NOSIGNAL;

/// The descriptor of a socket can be borrowed, and taken.
macro_rules! owns_descriptor {
    ($($Socket:ident),+) => {$(
        impl std::os::fd::AsFd for $Socket {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.io.get().as_fd()
            }
        }

        impl From<$Socket> for std::os::fd::OwnedFd {
            fn from(socket: $Socket) -> std::os::fd::OwnedFd {
                socket.into_std().into()
            }
        }
    )+};
}

pub(super) use owns_descriptor;

/// A new socket that does not block.
pub(crate) fn open(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    open_with(family, kind, None)
}

pub(crate) fn open_with(
    family: AddressFamily,
    kind: SocketType,
    proto: Option<Protocol>,
) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(family, kind, flags, proto)?)
}

/// A protocol by the system's number; 0 says nothing.
pub(crate) fn protocol(number: i32) -> io::Result<Option<Protocol>> {
    let number = u32::try_from(number)
        .map_err(|_| io::Error::new(ErrorKind::InvalidInput, "unexpected protocol"))?;
    Ok(NonZeroU32::new(number).map(Protocol::from_raw))
}

pub(crate) fn family(address: &SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

/// Connects, and waits for the outcome.
pub(crate) async fn connect<T: AsFd>(
    io: &Watched<T>,
    address: &impl SocketAddrArg,
) -> io::Result<()> {
    match rustix::net::connect(io.get(), address) {
        Ok(()) => return Ok(()),
        // An interrupted one goes on all the same.
        Err(Errno::INPROGRESS | Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut asked = false;
    io.when_ready(Direction::Write, || {
        if !std::mem::replace(&mut asked, true) {
            // Nothing is known until the system has said so.
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(sockopt::socket_error(io.get())??)
    })
    .await
}

pub(crate) async fn accept<T: AsFd>(
    io: &Watched<T>,
) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    io.when_ready(Direction::Read, || {
        loop {
            match rustix::net::acceptfrom_with(io.get(), flags) {
                // One that came and went.
                Err(Errno::CONNABORTED) => {}
                result => return Ok(result?),
            }
        }
    })
    .await
}

// The leaf itself rather than an `async fn` around it, for these are what a server does all day.

pub(crate) fn read<'a, T: AsFd>(
    io: &'a Watched<T>,
    buffer: &'a mut [u8],
) -> impl Future<Output = io::Result<usize>> + 'a {
    io.when_stream(Direction::Read, buffer.len(), |io| {
        Ok(rustix::net::recv(io, &mut *buffer, RecvFlags::empty())?.1)
    })
}

pub(crate) async fn read_exact<T: AsFd>(io: &Watched<T>, buffer: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match read(io, &mut buffer[done..]).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => done += count,
        }
    }
    Ok(())
}

pub(crate) fn write<'a, T: AsFd>(
    io: &'a Watched<T>,
    data: &'a [u8],
) -> impl Future<Output = io::Result<usize>> + 'a {
    io.when_stream(Direction::Write, data.len(), |io| {
        Ok(rustix::net::send(io, data, SEND)?)
    })
}

pub(crate) async fn write_vectored<T: AsFd>(
    io: &Watched<T>,
    slices: &[IoSlice<'_>],
) -> io::Result<usize> {
    let length = slices.iter().map(|slice| slice.len()).sum();
    io.when_stream(Direction::Write, length, |io| {
        let mut control = SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(io, slices, &mut control, SEND)?)
    })
    .await
}

pub(crate) async fn write_all<T: AsFd>(io: &Watched<T>, data: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < data.len() {
        done += write(io, &data[done..]).await?;
    }
    Ok(())
}

/// Sends a file, or a part of it, and answers how many bytes that were.
pub(crate) async fn sendfile<T: AsFd>(
    io: &Watched<T>,
    file: impl AsFd,
    offset: u64,
    count: Option<u64>,
) -> io::Result<u64> {
    let left = count.unwrap_or(u64::MAX);
    let mut at = offset;
    loop {
        let want = (left - (at - offset)).min(SENT_AT_ONCE) as usize;
        let sent = io
            .when_ready(Direction::Write, || {
                Ok(rustix::fs::sendfile(io.get(), &file, Some(&mut at), want)?)
            })
            .await;
        match sent {
            Ok(0) => return Ok(at - offset),
            Ok(_) => {}
            Err(error) if at == offset && is_unsupported(&error) => break,
            Err(error) => return Err(error),
        }
    }
    let file = Arc::new(file.as_fd().try_clone_to_owned()?);
    while at - offset < left {
        let data = read_file(&file, at, left - (at - offset)).await?;
        if data.is_empty() {
            break;
        }
        write_all(io, &data).await?;
        at += data.len() as u64;
    }
    Ok(at - offset)
}
