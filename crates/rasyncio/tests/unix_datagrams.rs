//! Datagrams through Unix sockets that are not connected: who waits, for what, and for how long.

#[path = "common/mod.rs"]
mod common;
#[path = "common/net.rs"]
mod net;

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use net::{Outcome, alone, descriptors, kind};
use rasyncio::net::UnixDatagram;
use rasyncio::{create_task, gather, run, sleep, yield_now};

/// A name that goes with the test, and not through the file system.
fn name(of: &str) -> PathBuf {
    PathBuf::from(format!("\0rasyncio-datagrams-{}-{of}", std::process::id()))
}

/// Sends until the receiver has no room, and answers how many.
fn fill(to: &Path) -> io::Result<u32> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    let address = SocketAddr::from_abstract_name(&to.as_os_str().as_bytes()[1..])?;
    let mut count = 0;
    while sender.send_to_addr(b"filling", &address).is_ok() {
        count += 1;
    }
    Ok(count)
}

/// Resolves as `future` does, and counts how often that was polled.
async fn counting<F: Future>(polls: &Cell<u32>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.set(polls.get() + 1);
        future.as_mut().poll(cx)
    })
    .await
}

#[test]
fn a_full_receiver_costs_no_turns_until_it_has_room() -> Outcome {
    let _alone = alone();
    run(async {
        let to = name("turns");
        let receiver = UnixDatagram::bind(&to)?;
        let filling = fill(&to)?;
        let polls = Rc::new(Cell::new(0));
        let sending = create_task({
            let (to, polls) = (to.clone(), Rc::clone(&polls));
            async move {
                let sender = UnixDatagram::unbound()?;
                counting(&polls, sender.send_to(b"waited", &to)).await
            }
        });
        sleep(Duration::from_millis(30)).await?;
        assert_eq!(polls.get(), 1, "nothing has happened");
        let mut buffer = [0; 10];
        for _ in 0..filling {
            assert_eq!(receiver.recv(&mut buffer).await?, 7);
        }
        assert_eq!(receiver.recv(&mut buffer).await?, 6);
        assert_eq!(sending.await??, 6);
        assert!(polls.get() <= 3, "polled {} times", polls.get());
        Ok(())
    })
}

#[test]
fn many_senders_lose_nothing_at_a_receiver_in_another_thread() -> Outcome {
    let _alone = alone();
    const SENDERS: u8 = 8;
    const EACH: u8 = 250;

    let to = name("many");
    let receiver = run(async { Ok::<_, io::Error>(UnixDatagram::bind(&to)?.into_std()) })?;
    receiver.set_nonblocking(false)?;
    let receiving = thread::spawn(move || {
        let mut next = [0; SENDERS as usize];
        for _ in 0..u32::from(SENDERS) * u32::from(EACH) {
            let mut buffer = [0; 10];
            assert_eq!(receiver.recv(&mut buffer).unwrap(), 2);
            let [sender, number] = [buffer[0], buffer[1]];
            assert_eq!(next[usize::from(sender)], number, "in order");
            next[usize::from(sender)] += 1;
        }
        next
    });
    run(async {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let to = to.clone();
                create_task(async move {
                    let socket = UnixDatagram::unbound()?;
                    for number in 0..EACH {
                        socket.send_to(&[sender, number], &to).await?;
                    }
                    Ok::<_, io::Error>(())
                })
            })
            .collect();
        for sender in senders {
            sender.await??;
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    assert_eq!(receiving.join().unwrap(), [EACH; SENDERS as usize]);
    Ok(())
}

#[test]
fn a_sender_with_too_much_under_way_waits_too() -> Outcome {
    let _alone = alone();
    run(async {
        let to = name("long");
        let receiver = UnixDatagram::bind(&to)?;
        let sending = create_task(async move {
            let sender = UnixDatagram::unbound()?;
            for _ in 0..20 {
                sender.send_to(&[0; 60_000], &to).await?;
            }
            Ok::<_, io::Error>(())
        });
        let mut buffer = vec![0; 70_000];
        for _ in 0..20 {
            assert_eq!(receiver.recv(&mut buffer).await?, 60_000);
        }
        sending.await??;
        Ok(())
    })
}

#[test]
fn a_receiver_that_listens_to_nobody_else_has_room_always() -> Outcome {
    let _alone = alone();
    run(async {
        let [one, two] = [name("one"), name("two")];
        let (sender, receiver) = (UnixDatagram::bind(&one)?, UnixDatagram::bind(&two)?);
        receiver.connect(&one)?;
        let receiving = async move {
            let mut buffer = vec![0; 70_000];
            for _ in 0..20 {
                assert_eq!(receiver.recv(&mut buffer).await?, 60_000);
            }
            Ok::<_, io::Error>(())
        };
        let sending = async move {
            for _ in 0..20 {
                sender.send_to(&[0; 60_000], &two).await?;
            }
            Ok::<_, io::Error>(())
        };
        let (sent, received) = gather((sending, receiving)).await?;
        sent.and(received)?;
        Ok(())
    })
}

#[test]
fn a_receiver_that_goes_away_is_an_error() -> Outcome {
    let _alone = alone();
    run(async {
        let to = name("gone");
        let receiver = UnixDatagram::bind(&to)?;
        fill(&to)?;
        let sending =
            create_task(async move { UnixDatagram::unbound()?.send_to(b"nobody", &to).await });
        yield_now().await?;
        drop(receiver);
        assert_eq!(kind(sending.await?), io::ErrorKind::ConnectionRefused);
        Ok(())
    })
}

#[test]
fn waiting_for_room_can_be_cancelled_and_leaves_nothing_open() -> Outcome {
    let _alone = alone();
    run(async {
        let to = name("cancelled");
        let _receiver = UnixDatagram::bind(&to)?;
        fill(&to)?;
        let sender = Rc::new(UnixDatagram::unbound()?);
        let sending = create_task({
            let sender = Rc::clone(&sender);
            async move { sender.send_to(b"never", &to).await }
        });
        let before = descriptors();
        yield_now().await?;
        assert_eq!(descriptors(), before + 1);
        sending.cancel();
        assert!(sending.await.is_err());
        assert_eq!(descriptors(), before);
        Ok(())
    })
}
