//! tokio's echo servers.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket, UnixListener};

use crate::{ANY, BUFFER, own_path, serving};

pub(crate) fn run(server: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap()
        .block_on(server);
}

pub(crate) async fn tcp() {
    let listener = TcpListener::bind(ANY).await.unwrap();
    serving(listener.local_addr().unwrap().port());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(echo(stream));
    }
}

pub(crate) async fn unix() {
    let path = own_path();
    let listener = UnixListener::bind(&path).unwrap();
    serving(path.display());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(echo(stream));
    }
}

pub(crate) async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await
        && stream.write_all(&buffer[..count]).await.is_ok()
        // Means something to TLS only.
        && stream.flush().await.is_ok()
    {}
}

pub(crate) async fn udp() {
    let socket = UdpSocket::bind(ANY).await.unwrap();
    serving(socket.local_addr().unwrap().port());
    let mut buffer = vec![0; BUFFER];
    loop {
        if let Ok((count, from)) = socket.recv_from(&mut buffer).await {
            socket.send_to(&buffer[..count], from).await.ok();
        }
    }
}
