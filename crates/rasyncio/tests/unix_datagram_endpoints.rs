//! Unix datagram sockets with a protocol: where they are, and what is called.

#[path = "common/mod.rs"]
mod common;
#[path = "common/net.rs"]
mod net;

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use common::Log;
use net::{Outcome, alone, descriptors, kind, until};
use rasyncio::connect::datagram_endpoint;
use rasyncio::net::UnixDatagram;
use rasyncio::{
    DatagramProtocol, DatagramTransport, create_unix_datagram_endpoint, run, sleep, yield_now,
};

type Transport = DatagramTransport<SocketAddr>;

#[derive(Default)]
struct Inbox {
    got: RefCell<Vec<(Vec<u8>, Option<PathBuf>)>>,
    log: Log,
    answers: Cell<bool>,
}

impl DatagramProtocol<SocketAddr> for Inbox {
    fn datagram_received(&self, transport: &Transport, data: &[u8], from: SocketAddr) {
        let path = from.as_pathname().map(Path::to_owned);
        self.got.borrow_mut().push((data.to_vec(), path));
        if self.answers.get() {
            transport.sendto(b"answer", Some(from)).unwrap();
        }
    }

    fn error_received(&self, _: &Transport, error: io::Error) {
        self.log.note(format!("{:?}", error.kind()));
    }

    fn pause_writing(&self, _: &Transport) {
        self.log.note("pause");
    }

    fn resume_writing(&self, _: &Transport) {
        self.log.note("resume");
    }

    fn connection_lost(&self, _: &Transport, error: Option<io::Error>) {
        self.log.note(format!("lost {error:?}"));
    }
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(of: &str) -> Folder {
        let name = format!("rasyncio-endpoints-{}-{of}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

async fn open(local: Option<&Path>, remote: Option<&Path>) -> io::Result<(Transport, Rc<Inbox>)> {
    create_unix_datagram_endpoint(Rc::<Inbox>::default, local, remote).await
}

fn refusal(opened: io::Result<(Transport, Rc<Inbox>)>) -> ErrorKind {
    kind(opened.map(|(transport, _)| transport))
}

fn to(path: &Path) -> Option<SocketAddr> {
    SocketAddr::from_pathname(path).ok()
}

#[test]
fn who_has_an_address_is_answered_to_it() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("answer");
    let (here, there) = (folder.file("here"), folder.file("there"));
    run(async {
        let (server, served) = open(Some(&here), None).await?;
        served.answers.set(true);
        let (client, answered) = open(Some(&there), Some(&here)).await?;
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*here));
        assert_eq!(client.local_addr()?.as_pathname(), Some(&*there));
        assert!(server.peer_addr().is_none());
        client.sendto(b"question", None)?;
        until(|| !answered.got.borrow().is_empty()).await?;
        assert_eq!(served.got.take(), [(b"question".to_vec(), Some(there))]);
        assert_eq!(answered.got.take(), [(b"answer".to_vec(), Some(here))]);
        Ok(())
    })
}

#[test]
fn everything_goes_to_where_the_socket_is_connected_to() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("elsewhere");
    let (here, there) = (folder.file("here"), folder.file("there"));
    run(async {
        let (_receiver, inbox) = open(Some(&here), None).await?;
        let (sender, _) = open(None, Some(&here)).await?;
        assert_eq!(
            kind(sender.sendto(b"x", to(&there))),
            ErrorKind::InvalidInput
        );
        sender.sendto(b"same", to(&here))?;
        until(|| !inbox.got.borrow().is_empty()).await?;
        assert_eq!(inbox.got.take(), [(b"same".to_vec(), None)]);
        Ok(())
    })
}

#[test]
fn a_socket_left_behind_is_removed_and_one_that_is_closed_stays() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("stale");
    let here = folder.file("here");
    drop(StdDatagram::bind(&here)?);
    run(async {
        let (transport, inbox) = open(Some(&here), None).await?;
        transport.close();
        yield_now().await?;
        assert_eq!(inbox.log.take(), ["lost None"]);
        assert!(here.exists());
        open(Some(&here), None).await?;
        Ok(())
    })
}

#[test]
fn what_is_no_socket_is_not_removed() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("file");
    let here = folder.file("here");
    fs::write(&here, "")?;
    run(async {
        assert_eq!(refusal(open(Some(&here), None).await), ErrorKind::AddrInUse);
        assert!(here.exists());
        Ok(())
    })
}

#[test]
fn a_path_where_nobody_is_cannot_be_connected_to() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("nobody");
    run(async {
        let nowhere = open(None, Some(&folder.file("none"))).await;
        assert_eq!(refusal(nowhere), ErrorKind::NotFound);
        let no_folder = open(Some(&folder.file("no/such")), None).await;
        assert_eq!(refusal(no_folder), ErrorKind::NotFound);
        Ok(())
    })
}

#[test]
fn a_peer_that_has_gone_is_an_error_and_not_the_end() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("gone");
    let here = folder.file("here");
    run(async {
        let peer = StdDatagram::bind(&here)?;
        let (sender, inbox) = open(None, Some(&here)).await?;
        drop(peer);
        sender.sendto(b"x", None)?;
        assert_eq!(inbox.log.take(), ["ConnectionRefused"]);
        assert!(!sender.is_closing());
        Ok(())
    })
}

