//! The two ends of a stream, as one.

use super::{StreamReader, StreamWriter};

/// The two ends of a stream in one, for other crates that read and write by the traits of
/// [`adapters`](crate::adapters). Dropping it closes the connection.
///
/// ```
/// use rasyncio::streams::{Duplex, open_connection, start_server};
///
/// rasyncio::run(async {
///     let server = start_server(
///         async |mut reader, writer| writer.write(&reader.readline().await.unwrap()).unwrap(),
///         "127.0.0.1:0",
///     )
///     .await?;
///     let (reader, writer) = open_connection(server.local_addrs()[0]).await?;
///     let mut both = Duplex { reader, writer };
///     both.writer.write(b"hello\n").unwrap();
///     assert_eq!(both.reader.readline().await.unwrap(), b"hello\n");
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub struct Duplex {
    /// What is read from.
    pub reader: StreamReader,
    /// What is written to.
    pub writer: StreamWriter,
}

impl From<(StreamReader, StreamWriter)> for Duplex {
    fn from((reader, writer): (StreamReader, StreamWriter)) -> Duplex {
        Duplex { reader, writer }
    }
}
