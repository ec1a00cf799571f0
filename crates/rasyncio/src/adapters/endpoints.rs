//! What the traits of others have in common: the ends of connections, polled.
//!
//! Each of those traits is written in terms of the two here, so that what a connection does is said once.

use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use rasyncio_engine::Direction;
use rustix::net::{RecvFlags, SendAncillaryBuffer};

use crate::net::socket::SEND;
use crate::net::{TcpStream, UnixStream, Watched};
use crate::streams::{Duplex, StreamReader, StreamWriter};

/// How much a stream writer takes at once, in bytes. It keeps a copy of what does not go out.
const MOST: usize = 256 * 1024;

/// What can be read from.
pub(super) trait Reads: Unpin {
    /// Reads what there is to the front of `buffer`, and answers how much that was. 0 is the end.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>>;
}

/// What can be written to.
pub(super) trait Writes: Unpin {
    /// Writes as much as goes.
    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes as much as goes of several slices.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Waits until the system has everything.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the writing half, after everything was written.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

fn read_socket<T: AsFd>(
    io: &Watched<T>,
    cx: &mut Context<'_>,
    buffer: &mut [MaybeUninit<u8>],
) -> Poll<io::Result<usize>> {
    io.poll_stream(cx, Direction::Read, buffer.len(), |io| {
        Ok(rustix::net::recv(io, &mut *buffer, RecvFlags::empty())?.1)
    })
}

fn write_socket<T: AsFd>(
    io: &Watched<T>,
    cx: &mut Context<'_>,
    data: &[u8],
) -> Poll<io::Result<usize>> {
    io.poll_stream(cx, Direction::Write, data.len(), |io| {
        Ok(rustix::net::send(io, data, SEND)?)
    })
}

fn write_slices<T: AsFd>(
    io: &Watched<T>,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let length = slices.iter().map(|slice| slice.len()).sum();
    io.poll_stream(cx, Direction::Write, length, |io| {
        let mut control = SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(io, slices, &mut control, SEND)?)
    })
}

/// A connection that has gone has no half left to be closed.
fn close_writing(result: io::Result<()>) -> Poll<io::Result<()>> {
    Poll::Ready(match result {
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
        result => result,
    })
}

macro_rules! socket {
    ($socket:ident) => {
        impl Reads for $socket {
            fn poll_read(
                &mut self,
                cx: &mut Context<'_>,
                buffer: &mut [MaybeUninit<u8>],
            ) -> Poll<io::Result<usize>> {
                read_socket(self.watched(), cx, buffer)
            }
        }

        impl Writes for $socket {
            fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
                write_socket(self.watched(), cx, data)
            }

            fn poll_write_vectored(
                &mut self,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                write_slices(self.watched(), cx, slices)
            }

            fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                close_writing(self.shutdown(Shutdown::Write))
            }
        }
    };
}

socket!(TcpStream);
socket!(UnixStream);

impl Reads for StreamReader {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        StreamReader::poll_read(self, cx, buffer)
    }
}

impl Writes for StreamWriter {
    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_drain(cx))?;
        let data = &data[..data.len().min(MOST)];
        self.write(data).map_err(io::Error::other)?;
        Poll::Ready(Ok(data.len()))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_drain(cx))?;
        let mut room = MOST;
        let mut pieces = Vec::with_capacity(slices.len());
        for slice in slices {
            let piece = &slice[..slice.len().min(room)];
            room -= piece.len();
            pieces.push(piece.to_vec());
        }
        self.writelines(pieces).map_err(io::Error::other)?;
        Poll::Ready(Ok(MOST - room))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        StreamWriter::poll_flush(self, cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(StreamWriter::poll_flush(self, cx))?;
        if self.is_closing() {
            return Poll::Ready(Ok(()));
        }
        close_writing(self.write_eof())
    }
}

impl Reads for Duplex {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        Reads::poll_read(&mut self.reader, cx, buffer)
    }
}

impl Writes for Duplex {
    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.writer.poll_write(cx, data)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer.poll_write_vectored(cx, slices)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Writes::poll_flush(&mut self.writer, cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.poll_close(cx)
    }
}
