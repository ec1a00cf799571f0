//! What a stream can do whatever kind of socket it is over.

/// The methods that `$Stream`, over a `$Std`, has in common with the other streams.
///
/// Of their examples `$uses` is the line that imports, and `$pair` makes `one` and `two`, which are connected
/// to each other.
macro_rules! stream_methods {
    ($Stream:ident, $Std:ty, uses: $uses:literal, pair: $pair:literal $(,)?) => {
        impl $Stream {
            #[cfg(feature = "_poll-io")]
            pub(crate) fn watched(&self) -> &$crate::net::Watched<$Std> {
                &self.io
            }

            /// The connection, to be used by other means. It is non-blocking still.
            ///
            /// ```
            #[doc = $uses]
            ///
            /// rasyncio::run(async {
            #[doc = $pair]
            ///     one.into_std().set_nonblocking(false)?;
            ///     Ok::<_, Box<dyn std::error::Error>>(())
            /// })
            /// .unwrap();
            /// ```
            pub fn into_std(self) -> $Std {
                self.io.into_inner()
            }

            /// Reads what there is, at most as much as the buffer holds (asyncio's `sock_recv_into`). 0 is
            /// the end.
            ///
            /// # Errors
            ///
            /// The system's, and a cancellation.
            ///
            /// ```
            #[doc = $uses]
            ///
            /// rasyncio::run(async {
            #[doc = $pair]
            ///     let mut buffer = [0; 16];
            ///     two.write_all(b"hello").await?;
            ///     let count = one.read(&mut buffer).await?;
            ///     assert_eq!(&buffer[..count], b"hello");
            ///     Ok::<_, Box<dyn std::error::Error>>(())
            /// })
            /// .unwrap();
            /// ```
            pub fn read<'a>(
                &'a self,
                buffer: &'a mut [u8],
            ) -> impl Future<Output = std::io::Result<usize>> + 'a {
                $crate::net::socket::read(&self.io, buffer)
            }

            /// Reads until the buffer is full.
            ///
            /// # Errors
            ///
            /// `UnexpectedEof` if the end comes before, the system's, and a cancellation.
            ///
            /// ```
            #[doc = $uses]
            ///
            /// rasyncio::run(async {
            #[doc = $pair]
            ///     let mut buffer = [0; 3];
            ///     two.write_all(b"hello").await?;
            ///     one.read_exact(&mut buffer).await?;
            ///     assert_eq!(&buffer, b"hel");
            ///     Ok::<_, Box<dyn std::error::Error>>(())
            /// })
            /// .unwrap();
            /// ```
            pub async fn read_exact(&self, buffer: &mut [u8]) -> std::io::Result<()> {
                $crate::net::socket::read_exact(&self.io, buffer).await
            }

            /// Writes as much as goes, and answers how much that was.
            ///
            /// # Errors
            ///
            /// The system's, and a cancellation.
            ///
            /// ```
            #[doc = $uses]
            ///
            /// rasyncio::run(async {
            #[doc = $pair]
            ///     assert_eq!(one.write(b"hello").await?, 5);
            ///     Ok::<_, Box<dyn std::error::Error>>(())
            /// })
            /// .unwrap();
            /// ```
            pub fn write<'a>(
                &'a self,
                data: &'a [u8],
            ) -> impl Future<Output = std::io::Result<usize>> + 'a {
                $crate::net::socket::write(&self.io, data)
            }

            /// Writes as much as goes of several slices.
            ///
            /// # Errors
            ///
            /// The system's, and a cancellation.
            ///
            /// ```
            #[doc = $uses]
            /// use std::io::IoSlice;
            ///
            /// rasyncio::run(async {
            #[doc = $pair]
            ///     let slices = [IoSlice::new(b"hello "), IoSlice::new(b"world")];
            ///     assert_eq!(one.write_vectored(&slices).await?, 11);
            ///     Ok::<_, Box<dyn std::error::Error>>(())
            /// })
            /// .unwrap();
            /// ```
            pub async fn write_vectored(
                &self,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                $crate::net::socket::write_vectored(&self.io, slices).await
            }

            /// Writes everything (asyncio's `sock_sendall`).
            ///
            /// # Errors
            ///
            /// The system's, and a cancellation. Some of the data may have been written.
            ///
            /// ```
            #[doc = $uses]
            ///
            /// rasyncio::run(async {
            #[doc = $pair]
            ///     one.write_all(b"hello").await?;
            ///     Ok::<_, Box<dyn std::error::Error>>(())
            /// })
            /// .unwrap();
            /// ```
            pub fn write_all<'a>(
                &'a self,
                data: &'a [u8],
            ) -> impl Future<Output = std::io::Result<()>> + 'a {
                $crate::net::socket::write_all(&self.io, data)
            }

            /// Sends `count` bytes of a file from `offset` on, or all the rest, and answers how many that
            /// were (asyncio's `sock_sendfile`). The system moves them where it can. The position of the
            /// file is neither used nor moved.
            ///
            /// # Errors
            ///
            /// The system's, and a cancellation. Some of the file may have been sent.
            ///
            /// ```
            #[doc = $uses]
            /// use std::fs::File;
            ///
            /// rasyncio::run(async {
            #[doc = $pair]
            ///     let file = File::open("Cargo.toml")?;
            ///     assert_eq!(one.sendfile(&file, 0, Some(9)).await?, 9);
            ///     let mut buffer = [0; 16];
            ///     let count = two.read(&mut buffer).await?;
            ///     assert_eq!(&buffer[..count], b"[package]");
            ///     Ok::<_, Box<dyn std::error::Error>>(())
            /// })
            /// .unwrap();
            /// ```
            pub async fn sendfile(
                &self,
                file: impl std::os::fd::AsFd,
                offset: u64,
                count: Option<u64>,
            ) -> std::io::Result<u64> {
                $crate::net::socket::sendfile(&self.io, file, offset, count).await
            }

            /// Ends one direction, or both.
            ///
            /// # Errors
            ///
            /// The system's.
            ///
            /// ```
            #[doc = $uses]
            /// use std::net::Shutdown;
            ///
            /// rasyncio::run(async {
            #[doc = $pair]
            ///     one.shutdown(Shutdown::Write)?;
            ///     assert_eq!(two.read(&mut [0; 1]).await?, 0);
            ///     Ok::<_, Box<dyn std::error::Error>>(())
            /// })
            /// .unwrap();
            /// ```
            pub fn shutdown(&self, how: std::net::Shutdown) -> std::io::Result<()> {
                self.io.get().shutdown(how)
            }
        }
    };
}

pub(super) use stream_methods;
