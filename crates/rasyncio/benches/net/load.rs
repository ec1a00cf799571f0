//! The load for what is no TCP in clear. It takes the same part as `net_echo.c load`.

use std::cell::Cell;
use std::io::{self, BufRead};
use std::rc::Rc;

use rasyncio::net::{UdpSocket, UnixStream};
use rasyncio::{StreamReader, StreamWriter, gather_iter};

use crate::Kind;

/// One connection: sends a request and waits for all of the answer.
enum Client {
    Unix(UnixStream),
    Udp(UdpSocket),
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "of the TLS rows"))]
    Stream(StreamReader, StreamWriter),
}

impl Client {
    async fn connect(kind: Kind, address: &str) -> Client {
        match kind {
            Kind::Unix => Client::Unix(UnixStream::connect(address).await.unwrap()),
            Kind::Udp => {
                let socket = UdpSocket::bind(crate::ANY).await.unwrap();
                let port: u16 = address.parse().unwrap();
                socket.connect(("127.0.0.1", port)).await.unwrap();
                Client::Udp(socket)
            }
            #[cfg(feature = "tls")]
            Kind::Tls => {
                let (port, digits) = address.split_once(' ').unwrap();
                let (reader, writer) = rasyncio::connect::Builder::new()
                    .ssl(super::encrypted::client(digits))
                    .server_hostname("localhost")
                    .open_connection(("127.0.0.1", port.parse().unwrap()))
                    .await
                    .unwrap();
                Client::Stream(reader, writer)
            }
            _ => panic!("the load for that is in C"),
        }
    }

    async fn echo(&mut self, request: &[u8], answer: &mut [u8]) {
        match self {
            Client::Unix(stream) => {
                stream.write_all(request).await.unwrap();
                stream.read_exact(answer).await.unwrap();
            }
            Client::Udp(socket) => {
                // One at a time for each, so that nothing is lost on the loopback.
                socket.send(request).await.unwrap();
                assert_eq!(socket.recv(answer).await.unwrap(), request.len());
            }
            Client::Stream(reader, writer) => {
                writer.write(request).unwrap();
                writer.drain().await.unwrap();
                let mut filled = 0;
                while filled < answer.len() {
                    let count = reader.read_into(&mut answer[filled..]).await.unwrap();
                    assert!(count > 0);
                    filled += count;
                }
            }
        }
    }
}

pub(crate) async fn run(
    kind: Kind,
    address: String,
    connections: u32,
    bytes: usize,
    requests: u32,
    connecting: bool,
) {
    let request = vec![7; bytes];
    let mut answer = vec![0; bytes];
    let mut clients = Vec::new();
    for _ in 0..if connecting { 0 } else { connections } {
        let mut client = Client::connect(kind, &address).await;
        client.echo(&request, &mut answer).await;
        clients.push(client);
    }
    println!("{connections}");
    wait_for_line();
    if connecting {
        for _ in 0..requests {
            let mut client = Client::connect(kind, &address).await;
            client.echo(&request, &mut answer).await;
        }
    } else {
        let left = Rc::new(Cell::new(requests));
        let workers = clients.into_iter().map(|mut client| {
            let (left, request, mut answer) = (left.clone(), request.clone(), vec![0; bytes]);
            async move {
                while let Some(rest) = left.get().checked_sub(1) {
                    left.set(rest);
                    client.echo(&request, &mut answer).await;
                }
                client
            }
        });
        let clients = gather_iter(workers).await.unwrap();
        println!("{requests}");
        wait_for_line();
        drop(clients);
        return;
    }
    println!("{requests}");
    wait_for_line();
}

fn wait_for_line() {
    io::stdin().lock().read_line(&mut String::new()).unwrap();
}
