//! Any descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rasyncio_engine::Direction;

use super::Watched;

/// Anything that can be waited for: a socket of a kind that has no type here, a pipe, an event or a
/// timer descriptor, a device (what asyncio's `add_reader`, `add_writer` and `sock_*` are used for).
///
/// ```
/// use std::io::{self, Read, Write};
/// use rasyncio::net::AsyncFd;
///
/// rasyncio::run(async {
///     let (reader, mut writer) = io::pipe()?;
///     let reader = AsyncFd::new(reader)?;
///     writer.write_all(b"hello")?;
///     let mut buffer = [0; 10];
///     let count = reader.read_with(|mut pipe| pipe.read(&mut buffer)).await?;
///     assert_eq!(&buffer[..count], b"hello");
///     Ok::<_, io::Error>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub struct AsyncFd<T: AsFd> {
    io: Watched<T>,
}

impl<T: AsFd> AsyncFd<T> {
    /// Takes a descriptor over, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// If that is not possible. One that cannot be waited for, such as a regular file, is found out
    /// at the first waiting.
    ///
    /// ```
    /// use std::io::{self, ErrorKind, Read};
    /// use rasyncio::net::AsyncFd;
    ///
    /// rasyncio::run(async {
    ///     let (reader, _writer) = io::pipe()?;
    ///     let reader = AsyncFd::new(reader)?;
    ///     let nothing = reader.get_ref().read(&mut [0; 10]).unwrap_err();
    ///     assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    ///     Ok::<_, io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn new(io: T) -> io::Result<AsyncFd<T>> {
        rustix::io::ioctl_fionbio(&io, true)?;
        Ok(AsyncFd {
            io: Watched::new(io),
        })
    }

    /// What it was made of.
    ///
    /// ```
    /// use std::io::{self, Write};
    /// use rasyncio::net::AsyncFd;
    ///
    /// rasyncio::run(async {
    ///     let (_reader, writer) = io::pipe()?;
    ///     let writer = AsyncFd::new(writer)?;
    ///     assert_eq!(writer.get_ref().write(b"hello")?, 5);
    ///     Ok::<_, io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn get_ref(&self) -> &T {
        self.io.get()
    }

    /// What it was made of, to be used by other means. It is non-blocking still.
    ///
    /// ```
    /// use std::io::{self, Read};
    /// use rasyncio::net::AsyncFd;
    ///
    /// rasyncio::run(async {
    ///     let (reader, writer) = io::pipe()?;
    ///     let mut reader = AsyncFd::new(reader)?.into_inner();
    ///     drop(writer);
    ///     assert_eq!(reader.read(&mut [0; 10])?, 0);
    ///     Ok::<_, io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn into_inner(self) -> T {
        self.io.into_inner()
    }

    /// Calls `operation`, which reads in some way, until it does not fail with `WouldBlock`, and
    /// answers what it does. It is called when there may be something to read.
    ///
    /// # Errors
    ///
    /// Those of `operation`, the system's, and a cancellation.
    ///
    /// ```
    /// use std::io::{self, Read, Write};
    /// use rasyncio::net::AsyncFd;
    ///
    /// rasyncio::run(async {
    ///     let (reader, mut writer) = io::pipe()?;
    ///     let reader = AsyncFd::new(reader)?;
    ///     writer.write_all(b"hello")?;
    ///     let count = reader.read_with(|mut pipe| pipe.read(&mut [0; 10])).await?;
    ///     assert_eq!(count, 5);
    ///     Ok::<_, io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn read_with<R>(
        &self,
        mut operation: impl FnMut(&T) -> io::Result<R> + Unpin,
    ) -> io::Result<R> {
        let io = &self.io;
        io.when_ready(Direction::Read, || operation(io.get())).await
    }

    /// As [`AsyncFd::read_with`], when there may be room to write.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use std::io::{self, Read, Write};
    /// use rasyncio::net::AsyncFd;
    ///
    /// rasyncio::run(async {
    ///     let (mut reader, writer) = io::pipe()?;
    ///     let writer = AsyncFd::new(writer)?;
    ///     writer.write_with(|mut pipe| pipe.write(b"hello")).await?;
    ///     assert_eq!(reader.read(&mut [0; 10])?, 5);
    ///     Ok::<_, io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn write_with<R>(
        &self,
        mut operation: impl FnMut(&T) -> io::Result<R> + Unpin,
    ) -> io::Result<R> {
        let io = &self.io;
        io.when_ready(Direction::Write, || operation(io.get()))
            .await
    }
}

impl<T: AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}
