//! System calls that signals interrupt, all the time. One test in a process of its own, for signals are
//! the process's.

#[path = "common/net.rs"]
mod net;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use net::{Checksum, Outcome, Random};
use rasyncio::signals::add_signal_handler;
use rasyncio::{
    StreamReader, StreamWriter, create_task, gather_iter, open_connection, run, start_server,
};
use rustix::process::{Signal, getpid, kill_process};

async fn send(writer: StreamWriter, seed: u64) -> io::Result<(Checksum, StreamWriter)> {
    let mut random = Random(seed);
    let mut sent = Checksum::new();
    for _ in 0..100 {
        let size = 1 + random.below(40_000);
        let data = random.bytes(size);
        sent.add(&data);
        writer.write(&data).map_err(io::Error::other)?;
        writer.drain().await?;
    }
    writer.write_eof()?;
    Ok((sent, writer))
}

async fn receive(mut reader: StreamReader, seed: u64) -> io::Result<Checksum> {
    let mut random = Random(seed);
    let mut got = Checksum::new();
    loop {
        let data = reader.read(1 + random.below(50_000)).await?;
        if data.is_empty() {
            return Ok(got);
        }
        got.add(&data);
    }
}

async fn echo(mut reader: StreamReader, writer: StreamWriter) {
    while let Ok(data) = reader.read(20_000).await
        && !data.is_empty()
        && writer.write(&data).is_ok()
        && writer.drain().await.is_ok()
    {}
    let _ = writer.write_eof();
}

async fn client(address: std::net::SocketAddr, number: u64) -> io::Result<()> {
    let (reader, writer) = open_connection(address).await?;
    let sending = create_task(send(writer, 1 + number));
    let got = receive(reader, 100 + number).await?;
    let (sent, _writer) = sending.await.map_err(io::Error::other)??;
    assert_eq!(sent, got);
    Ok(())
}

#[test]
fn a_storm_of_signals_changes_nothing() -> Outcome {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let result = run(async {
            let caught = Rc::new(Cell::new(0));
            let counting = caught.clone();
            add_signal_handler(libc::SIGUSR1, move || counting.set(counting.get() + 1))?;
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    kill_process(getpid(), Signal::USR1).unwrap();
                    thread::sleep(Duration::from_micros(200));
                }
            });
            let server = start_server(echo, "127.0.0.1:0").await?;
            let address = server.local_addrs()[0];
            for result in gather_iter((0..4).map(|number| client(address, number))).await? {
                result?;
            }
            server.close();
            server.wait_closed().await?;
            over.store(true, Ordering::Relaxed);
            // Many at once are one.
            assert!(caught.get() > 0);
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        result
    })
}
