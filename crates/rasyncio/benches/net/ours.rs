//! Echo servers of three kinds.

use std::future::pending;
use std::rc::Rc;

use rasyncio::net::{TcpListener, TcpStream};
use rasyncio::{Protocol, Transport, create_server, create_task, start_server};

/// What the others read into, too.
const BUFFER: usize = 256 * 1024;

const ANY: &str = "127.0.0.1:0";

pub(crate) async fn socket() {
    let listener = TcpListener::bind(ANY).await.unwrap();
    crate::serving(listener.local_addr().unwrap().port());
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

struct Echo;

impl Protocol for Echo {
    fn data_received(&self, transport: &Transport, data: &[u8]) {
        transport.write(data).ok();
    }
}

pub(crate) async fn protocol() {
    let server = create_server(|| Rc::new(Echo), ANY).await.unwrap();
    crate::serving(server.local_addrs()[0].port());
    pending().await
}

pub(crate) async fn streams() {
    let server = start_server(
        async |mut reader, writer| {
            while let Ok(data) = reader.read(BUFFER).await
                && !data.is_empty()
                && writer.write(&data).is_ok()
                && writer.drain().await.is_ok()
            {}
        },
        ANY,
    )
    .await
    .unwrap();
    crate::serving(server.local_addrs()[0].port());
    pending().await
}
