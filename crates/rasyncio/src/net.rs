//! Sockets whose calls are awaited (asyncio's `sock_*`, by the names that Rust has for them).
//!
//! ```
//! use rasyncio::net::{TcpListener, TcpStream};
//! use rasyncio::create_task;
//!
//! rasyncio::run(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = create_task(async move {
//!         let (peer, _) = listener.accept().await?;
//!         peer.write_all(b"hello").await
//!     });
//!     let stream = TcpStream::connect(address).await?;
//!     let mut greeting = [0; 5];
//!     stream.read_exact(&mut greeting).await?;
//!     assert_eq!(&greeting, b"hello");
//!     server.await.unwrap()
//! })
//! .unwrap();
//! ```
//!
//! All methods take `&self`: one task may read while another writes, through an
//! [`Rc`](std::rc::Rc), and there is nothing to split. Several may wait for the same; each gets
//! what there is when its turn comes.
//!
//! Every single call (`read`, `write`, `accept`, `send_to` and so on) can be cancelled and dropped
//! without losing anything: it has happened, or it has not. Of those that make several
//! (`read_exact`, `write_all`) the part that was done is done. A cancellation comes as an
//! [`io::Error`](std::io::Error), in which [`Cancelled::of`](crate::Cancelled::of) finds it.
//!
//! A socket belongs to the first loop that it has waited on, for as long as that loop lives.

mod descriptor;
mod registration;
mod resolve;
pub(crate) mod socket;
mod stream;
mod tcp;
mod udp;
mod unix;
mod unix_datagram;
mod unix_room;

pub use descriptor::AsyncFd;
pub(crate) use registration::{Registration, Watched};
pub use resolve::{Family, Hints, ToAddrs, getaddrinfo, getaddrinfo_with, getnameinfo};
pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{UnixListener, UnixStream};
pub(crate) use unix::{address as unix_address, remove_stale as remove_stale_socket};
pub use unix_datagram::UnixDatagram;
pub(crate) use unix_room::{Obstacle, Room};
