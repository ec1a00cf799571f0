//! The traits of the crate tokio.

#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Reads, Writes};
use crate::net::{TcpStream, UnixStream};
use crate::streams::{Duplex, StreamReader, StreamWriter};

macro_rules! reads {
    ($($name:ident),+) => {$(
        impl AsyncRead for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                // SAFETY: `Reads` writes only what has been read.
                let room = unsafe { buffer.unfilled_mut() };
                let count = ready!(Reads::poll_read(self.get_mut(), cx, room))?;
                // SAFETY: so many bytes were read to there.
                unsafe { buffer.assume_init(count) };
                buffer.advance(count);
                Poll::Ready(Ok(()))
            }
        }
    )+};
}

macro_rules! writes {
    ($($name:ident),+) => {$(
        impl AsyncWrite for $name {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                Writes::poll_write(self.get_mut(), cx, data)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Writes::poll_write_vectored(self.get_mut(), cx, slices)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Writes::poll_flush(self.get_mut(), cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Writes::poll_close(self.get_mut(), cx)
            }
        }
    )+};
}

reads!(TcpStream, UnixStream, StreamReader, Duplex);
writes!(TcpStream, UnixStream, StreamWriter, Duplex);
