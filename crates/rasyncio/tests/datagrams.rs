//! Datagram sockets with a protocol: which socket there is, and what is called.

#[path = "common/mod.rs"]
mod common;
#[path = "common/net.rs"]
mod net;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

use net::{Outcome, kind, until};
use rasyncio::connect::{DatagramBuilder, Family};
use rasyncio::net::{ToAddrs, UdpSocket};
use rasyncio::{DatagramProtocol, DatagramTransport, create_datagram_endpoint, run};
use rustix::io::Errno;

#[derive(Default)]
struct Inbox {
    got: RefCell<Vec<(Vec<u8>, SocketAddr)>>,
    errors: RefCell<Vec<ErrorKind>>,
    lost: Cell<bool>,
}

impl DatagramProtocol for Inbox {
    fn datagram_received(&self, _: &DatagramTransport, data: &[u8], from: SocketAddr) {
        self.got.borrow_mut().push((data.to_vec(), from));
    }

    fn error_received(&self, _: &DatagramTransport, error: io::Error) {
        self.errors.borrow_mut().push(error.kind());
    }

    fn connection_lost(&self, _: &DatagramTransport, error: Option<io::Error>) {
        assert!(error.is_none());
        self.lost.set(true);
    }
}

#[test]
fn datagrams_come_whole_and_in_order() -> Outcome {
    run(async {
        let any = "127.0.0.1:0".parse().ok();
        let (receiver, inbox) = create_datagram_endpoint(Rc::<Inbox>::default, any, None).await?;
        let to = receiver.local_addr()?;
        let (sender, _) = create_datagram_endpoint(Rc::<Inbox>::default, any, None).await?;
        for n in 0..50u8 {
            sender.sendto(&vec![n; usize::from(n)], Some(to))?;
        }
        until(|| inbox.got.borrow().len() == 50).await?;
        for (n, (data, from)) in inbox.got.take().into_iter().enumerate() {
            assert_eq!((data, from), (vec![n as u8; n], sender.local_addr()?));
        }
        sender.close();
        receiver.close();
        until(|| inbox.lost.get()).await?;
        sender.sendto(b"late", Some(to))?;
        Ok(())
    })
}

#[test]
fn a_datagram_that_nobody_takes_is_an_error_and_not_the_end() -> Outcome {
    run(async {
        let nobody = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        let (sender, inbox) =
            create_datagram_endpoint(Rc::<Inbox>::default, None, Some(nobody)).await?;
        assert_eq!(sender.peer_addr(), Some(nobody));
        sender.sendto(b"hello?", None)?;
        until(|| !inbox.errors.borrow().is_empty()).await?;
        assert_eq!(inbox.errors.take(), [ErrorKind::ConnectionRefused]);
        assert!(!sender.is_closing());
        let elsewhere = "127.0.0.1:9".parse().ok();
        assert_eq!(
            kind(sender.sendto(b"x", elsewhere)),
            ErrorKind::InvalidInput
        );
        sender.sendto(&vec![0; 100_000], None)?;
        assert_eq!(inbox.errors.take().len(), 1, "too long");
        sender.abort();
        until(|| inbox.lost.get()).await?;
        Ok(())
    })
}

/// A name that has these addresses.
struct Name(&'static [&'static str]);

impl ToAddrs for Name {
    async fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.0.iter().map(|it| it.parse().unwrap()).collect())
    }
}

async fn open(builder: DatagramBuilder<'_>) -> io::Result<DatagramTransport> {
    Ok(builder
        .create_datagram_endpoint(Rc::<Inbox>::default)
        .await?
        .0)
}

#[test]
fn what_no_socket_can_be_made_of_is_refused() -> Outcome {
    run(async {
        let nothing = open(DatagramBuilder::new()).await.unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::InvalidInput);
        assert_eq!(nothing.to_string(), "unexpected address family");

        let two_families = DatagramBuilder::new()
            .local_addr("127.0.0.1:0")
            .remote_addr("[::1]:9");
        let error = open(two_families).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "can not get address information");

        let no_address = open(DatagramBuilder::new().local_addr(Name(&[]))).await;
        let error = no_address.unwrap_err();
        assert_eq!(error.to_string(), "getaddrinfo() returned empty list");
        Ok(())
    })
}

#[test]
fn a_family_alone_is_a_socket_with_no_address() -> Outcome {
    run(async {
        let transport = open(DatagramBuilder::new().family(Family::Inet)).await?;
        assert_eq!(transport.local_addr()?, "0.0.0.0:0".parse()?);
        assert_eq!(transport.peer_addr(), None);
        Ok(())
    })
}

#[test]
fn the_last_address_of_a_family_is_tried() -> Outcome {
    run(async {
        let name = Name(&["127.0.0.2:0", "127.0.0.3:0"]);
        let transport = open(DatagramBuilder::new().local_addr(name)).await?;
        assert_eq!(transport.local_addr()?.ip().to_string(), "127.0.0.3");
        Ok(())
    })
}

