//! What goes wrong on a network: descriptors run out, masses come and go, tasks are cancelled at
//! every await. One process, and alone in it, for descriptors are counted and limited.

#[path = "common/net.rs"]
mod net;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

use net::{Outcome, Random, alone, descriptors, reset, until};
use rasyncio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use rasyncio::{
    Cancelled, Protocol, Semaphore, StreamReader, StreamWriter, Transport, create_server,
    create_task, events, gather_iter, open_connection, run, sleep, start_server, yield_now,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// No descriptor is to be had, until dropped.
struct Few {
    limit: Rlimit,
    _fill: Vec<std::fs::File>,
}

impl Few {
    fn none_left() -> Few {
        let limit = getrlimit(Resource::Nofile);
        let end = descriptors() as u64 + 50;
        let lower = Rlimit {
            current: Some(end),
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, lower).unwrap();
        let fill = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        Few { limit, _fill: fill }
    }
}

impl Drop for Few {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.limit).unwrap();
    }
}

async fn shout(mut reader: StreamReader, writer: StreamWriter) {
    while let Ok(data) = reader.read(1000).await
        && !data.is_empty()
        && writer.write(&data.to_ascii_uppercase()).is_ok()
        && writer.drain().await.is_ok()
    {}
}

#[test]
fn a_server_survives_that_descriptors_run_out() -> Outcome {
    let _alone = alone();
    run(async {
        let reports = Rc::new(Cell::new(0));
        events::set_exception_handler({
            let reports = reports.clone();
            move |context| {
                assert_eq!(context.message, "socket.accept() out of system resource");
                reports.set(reports.get() + 1);
            }
        });
        let server = start_server(shout, "127.0.0.1:0").await?;
        let address = server.local_addrs()[0];
        let clients: Vec<_> = (0..3)
            .map(|_| std::net::TcpStream::connect(address))
            .collect::<io::Result<_>>()?;
        let few = Few::none_left();
        sleep(Duration::from_millis(300)).await?;
        assert_eq!(reports.get(), 1, "once, and then it rests");
        drop(few);
        for client in clients {
            let client = TcpStream::from_std(client)?;
            client.write_all(b"hello").await?;
            let mut answer = [0; 5];
            client.read_exact(&mut answer).await?;
            assert_eq!(&answer, b"HELLO");
        }
        assert_eq!(reports.get(), 1);
        Ok(())
    })
}

