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

reads!(TcpStream, UnixStream, StreamReader, Duplex);
writes_by_trait!(AsyncWrite: TcpStream, UnixStream, StreamWriter, Duplex);
