//! The traits of the crate futures-io.

#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::{Reads, Writes};
use crate::net::{TcpStream, UnixStream};
use crate::streams::{Duplex, StreamReader, StreamWriter};

/// # Safety
///
/// Nobody writes what is not initialised to it.
unsafe fn uninit(buffer: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    let (data, length) = (buffer.as_mut_ptr(), buffer.len());
    // SAFETY: it is the same memory, borrowed for as long, and what comes of it is the caller's to see to.
    unsafe { std::slice::from_raw_parts_mut(data.cast(), length) }
}

macro_rules! reads {
    ($($name:ident),+) => {$(
        impl AsyncRead for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                // SAFETY: `Reads` writes only what has been read.
                let buffer = unsafe { uninit(buffer) };
                Reads::poll_read(self.get_mut(), cx, buffer)
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

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Writes::poll_flush(self.get_mut(), cx)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Writes::poll_close(self.get_mut(), cx)
            }
        }
    )+};
}

reads!(TcpStream, UnixStream, StreamReader, Duplex);
writes!(TcpStream, UnixStream, StreamWriter, Duplex);
