//! What this crate's types are to other crates, each behind a feature of its own. None is on by default.
//!
//! | feature | what it gives |
//! |---|---|
//! | `futures-io` | `AsyncRead` and `AsyncWrite` of the crate futures-io (`futures::io`, async-std, smol) |
//! | `tokio-io` | tokio's `AsyncRead` and `AsyncWrite`: its traits alone, without its runtime |
//! | `hyper` | hyper's `Read` and `Write`, and the module [`hyper`](mod@hyper): HTTP on this loop |
//! | `tracing` | a span for each task, an event for each error that nobody awaits |
//!
//! [`TcpStream`](crate::net::TcpStream) and [`UnixStream`](crate::net::UnixStream) have the traits of both
//! directions, a [`StreamReader`](crate::StreamReader) those of reading and a
//! [`StreamWriter`](crate::StreamWriter) those of writing, the pipes of a
//! [`Process`](crate::subprocess::Process) included. A [`Duplex`](crate::streams::Duplex) makes one thing
//! of a reader and a writer, for who wants to have both in one.
//!
//! A cancellation comes as an [`io::Error`](std::io::Error), in which
//! [`Cancelled::of`](crate::Cancelled::of) finds it. What a trait's own methods wait for can be given up
//! at any time, without losing anything.
//!
//! Through these traits one task reads and one task writes; a second one that reads would take the first
//! one's place. The methods of the types themselves have no such limit.
//!
//! # Streams of items
//!
//! [`as_completed`](crate::as_completed) and [`BaseQueue::items`](crate::queues::BaseQueue::items) are
//! `Stream`s of the crate futures-core, without a feature.

/// Writing by a trait with tokio's methods, which hyper's has, too.
#[cfg(any(feature = "hyper", feature = "tokio-io"))]
macro_rules! writes_by_trait {
    ($trait:ident: $($name:ident),+) => {$(
        impl $trait for $name {
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

#[cfg(feature = "_poll-io")]
mod endpoints;
#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(feature = "tokio-io")]
mod tokio_io;
#[cfg(feature = "tracing")]
pub(crate) mod tracing;

#[cfg(feature = "_poll-io")]
use endpoints::{Reads, Writes};
