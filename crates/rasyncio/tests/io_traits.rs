//! Sockets, streams and pipes through the traits of futures-io and of tokio.

use std::io::{self, IoSlice};
use std::process::Stdio;

use rasyncio::net::{TcpListener, TcpStream, UnixStream};
use rasyncio::streams::{Duplex, StreamReader, StreamWriter, open_connection, start_server};
use rasyncio::subprocess::Command;
use rasyncio::{Cancelled, create_task, current_task, gather, yield_now};

const MUCH: usize = 3_000_000;

fn much() -> Vec<u8> {
    (0..MUCH).map(|n| (n % 251) as u8).collect()
}

async fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let one = TcpStream::connect(listener.local_addr()?).await?;
    Ok((one, listener.accept().await?.0))
}

async fn stream_pair() -> io::Result<(Duplex, Duplex)> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let server = start_server(
        move |reader, writer| {
            let sender = sender.clone();
            async move { sender.send(Duplex { reader, writer }).unwrap() }
        },
        "127.0.0.1:0",
    )
    .await?;
    let one = Duplex::from(open_connection(server.local_addrs()[0]).await?);
    loop {
        if let Ok(other) = receiver.try_recv() {
            return Ok((one, other));
        }
        yield_now().await?;
    }
}

mod by_futures {
    use futures_util::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

    use super::*;

    async fn send(mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
        let data = much();
        to.write_all(&data[..10]).await?;
        let slices = [IoSlice::new(&data[10..20]), IoSlice::new(&data[20..30])];
        assert_eq!(to.write_vectored(&slices).await?, 20);
        to.write_all(&data[30..]).await?;
        to.flush().await?;
        to.close().await
    }

    async fn receive(mut from: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut data = Vec::new();
        from.read_to_end(&mut data).await?;
        assert!(data == much());
        Ok(())
    }

    async fn both_ways<T>((one, other): (T, T)) -> io::Result<()>
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (from_one, to_one) = one.split();
        let (from_other, to_other) = other.split();
        let all = gather((
            send(to_one),
            receive(from_other),
            send(to_other),
            receive(from_one),
        ));
        let (one, two, three, four) = all.await.unwrap();
        one.and(two).and(three).and(four)
    }

    #[test]
    fn tcp() {
        rasyncio::run(async { both_ways(tcp_pair().await?).await }).unwrap();
    }

    #[test]
    fn unix() {
        rasyncio::run(async { both_ways(UnixStream::pair()?).await }).unwrap();
    }

    #[test]
    fn streams() {
        rasyncio::run(async { both_ways(stream_pair().await?).await }).unwrap();
    }

    #[test]
    fn lines_come_through_a_buffer() {
        use futures_util::io::{AsyncBufReadExt, BufReader};
        rasyncio::run(async {
            let (mut one, other) = UnixStream::pair()?;
            AsyncWriteExt::write_all(&mut one, b"a\nb\n").await?;
            drop(one);
            let mut lines = BufReader::new(other);
            let (mut first, mut second) = (String::new(), String::new());
            lines.read_line(&mut first).await?;
            lines.read_line(&mut second).await?;
            assert_eq!((first.as_str(), second.as_str()), ("a\n", "b\n"));
            Ok::<_, io::Error>(())
        })
        .unwrap();
    }
}

mod by_tokio {
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

    use super::*;

    async fn send(mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
        let data = much();
        to.write_all(&data[..10]).await?;
        let slices = [IoSlice::new(&data[10..20]), IoSlice::new(&data[20..30])];
        assert_eq!(to.write_vectored(&slices).await?, 20);
        to.write_all(&data[30..]).await?;
        to.flush().await?;
        to.shutdown().await
    }

    async fn receive(mut from: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut data = Vec::new();
        from.read_to_end(&mut data).await?;
        assert!(data == much());
        Ok(())
    }