#[test]
fn names_may_be_abstract() -> Outcome {
    let _alone = alone();
    let name = format!("\0rasyncio-endpoints-{}", std::process::id());
    run(async {
        let (_receiver, inbox) = open(Some(Path::new(&name)), None).await?;
        let (sender, _) = open(None, Some(Path::new(&name))).await?;
        sender.sendto(b"x", sender.peer_addr())?;
        until(|| !inbox.got.borrow().is_empty()).await?;
        Ok(())
    })
}

#[test]
fn a_pair_of_sockets_without_names_talks_both_ways() -> Outcome {
    let _alone = alone();
    run(async {
        let (one, two) = UnixDatagram::pair()?;
        let (one, asked) = datagram_endpoint(Rc::<Inbox>::default, one).await?;
        let (_two, answering) = datagram_endpoint(Rc::<Inbox>::default, two).await?;
        answering.answers.set(true);
        one.sendto(b"question", None)?;
        until(|| !asked.got.borrow().is_empty()).await?;
        assert_eq!(asked.got.take(), [(b"answer".to_vec(), None)]);
        Ok(())
    })
}

/// Sends so many datagrams of one byte to `path`.
fn send(transport: &Transport, path: Option<&Path>, count: u8) -> io::Result<()> {
    (0..count).try_for_each(|number| transport.sendto(&[number], path.and_then(to)))
}

/// Receives so many, and looks that they are in order.
async fn receive(receiver: &UnixDatagram, count: u8) -> io::Result<()> {
    for number in 0..count {
        let mut buffer = [0; 10];
        assert_eq!(receiver.recv(&mut buffer).await?, 1);
        assert_eq!(buffer[0], number);
    }
    Ok(())
}

#[test]
fn what_a_connected_receiver_has_no_room_for_comes_later() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("connected");
    let here = folder.file("here");
    run(async {
        let receiver = UnixDatagram::bind(&here)?;
        let (sender, inbox) = open(None, Some(&here)).await?;
        sender.set_write_buffer_limits(Some(100), None)?;
        send(&sender, None, 200)?;
        assert!(sender.get_write_buffer_size() > 0);
        receive(&receiver, 200).await?;
        until(|| sender.get_write_buffer_size() == 0).await?;
        assert_eq!(inbox.log.take(), ["pause", "resume"]);
        Ok(())
    })
}

#[test]
fn what_a_receiver_has_no_room_for_comes_later() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("unconnected");
    let here = folder.file("here");
    run(async {
        let receiver = UnixDatagram::bind(&here)?;
        let (sender, inbox) = open(None, None).await?;
        let before = descriptors();
        sender.set_write_buffer_limits(Some(100), None)?;
        send(&sender, Some(&here), 200)?;
        assert!(sender.get_write_buffer_size() > 0);
        receive(&receiver, 200).await?;
        until(|| sender.get_write_buffer_size() == 0).await?;
        assert_eq!(inbox.log.take(), ["pause", "resume"]);
        assert_eq!(descriptors(), before, "nobody is waited for any more");
        Ok(())
    })
}

#[test]
fn a_full_receiver_costs_no_processor_time() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("idle");
    let here = folder.file("here");
    run(async {
        let receiver = UnixDatagram::bind(&here)?;
        let (sender, _) = open(None, None).await?;
        send(&sender, Some(&here), 200)?;
        let waiting = sender.get_write_buffer_size();
        let used = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
        };
        let before = used();
        sleep(Duration::from_millis(100)).await?;
        assert!(used() - before < Duration::from_millis(50));
        assert_eq!(sender.get_write_buffer_size(), waiting);
        receive(&receiver, 200).await?;
        Ok(())
    })
}

#[test]
fn two_receivers_in_turn_get_all_of_theirs() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("turns");
    let paths = [folder.file("one"), folder.file("two")];
    run(async {
        let [one, two] = [
            UnixDatagram::bind(&paths[0])?,
            UnixDatagram::bind(&paths[1])?,
        ];
        let (sender, _) = open(None, None).await?;
        for number in 0..100 {
            for path in &paths {
                sender.sendto(&[number], to(path))?;
            }
        }
        sender.close();
        let received = rasyncio::create_task(async move { receive(&one, 100).await });
        receive(&two, 100).await?;
        received.await??;
        Ok(())
    })
}

#[test]
fn closing_sends_what_waits_and_aborting_does_not() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("closing");
    let here = folder.file("here");
    run(async {
        let receiver = UnixDatagram::bind(&here)?;
        let before = descriptors();
        let (sender, inbox) = open(None, None).await?;
        send(&sender, Some(&here), 50)?;
        sender.close();
        yield_now().await?;
        assert!(inbox.log.take().is_empty());
        receive(&receiver, 50).await?;
        until(|| inbox.log.take() == ["lost None"]).await?;

        let (sender, inbox) = open(None, None).await?;
        send(&sender, Some(&here), 50)?;
        sender.abort();
        yield_now().await?;
        assert_eq!(inbox.log.take(), ["lost None"]);
        assert_eq!(descriptors(), before);
        Ok(())
    })
}

#[test]
fn a_receiver_that_goes_while_datagrams_wait_is_told_for_each() -> Outcome {
    let _alone = alone();
    let folder = Folder::new("leaving");
    let here = folder.file("here");
    run(async {
        let receiver = UnixDatagram::bind(&here)?;
        let (sender, inbox) = open(None, None).await?;
        send(&sender, Some(&here), 16)?;
        let waiting = sender.get_write_buffer_size() / 9;
        drop(receiver);
        until(|| sender.get_write_buffer_size() == 0).await?;
        assert_eq!(inbox.log.take(), vec!["ConnectionRefused"; waiting]);
        assert!(!sender.is_closing());
        Ok(())
    })
}