#[test]
fn a_server_that_rests_can_be_closed() -> Outcome {
    let _alone = alone();
    let before = descriptors();
    run(async {
        events::set_exception_handler(|_| {});
        let server = start_server(shout, "127.0.0.1:0").await?;
        let _client = std::net::TcpStream::connect(server.local_addrs()[0])?;
        let few = Few::none_left();
        sleep(Duration::from_millis(20)).await?;
        drop(few);
        server.close();
        server.wait_closed().await?;
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    assert_eq!(descriptors(), before);
    Ok(())
}

#[test]
fn an_accept_that_failed_can_be_repeated() -> Outcome {
    let _alone = alone();
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
        yield_now().await?;
        let few = Few::none_left();
        let error = listener.accept().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        drop(few);
        listener.accept().await?;
        Ok(())
    })
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() -> Outcome {
    let _alone = alone();
    let before = descriptors();
    run(async {
        let server = start_server(shout, "127.0.0.1:0").await?;
        let address = server.local_addrs()[0];
        let at_once = Rc::new(Semaphore::new(200));
        let clients = (0..10_000u64).map(|number| {
            let at_once = at_once.clone();
            async move {
                let _place = at_once.acquire().await?;
                let (mut reader, writer) = open_connection(address).await?;
                let mut random = Random(number + 1);
                writer.write(b"hello").unwrap();
                match random.below(5) {
                    0 => reset(writer.transport()),
                    1 => writer.close(),
                    2 => {
                        assert_eq!(reader.readexactly(5).await?, b"HELLO");
                        writer.write_eof()?;
                        assert_eq!(reader.read_to_end().await?, b"");
                    }
                    3 => {
                        assert_eq!(reader.read(1).await?, b"H");
                        reset(writer.transport());
                    }
                    _ => assert_eq!(reader.readexactly(5).await?, b"HELLO"),
                }
                Ok::<_, io::Error>(())
            }
        });
        for result in gather_iter(clients).await? {
            result?;
        }
        server.close();
        server.wait_closed().await?;
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    assert_eq!(descriptors(), before);
    Ok(())
}

#[test]
fn a_thousand_connections_at_once() -> Outcome {
    let _alone = alone();
    let before = descriptors();
    run(async {
        let server = start_server(shout, "127.0.0.1:0").await?;
        let address = server.local_addrs()[0];
        let mut open = Vec::new();
        for _ in 0..1000 {
            open.push(open_connection(address).await?);
        }
        for (_, writer) in &open {
            writer.write(b"x").unwrap();
        }
        for (reader, _) in &mut open {
            assert_eq!(reader.readexactly(1).await?, b"X");
        }
        drop(open);
        server.close();
        server.wait_closed().await?;
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    assert_eq!(descriptors(), before);
    Ok(())
}

/// A protocol that holds its transport, and so would keep it for ever.
#[derive(Default)]
struct Circle(RefCell<Option<Transport>>);

impl Protocol for Circle {
    fn connection_made(&self, transport: &Transport) {
        *self.0.borrow_mut() = Some(transport.clone());
    }
}

#[test]
fn a_loop_that_ends_closes_what_is_open() -> Outcome {
    let _alone = alone();
    let before = descriptors();
    let clients = run(async {
        let server = create_server(Rc::<Circle>::default, "127.0.0.1:0").await?;
        let address = server.local_addrs()[0];
        let clients = (0..10).map(|_| rasyncio::create_connection(Rc::<Circle>::default, address));
        let clients = gather_iter(clients.collect::<Vec<_>>()).await?;
        let udp = "127.0.0.1:0".parse().ok();
        struct Deaf;
        impl rasyncio::DatagramProtocol for Deaf {}
        rasyncio::create_datagram_endpoint(|| Rc::new(Deaf), udp, None).await?;
        drop(create_task(async move {
            let (mut reader, _writer) = open_connection(address).await?;
            reader.read(1).await
        }));
        for _ in 0..5 {
            yield_now().await?;
        }
        // Neither the server nor the connections are closed.
        Ok::<_, Box<dyn std::error::Error>>(clients)
    })?;
    assert_eq!(descriptors(), before);
    drop(clients);
    Ok(())
}

#[test]
fn sockets_that_are_dropped_outside_of_the_loop_are_no_obstacle() -> Outcome {
    let _alone = alone();
    let before = descriptors();
    let runner = rasyncio::Runner::new()?;
    for _ in 0..20 {
        let (one, two) = runner.run(async {
            let (one, two) = UnixStream::pair()?;
            let reading = create_task(async move {
                one.read(&mut [0; 8]).await?;
                Ok::<_, io::Error>(one)
            });
            yield_now().await?;
            two.write_all(b"x").await?;
            let one = reading.await.unwrap()?;
            Ok::<_, io::Error>((one, two))
        })?;
        // The loop is not told, and the numbers are used again.
        drop((one, two));
    }
    drop(runner);
    assert_eq!(descriptors(), before);
    Ok(())
}

/// Cancels a task after each number of turns that it takes to its end, so at every await.
async fn cancel_everywhere<F, T>(make: impl Fn() -> F) -> Result<usize, Cancelled>
where
    F: Future<Output = io::Result<T>> + 'static,
    T: 'static,
{
    for turns in 0..1000 {
        let task = create_task(make());
        for _ in 0..turns {
            yield_now().await?;
        }
        let ended = !task.cancel();
        let result = task.await;
        if ended {
            result.unwrap().unwrap();
            return Ok(turns);
        }
        // A task that was asked too late to notice still counts as cancelled.
        assert!(result.is_err_and(|error| error.cancelled().is_some()));
    }
    panic!("it does not end");
}

/// Drops a future after each number of polls.
async fn drop_everywhere<F, T>(make: impl Fn() -> F) -> Result<(), Cancelled>
where
    F: Future<Output = io::Result<T>>,
{
    for polls in 1..1000 {
        let mut future = Box::pin(make());
        for _ in 0..polls {
            let polled =
                std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx)));
            if polled.await.is_ready() {
                return Ok(());
            }
            sleep(Duration::from_micros(300)).await?;
        }
    }
    panic!("it does not end");
}

#[test]
fn cancelled_and_dropped_at_every_await() -> Outcome {
    let _alone = alone();
    let before = descriptors();
    run(async {
        let server = start_server(shout, "127.0.0.1:0").await?;
        let address = server.local_addrs()[0];
        let echo = move || async move {
            let (mut reader, writer) = open_connection(("localhost", address.port())).await?;
            writer.write(&[b'x'; 500_000]).unwrap();
            let reading = reader.readexactly(500_000).await?;
            assert!(reading.iter().all(|byte| *byte == b'X'));
            writer.drain().await?;
            writer.close();
            writer.wait_closed().await
        };
        cancel_everywhere(echo).await?;
        drop_everywhere(echo).await?;

        let sockets = || async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let client = create_task(async move {
                let stream = TcpStream::connect(address).await?;
                stream.write_all(&[7; 300_000]).await
            });
            let (stream, _) = listener.accept().await?;
            let mut buffer = vec![0; 300_000];
            stream.read_exact(&mut buffer).await?;
            client.await.unwrap()?;
            let (one, two) = UnixStream::pair()?;
            let writing = create_task(async move { one.write_all(&[7; 300_000]).await });
            two.read_exact(&mut buffer).await?;
            writing.await.unwrap()?;
            let udp = UdpSocket::bind("127.0.0.1:0").await?;
            udp.send_to(b"x", udp.local_addr()?).await?;
            udp.recv_from(&mut buffer).await
        };
        cancel_everywhere(sockets).await?;
        drop_everywhere(sockets).await?;

        let serving = || async {
            let server = start_server(shout, "127.0.0.1:0").await?;
            let (_reader, writer) = open_connection(server.local_addrs()[0]).await?;
            writer.close();
            server.close();
            Ok(server.wait_closed().await?)
        };
        cancel_everywhere(serving).await?;
        drop_everywhere(serving).await?;
        server.close();
        until(|| rasyncio::all_tasks().len() == 1).await?;
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    assert_eq!(descriptors(), before);
    Ok(())
}

#[test]
fn a_cancelled_socket_call_has_not_happened() -> Outcome {
    let _alone = alone();
    run(async {
        let (one, two) = UnixStream::pair()?;
        let (one, two) = (Rc::new(one), Rc::new(two));
        let mut random = Random(17);
        let data = random.bytes(200_000);
        let copy = data.clone();
        let sender = create_task(async move {
            let mut rest = &copy[..];
            while !rest.is_empty() {
                let count = one.write(&rest[..rest.len().min(777)]).await?;
                rest = &rest[count..];
                yield_now().await?;
            }
            Ok::<_, io::Error>(())
        });
        let mut got = Vec::new();
        while got.len() < data.len() {
            let part = Rc::new(RefCell::new(Vec::new()));
            let reading = create_task({
                let (two, part) = (two.clone(), part.clone());
                async move {
                    let mut buffer = [0; 500];
                    let count = two.read(&mut buffer).await?;
                    part.borrow_mut().extend_from_slice(&buffer[..count]);
                    Ok::<_, io::Error>(())
                }
            });
            for _ in 0..random.below(4) {
                yield_now().await?;
            }
            reading.cancel();
            let _ = reading.await;
            got.extend(part.take());
        }
        assert_eq!(got, data);
        sender.await??;
        Ok(())
    })
}

#[test]
fn several_tasks_may_wait_for_one_socket() -> Outcome {
    let _alone = alone();
    run(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await?);
        let address = listener.local_addr()?;
        let acceptors: Vec<_> = (0..10)
            .map(|_| {
                let listener = listener.clone();
                create_task(async move { listener.accept().await.map(drop) })
            })
            .collect();
        yield_now().await?;
        acceptors[3].cancel();
        for _ in 0..9 {
            TcpStream::connect(address).await?;
        }
        for (number, acceptor) in acceptors.into_iter().enumerate() {
            let result = acceptor.await;
            assert_eq!(result.is_ok(), number != 3);
        }
        Ok(())
    })
}

#[test]
fn a_socket_belongs_to_its_first_loop_while_that_lives() -> Outcome {
    let _alone = alone();
    let one = rasyncio::Runner::new()?;
    let two = rasyncio::Runner::new()?;
    let listener = one.run(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await?);
        let waiting = create_task({
            let listener = listener.clone();
            async move { listener.accept().await.map(drop) }
        });
        yield_now().await?;
        waiting.cancel();
        let _ = waiting.await;
        Ok::<_, io::Error>(listener)
    })?;
    let elsewhere = two.run(async { listener.accept().await.map(drop) });
    assert_eq!(elsewhere.unwrap_err().kind(), ErrorKind::Other);
    drop(one);
    two.run(async {
        let address = listener.local_addr()?;
        let (accepted, connected) = (listener.accept(), TcpStream::connect(address));
        let connected = create_task(connected);
        accepted.await?;
        connected.await.unwrap()?;
        Ok(())
    })
}
