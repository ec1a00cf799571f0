//! Files that the system sends.

#[path = "common/net.rs"]
mod net;

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use net::{Outcome, Random, kind};
use rasyncio::connect::open_socket;
use rasyncio::net::{AsyncFd, TcpListener, TcpStream, UnixDatagram};
use rasyncio::{create_task, run, sleep, timeout, yield_now};

/// A file that goes with its test.
struct Temporary(PathBuf, File);

impl Temporary {
    fn with(content: &[u8]) -> io::Result<Temporary> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("rasyncio-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content)?;
        let file = File::open(&path)?;
        Ok(Temporary(path, file))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_file_goes_out_between_what_is_written_before_and_after() -> Outcome {
    let content = Random(1).bytes(5_000_000);
    let file = Temporary::with(&content)?;
    run(async {
        let (one, two) = UnixStream::pair()?;
        let (_reader, writer) = open_socket(one).await?;
        let (mut peer, _peer_writer) = open_socket(two).await?;
        let reading = create_task(async move { peer.read_to_end().await });
        // More than the socket takes.
        let before = vec![1; 1_000_000];
        writer.write(&before)?;
        assert_eq!(writer.sendfile(&file.1, 0, None).await?, 5_000_000);
        writer.write(b"after")?;
        writer.close();
        let all = reading.await??;
        assert_eq!(all.len(), 6_000_005);
        assert!(all[..1_000_000] == before);
        assert!(all[1_000_000..6_000_000] == content);
        assert_eq!(&all[6_000_000..], b"after");
        assert_eq!((&file.1).stream_position()?, 0, "its position stays");
        Ok(())
    })
}

#[test]
fn a_part_of_a_file_can_be_sent() -> Outcome {
    let content = Random(2).bytes(100_000);
    let file = Temporary::with(&content)?;
    run(async {
        let (one, two) = UnixStream::pair()?;
        let (_reader, writer) = open_socket(one).await?;
        let (mut peer, _peer_writer) = open_socket(two).await?;
        assert_eq!(writer.sendfile(&file.1, 10, Some(100)).await?, 100);
        assert_eq!(writer.sendfile(&file.1, 99_990, Some(100)).await?, 10);
        assert_eq!(writer.sendfile(&file.1, 0, Some(0)).await?, 0);
        assert_eq!(writer.sendfile(&file.1, 200_000, None).await?, 0);
        writer.close();
        let all = peer.read_to_end().await?;
        assert_eq!(all, [&content[10..110], &content[99_990..]].concat());
        Ok(())
    })
}

#[test]
fn nothing_is_written_while_a_file_goes_out() -> Outcome {
    let file = Temporary::with(&vec![0; 10_000_000])?;
    run(async {
        let (one, two) = UnixStream::pair()?;
        let (_reader, writer) = open_socket(one).await?;
        let transport = writer.transport().clone();
        let copy = file.1.try_clone()?;
        // Nobody reads, so it does not end.
        let sending = create_task(async move { transport.sendfile(copy, 0, None).await });
        yield_now().await?;
        yield_now().await?;
        let refused = writer.write(b"x").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "unable to write; sendfile is in progress"
        );
        assert_eq!(
            kind(writer.sendfile(&file.1, 0, None).await),
            ErrorKind::ResourceBusy
        );
        sending.cancel();
        assert!(sending.await.is_err());
        // It can be written to again.
        writer.write(b"x")?;
        drop(two);
        sleep(Duration::from_millis(1)).await?;
        writer.close();
        Ok(())
    })
}

#[test]
fn a_connection_that_is_lost_ends_the_sending() -> Outcome {
    let file = Temporary::with(&vec![0; 10_000_000])?;
    run(async {
        for close in [false, true] {
            let (one, two) = UnixStream::pair()?;
            let (_reader, writer) = open_socket(one).await?;
            let transport = writer.transport().clone();
            let copy = file.1.try_clone()?;
            let sending = create_task(async move { transport.sendfile(copy, 0, None).await });
            yield_now().await?;
            yield_now().await?;
            if close {
                writer.close();
            } else {
                drop(two);
            }
            let outcome = timeout(Duration::from_secs(5), sending).await??;
            assert!(outcome.is_err());
            assert_eq!(
                kind(writer.sendfile(&file.1, 0, None).await),
                ErrorKind::NotConnected
            );
        }
        Ok(())
    })
}

#[test]
fn what_the_system_does_not_send_is_read_and_written() -> Outcome {
    run(async {
        let (pipe, mut into) = io::pipe()?;
        let (one, two) = UnixStream::pair()?;
        let (_reader, writer) = open_socket(one).await?;
        let (mut peer, _peer_writer) = open_socket(two).await?;
        into.write_all(b"out of a pipe")?;
        drop(into);
        assert_eq!(writer.sendfile(&pipe, 0, None).await?, 13);
        assert_eq!(peer.readexactly(13).await?, b"out of a pipe");
        Ok(())
    })
}

#[test]
fn sockets_send_files() -> Outcome {
    let content = Random(3).bytes(3_000_000);
    let file = Temporary::with(&content)?;
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let stream = TcpStream::connect(listener.local_addr()?).await?;
        let (peer, _) = listener.accept().await?;
        let reading = create_task(async move {
            let mut all = vec![0; 3_000_050];
            peer.read_exact(&mut all).await?;
            Ok::<_, io::Error>(all)
        });
        assert_eq!(stream.sendfile(&file.1, 0, None).await?, 3_000_000);
        assert_eq!(stream.sendfile(&file.1, 50, Some(50)).await?, 50);
        let all = reading.await??;
        assert!(all[..3_000_000] == content);
        assert!(all[3_000_000..] == content[50..100]);
        Ok(())
    })
}

#[test]
fn any_descriptor_can_be_waited_for() -> Outcome {
    run(async {
        let (reader, writer) = io::pipe()?;
        let reader = AsyncFd::new(reader)?;
        let writer = AsyncFd::new(writer)?;
        let filling = create_task(async move {
            let data = vec![7; 500_000];
            let mut done = 0;
            while done < data.len() {
                done += writer
                    .write_with(|mut pipe| pipe.write(&data[done..]))
                    .await?;
            }
            Ok::<_, io::Error>(())
        });
        let mut came = 0;
        let mut buffer = vec![0; 10_000];
        loop {
            match reader.read_with(|mut pipe| pipe.read(&mut buffer)).await? {
                0 => break,
                count => came += count,
            }
        }
        filling.await??;
        assert_eq!(came, 500_000);
        Ok(())
    })
}

#[test]
fn datagrams_through_unix_sockets_have_addresses_and_wait_for_room() -> Outcome {
    let path = std::env::temp_dir().join(format!("rasyncio-datagrams-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    run(async {
        let receiver = UnixDatagram::bind(&path)?;
        let sender = UnixDatagram::unbound()?;
        let to = path.clone();
        let sending = create_task(async move {
            for number in 0..200u8 {
                sender.send_to(&[number; 100], &to).await?;
            }
            sender.connect(&to)?;
            for number in 0..200u8 {
                sender.send(&[number; 10]).await?;
            }
            Ok::<_, io::Error>(())
        });
        let mut buffer = [0; 200];
        for length in [100, 10] {
            for number in 0..200u8 {
                let (count, from) = receiver.recv_from(&mut buffer).await?;
                assert_eq!(&buffer[..count], &vec![number; length]);
                assert!(from.is_unnamed());
            }
        }
        sending.await??;
        assert_eq!(receiver.local_addr()?.as_pathname(), Some(&*path));
        std::fs::remove_file(&path)?;
        Ok(())
    })
}
