//! monoio's echo servers, on epoll or on io_uring.

use monoio::io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt};
use monoio::net::udp::UdpSocket;
use monoio::net::{ListenerOpts, TcpListener, UnixListener};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use crate::{ANY, BUFFER, own_path, serving};

pub(crate) fn run(uring: bool, server: impl Future<Output = ()>) {
    if uring {
        let runtime = RuntimeBuilder::<IoUringDriver>::new().build();
        runtime.unwrap().block_on(server);
    } else {
        let runtime = RuntimeBuilder::<LegacyDriver>::new().build();
        runtime.unwrap().block_on(server);
    }
}

pub(crate) async fn tcp() {
    let listener = TcpListener::bind(ANY).unwrap();
    serving(listener.local_addr().unwrap().port());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        monoio::spawn(echo(stream));
    }
}

pub(crate) async fn unix(uring: bool) {
    let path = own_path();
    let listener = if uring {
        // By default it asks for SO_REUSEPORT, which Linux refuses for a Unix socket.
        let options = ListenerOpts::new().reuse_port(false);
        UnixListener::bind_with_config(&path, &options)
    } else {
        // The same leaves the socket blocking, which hangs the runtime that is on epoll (monoio 0.2.4).
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        UnixListener::from_std(listener)
    };
    let listener = listener.unwrap();
    serving(path.display());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        monoio::spawn(echo(stream));
    }
}

async fn echo(mut stream: impl AsyncReadRent + AsyncWriteRent) {
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let (read, filled) = stream.read(buffer).await;
        if !matches!(read, Ok(1..)) {
            return;
        }
        let (written, emptied) = stream.write_all(filled).await;
        if written.is_err() {
            return;
        }
        buffer = emptied;
    }
}

pub(crate) async fn udp() {
    let socket = UdpSocket::bind(ANY).unwrap();
    serving(socket.local_addr().unwrap().port());
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let (received, mut filled) = socket.recv_from(buffer).await;
        if let Ok((_, from)) = received {
            filled = socket.send_to(filled, from).await.1;
        }
        buffer = filled;
    }
}
