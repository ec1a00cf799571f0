//! Echo servers of ours.

use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;

use rasyncio::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use rasyncio::{
    DatagramProtocol, DatagramTransport, Protocol, StreamReader, StreamWriter, Transport,
    create_datagram_endpoint, create_server, create_task, create_unix_server, start_server,
    start_unix_server,
};

use crate::{ANY, BUFFER, own_path, serving};

pub(crate) async fn socket() {
    let listener = TcpListener::bind(ANY).await.unwrap();
    serving(listener.local_addr().unwrap().port());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        drop(create_task(echo(stream)));
    }
}

async fn echo(stream: TcpStream) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await
        && stream.write_all(&buffer[..count]).await.is_ok()
    {}
}

pub(crate) async fn unix_socket() {
    let path = own_path();
    let listener = UnixListener::bind(&path).unwrap();
    serving(path.display());
    loop {
        let stream = listener.accept().await.unwrap();
        drop(create_task(unix_echo(stream)));
    }
}

async fn unix_echo(stream: UnixStream) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await
        && stream.write_all(&buffer[..count]).await.is_ok()
    {}
}

pub(crate) struct Echo;

impl Protocol for Echo {
    fn data_received(&self, transport: &Transport, data: &[u8]) {
        transport.write(data).ok();
    }
}

pub(crate) async fn protocol() {
    let server = create_server(|| Rc::new(Echo), ANY).await.unwrap();
    serving(server.local_addrs()[0].port());
    pending().await
}

pub(crate) async fn unix_protocol() {
    let path = own_path();
    let server = create_unix_server(|| Rc::new(Echo), &path).await;
    serving(path.display());
    drop(server.unwrap());
    pending().await
}

pub(crate) async fn echo_stream(mut reader: StreamReader, writer: StreamWriter) {
    while let Ok(data) = reader.read(BUFFER).await
        && !data.is_empty()
        && writer.write(&data).is_ok()
        && writer.drain().await.is_ok()
    {}
}

pub(crate) async fn streams() {
    let server = start_server(echo_stream, ANY).await.unwrap();
    serving(server.local_addrs()[0].port());
    pending().await
}

pub(crate) async fn unix_streams() {
    let path = own_path();
    let server = start_unix_server(echo_stream, &path).await;
    serving(path.display());
    drop(server.unwrap());
    pending().await
}

pub(crate) async fn udp_socket() {
    let socket = UdpSocket::bind(ANY).await.unwrap();
    serving(socket.local_addr().unwrap().port());
    let mut buffer = vec![0; BUFFER];
    loop {
        if let Ok((count, from)) = socket.recv_from(&mut buffer).await {
            socket.send_to(&buffer[..count], from).await.ok();
        }
    }
}

struct UdpEcho;

impl DatagramProtocol for UdpEcho {
    fn datagram_received(&self, transport: &DatagramTransport, data: &[u8], from: SocketAddr) {
        transport.sendto(data, Some(from)).ok();
    }
}

pub(crate) async fn udp_endpoint() {
    let here = ANY.parse().ok();
    let (transport, _) = create_datagram_endpoint(|| Rc::new(UdpEcho), here, None)
        .await
        .unwrap();
    serving(transport.local_addr().unwrap().port());
    pending().await
}
