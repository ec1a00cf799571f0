//! Unix sockets.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::Watched;
use super::socket::{self, owns_descriptor};
use super::stream::stream_methods;
use crate::events;

/// A connection through a Unix socket.
///
/// ```
/// use rasyncio::net::UnixStream;
///
/// rasyncio::run(async {
///     let (one, two) = UnixStream::pair()?;
///     one.write_all(b"hello").await?;
///     let mut buffer = [0; 5];
///     two.read_exact(&mut buffer).await?;
///     assert_eq!(&buffer, b"hello");
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub struct UnixStream {
    io: Watched<net::UnixStream>,
}

/// A Unix socket that waits for connections.
///
/// ```
/// use rasyncio::net::{UnixListener, UnixStream};
///
/// rasyncio::run(async {
///     let name = format!("\0rasyncio-listener-{}", std::process::id());
///     let listener = UnixListener::bind(&name)?;
///     let client = UnixStream::connect(&name).await?;
///     let server = listener.accept().await?;
///     client.write_all(b"hello").await?;
///     assert_eq!(server.read(&mut [0; 16]).await?, 5);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub struct UnixListener {
    io: Watched<net::UnixListener>,
}

impl UnixStream {
    /// Connects to the socket at `path`; one that begins with a zero byte is an abstract name.
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::{UnixListener, UnixStream};
    ///
    /// rasyncio::run(async {
    ///     let name = format!("\0rasyncio-connect-{}", std::process::id());
    ///     let _listener = UnixListener::bind(&name)?;
    ///     UnixStream::connect(&name).await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let address = address(path.as_ref())?;
        let socket = socket::open(AddressFamily::UNIX, SocketType::STREAM)?;
        let io = Watched::new(net::UnixStream::from(socket));
        socket::connect(&io, &address).await?;
        Ok(UnixStream { io })
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::UnixStream;
    ///
    /// rasyncio::run(async {
    ///     let (one, two) = UnixStream::pair()?;
    ///     one.write_all(b"hello").await?;
    ///     assert_eq!(two.read(&mut [0; 16]).await?, 5);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, two) = net::UnixStream::pair()?;
        Ok((UnixStream::from_std(one)?, UnixStream::from_std(two)?))
    }

    /// Takes a connection over, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    ///
    /// ```
    /// use rasyncio::net::UnixStream;
    ///
    /// rasyncio::run(async {
    ///     let (one, _two) = std::os::unix::net::UnixStream::pair()?;
    ///     UnixStream::from_std(one)?.write_all(b"hello").await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn from_std(stream: net::UnixStream) -> io::Result<UnixStream> {
        stream.set_nonblocking(true)?;
        Ok(UnixStream {
            io: Watched::new(stream),
        })
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::UnixStream;
    ///
    /// rasyncio::run(async {
    ///     let (one, two) = UnixStream::pair()?;
    ///     assert!(one.local_addr()?.is_unnamed());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::UnixStream;
    ///
    /// rasyncio::run(async {
    ///     let (one, two) = UnixStream::pair()?;
    ///     assert!(one.peer_addr()?.is_unnamed());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr()
    }
}

stream_methods!(
    UnixStream,
    net::UnixStream,
    uses: "use rasyncio::net::UnixStream;",
    pair: "    let (one, two) = UnixStream::pair()?;",
);

impl UnixListener {
    /// Listens at `path`, which must not exist; one that begins with a zero byte is an
    /// abstract name.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::UnixListener;
    ///
    /// rasyncio::run(async {
    ///     let name = format!("\0rasyncio-bind-{}", std::process::id());
    ///     let listener = UnixListener::bind(&name)?;
    ///     assert!(!listener.local_addr()?.is_unnamed());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        let socket = socket::open(AddressFamily::UNIX, SocketType::STREAM)?;
        rustix::net::bind(&socket, &address(path.as_ref())?)?;
        rustix::net::listen(&socket, 1024)?;
        Ok(UnixListener {
            io: Watched::new(socket.into()),
        })
    }

    /// Takes a listening socket over, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    ///
    /// ```
    /// use rasyncio::net::UnixListener;
    ///
    /// rasyncio::run(async {
    ///     let path = std::env::temp_dir().join(format!("rasyncio-std-{}", std::process::id()));
    ///     let listener = UnixListener::from_std(std::os::unix::net::UnixListener::bind(&path)?)?;
    ///     assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
    ///     std::fs::remove_file(path)?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn from_std(listener: net::UnixListener) -> io::Result<UnixListener> {
        listener.set_nonblocking(true)?;
        Ok(UnixListener {
            io: Watched::new(listener),
        })
    }

    /// The socket, to be used by other means. It is non-blocking still.
    ///
    /// ```
    /// use rasyncio::net::UnixListener;
    ///
    /// rasyncio::run(async {
    ///     let name = format!("\0rasyncio-into-{}", std::process::id());
    ///     UnixListener::bind(&name)?.into_std().set_nonblocking(false)?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn into_std(self) -> net::UnixListener {
        self.io.into_inner()
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// The system's, such as there being no descriptor left, and a cancellation. The listener is
    /// good for another attempt.
    ///
    /// ```
    /// use rasyncio::net::{UnixListener, UnixStream};
    ///
    /// rasyncio::run(async {
    ///     let name = format!("\0rasyncio-accept-{}", std::process::id());
    ///     let listener = UnixListener::bind(&name)?;
    ///     let _client = UnixStream::connect(&name).await?;
    ///     listener.accept().await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn accept(&self) -> io::Result<UnixStream> {
        let (socket, _) = socket::accept(&self.io).await?;
        Ok(UnixStream {
            io: Watched::new(socket.into()),
        })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::UnixListener;
    ///
    /// rasyncio::run(async {
    ///     let name = format!("\0rasyncio-address-{}", std::process::id());
    ///     let listener = UnixListener::bind(&name)?;
    ///     assert!(listener.local_addr()?.as_pathname().is_none());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }
}

/// The address of a path, or of an abstract name.
pub(crate) fn address(path: &Path) -> io::Result<SocketAddrUnix> {
    use std::os::unix::ffi::OsStrExt;

    match path.as_os_str().as_bytes() {
        #[cfg(target_os = "linux")]
        [0, name @ ..] => Ok(SocketAddrUnix::new_abstract_name(name)?),
        path => Ok(SocketAddrUnix::new(path)?),
    }
}

/// Removes a socket that somebody who has died left behind. If that cannot be done, binding says so.
pub(crate) fn remove_stale(path: &Path) {
    use std::os::unix::ffi::OsStrExt;

    if path.as_os_str().as_bytes().first() == Some(&0) {
        return;
    }
    let removed = match fs::metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = removed
        && error.kind() != ErrorKind::NotFound
    {
        events::call_exception_handler("Unable to check or remove stale UNIX socket", &error);
    }
}

owns_descriptor!(UnixStream, UnixListener);