#[test]
fn a_pair_that_cannot_be_had_gives_way_to_the_next() -> Outcome {
    run(async {
        // None of this machine's.
        let name = Name(&["192.0.2.1:0", "[::1]:0"]);
        let transport = open(DatagramBuilder::new().local_addr(name)).await?;
        assert!(transport.local_addr()?.is_ipv6());
        Ok(())
    })
}

#[test]
fn the_error_is_that_of_the_first_pair() -> Outcome {
    run(async {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0")?;
        let addresses = [taken.local_addr()?, "[2001:db8::1]:0".parse()?];
        let both = open(DatagramBuilder::new().local_addr(&addresses[..])).await;
        assert_eq!(kind(both), ErrorKind::AddrInUse);
        Ok(())
    })
}

#[test]
fn addresses_of_one_family_belong_together() -> Outcome {
    run(async {
        let here = Name(&["127.0.0.1:0", "[::1]:0"]);
        let there = Name(&["[::1]:9", "127.0.0.1:9"]);
        let builder = DatagramBuilder::new().local_addr(&here).remote_addr(&there);
        // The local ones say which comes first.
        let transport = open(builder.clone()).await?;
        assert_eq!(transport.peer_addr(), "127.0.0.1:9".parse().ok());
        assert!(transport.local_addr()?.is_ipv4());

        let transport = open(builder.family(Family::Inet6)).await?;
        assert_eq!(transport.peer_addr(), "[::1]:9".parse().ok());

        let only = DatagramBuilder::new()
            .local_addr("[::1]:0")
            .remote_addr(there);
        assert!(open(only).await?.local_addr()?.is_ipv6());
        Ok(())
    })
}

#[test]
fn names_are_looked_up_as_the_flags_and_the_protocol_say() -> Outcome {
    run(async {
        let builder = DatagramBuilder::new().local_addr(("localhost", 0));
        let transport = open(builder.clone().remote_addr(("127.0.0.1", 9))).await?;
        assert!(transport.local_addr()?.is_ipv4());
        open(builder.clone().proto(libc::IPPROTO_UDP)).await?;
        assert!(
            open(builder.clone().flags(libc::AI_NUMERICHOST))
                .await
                .is_err()
        );
        assert!(open(builder.proto(libc::IPPROTO_TCP)).await.is_err());
        let numbers = DatagramBuilder::new().local_addr(("127.0.0.1", 0));
        assert!(open(numbers.clone().proto(250)).await.is_err());
        assert!(open(numbers.family(Family::Inet6)).await.is_err());
        Ok(())
    })
}

#[test]
fn an_address_is_shared_if_both_say_so() -> Outcome {
    run(async {
        let builder = DatagramBuilder::new().reuse_port(true);
        let one = open(builder.clone().local_addr("127.0.0.1:0")).await?;
        let same = one.local_addr()?;
        assert_eq!(open(builder.local_addr(same)).await?.local_addr()?, same);
        let alone = open(DatagramBuilder::new().local_addr(same)).await;
        assert_eq!(kind(alone), ErrorKind::AddrInUse);
        Ok(())
    })
}

#[test]
fn who_may_broadcast_is_not_connected_and_hears_all() -> Outcome {
    run(async {
        let remote = UdpSocket::bind("127.0.0.1:0").await?;
        let to = remote.local_addr()?;
        let builder = DatagramBuilder::new()
            .local_addr("127.0.0.1:0")
            .remote_addr(to)
            .allow_broadcast(true);
        let (transport, inbox) = builder
            .create_datagram_endpoint(Rc::<Inbox>::default)
            .await?;
        assert_eq!(transport.peer_addr(), None);
        transport.sendto(b"one", None)?;
        transport.sendto(b"two", Some(to))?;
        for _ in 0..2 {
            assert_eq!(remote.recv(&mut [0; 10]).await?, 3);
        }
        let elsewhere = transport.sendto(b"x", "127.0.0.1:9".parse().ok());
        assert_eq!(kind(elsewhere), ErrorKind::InvalidInput);

        let other = UdpSocket::bind("127.0.0.1:0").await?;
        other.send_to(b"hi", transport.local_addr()?).await?;
        until(|| !inbox.got.borrow().is_empty()).await?;
        assert_eq!(inbox.got.take(), [(b"hi".to_vec(), other.local_addr()?)]);
        Ok(())
    })
}

#[test]
fn who_may_not_broadcast_cannot_connect_to_all() -> Outcome {
    run(async {
        let builder = DatagramBuilder::new().remote_addr("127.255.255.255:9");
        let refused = open(builder.clone()).await.unwrap_err();
        assert_eq!(Errno::from_io_error(&refused), Some(Errno::ACCESS));
        open(builder.allow_broadcast(true)).await?;
        Ok(())
    })
}