    async fn both_ways<T>((one, other): (T, T)) -> io::Result<()>
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (from_one, to_one) = tokio::io::split(one);
        let (from_other, to_other) = tokio::io::split(other);
        let all = gather((
            send(to_one),
            receive(from_other),
            send(to_other),
            receive(from_one),
        ));
        let (one, two, three, four) = all.await.unwrap();
        one.and(two).and(three).and(four)
    }

    #[test]
    fn tcp() {
        rasyncio::run(async { both_ways(tcp_pair().await?).await }).unwrap();
    }

    #[test]
    fn unix() {
        rasyncio::run(async { both_ways(UnixStream::pair()?).await }).unwrap();
    }

    #[test]
    fn streams() {
        rasyncio::run(async { both_ways(stream_pair().await?).await }).unwrap();
    }

    #[test]
    fn the_ends_of_a_stream_may_go_to_two_tasks() {
        rasyncio::run(async {
            let (one, other) = stream_pair().await?;
            let Duplex { reader, mut writer } = one;
            let reading = create_task(receive(reader));
            let echoing = create_task(async move {
                let Duplex { reader, writer } = other;
                tokio::io::copy(&mut { reader }, &mut { writer }).await
            });
            send(&mut writer).await?;
            assert_eq!(echoing.await.unwrap()?, MUCH as u64);
            reading.await.unwrap()?;
            // Only now, for that closes the connection.
            drop(writer);
            Ok::<_, io::Error>(())
        })
        .unwrap();
    }

    #[test]
    fn the_pipes_of_a_process() {
        rasyncio::run(async {
            let mut process = Command::new("cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let stdin: StreamWriter = process.stdin.take().unwrap();
            let stdout: StreamReader = process.stdout.take().unwrap();
            let (sent, received) = gather((send(stdin), receive(stdout))).await.unwrap();
            sent.and(received)?;
            assert!(process.wait().await?.success());
            Ok::<_, io::Error>(())
        })
        .unwrap();
    }

    #[test]
    fn a_flush_waits_until_the_system_has_everything() {
        rasyncio::run(async {
            let (one, mut other) = stream_pair().await?;
            let Duplex { reader, mut writer } = one;
            let limits = writer.transport().get_write_buffer_limits();
            let mut written = 0;
            while writer.transport().get_write_buffer_size() == 0 {
                writer.write(&much()).unwrap();
                written += MUCH;
            }
            let reading = create_task(async move {
                other.reader.readexactly(written).await.unwrap();
                other
            });
            writer.flush().await?;
            assert_eq!(writer.transport().get_write_buffer_size(), 0);
            assert_eq!(writer.transport().get_write_buffer_limits(), limits);
            drop(reading.await.unwrap());
            drop(reader);
            Ok::<_, io::Error>(())
        })
        .unwrap();
    }

    /// A reading through a trait that is cancelled, and what comes after it.
    async fn cancelled_reading(mut one: impl AsyncRead + Unpin + 'static) -> Vec<u8> {
        let task = create_task(async move {
            let mut buffer = [0; 8];
            let error = one.read(&mut buffer).await.unwrap_err();
            assert_eq!(Cancelled::of(&error), Some(&Cancelled::new()));
            current_task().unwrap().uncancel();
            let count = one.read(&mut buffer).await.unwrap();
            buffer[..count].to_vec()
        });
        yield_now().await.unwrap();
        task.cancel();
        task.await.unwrap()
    }

    #[test]
    fn a_cancelled_reading_of_a_socket_loses_nothing() {
        rasyncio::run(async {
            let (one, other) = UnixStream::pair()?;
            let reading = create_task(cancelled_reading(one));
            for _ in 0..5 {
                yield_now().await?;
            }
            other.write_all(b"later").await?;
            assert_eq!(reading.await.unwrap(), b"later");
            Ok::<_, io::Error>(())
        })
        .unwrap();
    }

    #[test]
    fn a_cancelled_reading_of_a_stream_loses_nothing() {
        rasyncio::run(async {
            let (one, other) = stream_pair().await?;
            let reading = create_task(cancelled_reading(one));
            for _ in 0..5 {
                yield_now().await?;
            }
            other.writer.write(b"later").unwrap();
            assert_eq!(reading.await.unwrap(), b"later");
            Ok::<_, io::Error>(())
        })
        .unwrap();
    }

    #[test]
    fn a_writing_that_waits_for_room_is_cancelled() {
        rasyncio::run(async {
            let (mut one, _other) = UnixStream::pair()?;
            let task = create_task(async move {
                let error = AsyncWriteExt::write_all(&mut one, &much())
                    .await
                    .unwrap_err();
                assert!(Cancelled::of(&error).is_some());
            });
            yield_now().await?;
            task.cancel();
            assert!(task.await.unwrap_err().cancelled().is_some());
            Ok::<_, io::Error>(())
        })
        .unwrap();
    }
}
