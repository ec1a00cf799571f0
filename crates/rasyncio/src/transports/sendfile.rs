//! Files that the system sends (asyncio's `loop.sendfile`).

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use rustix::io::Errno;

use super::plain::Plain;
use super::transport::Transport;
use crate::events;
use crate::exceptions::TaskError;
use crate::locks::Event;
use crate::tasks::yield_now;
use crate::threads::run_in_executor;

/// How much one call asks for. The system stops where the socket is full.
pub(crate) const SENT_AT_ONCE: u64 = 1024 * 1024;
/// How much is read at once where the system does not send files.
const READ_AT_ONCE: u64 = 256 * 1024;

/// A file that is being sent.
pub(super) struct Sending {
    file: OwnedFd,
    offset: Cell<u64>,
    left: Cell<u64>,
    sent: Cell<u64>,
    failure: RefCell<Option<io::Error>>,
    over: Event,
}

impl Transport {
    /// Sends `count` bytes of a file from `offset` on, or all the rest, and answers how many that were
    /// (asyncio's `loop.sendfile`). What was written before goes out before, and nothing can be
    /// written meanwhile. The position of the file is neither used nor moved.
    ///
    /// The system moves the bytes where it can: from a regular file to a socket that is not
    /// encrypted. Elsewhere they are read by a thread, and written.
    ///
    /// # Errors
    ///
    /// The system's; `NotConnected` if the connection is closing; `ResourceBusy` if another file is
    /// being sent; a cancellation, after which some of the file may have been sent.
    ///
    /// ```
    /// use std::fs::File;
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     let file = File::open("Cargo.toml")?;
    ///     let sent = transport.sendfile(&file, 0, None).await?;
    ///     assert_eq!(sent, file.metadata()?.len());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn sendfile(
        &self,
        file: impl AsFd,
        offset: u64,
        count: Option<u64>,
    ) -> io::Result<u64> {
        if self.is_closing() {
            return Err(io::Error::new(
                ErrorKind::NotConnected,
                "Transport is closing",
            ));
        }
        let left = count.unwrap_or(u64::MAX);
        if let Some(plain) = self.plain()
            && plain.link.is_socket()
        {
            let sending = plain.send_file(self, duplicate(&file)?, offset, left)?;
            let guard = Abandon(plain, &sending);
            sending.over.wait().await?;
            drop(guard);
            match sending.failure.take() {
                None => return Ok(sending.sent.get()),
                Some(error) if sending.sent.get() == 0 && is_unsupported(&error) => {}
                Some(error) => return Err(error),
            }
        }
        self.read_and_write(duplicate(&file)?, offset, left).await
    }

    async fn read_and_write(&self, file: OwnedFd, mut offset: u64, left: u64) -> io::Result<u64> {
        let file = Arc::new(file);
        let start = offset;
        while offset - start < left {
            let data = read(&file, offset, left - (offset - start)).await?;
            if data.is_empty() {
                break;
            }
            if self.is_closing() {
                return Err(io::Error::new(
                    ErrorKind::ConnectionAborted,
                    "Connection closed by peer",
                ));
            }
            offset += data.len() as u64;
            self.write(&data).map_err(io::Error::other)?;
            self.emptied().await?;
        }
        Ok(offset - start)
    }

    /// Waits until nothing waits to be written, or the connection is lost.
    async fn emptied(&self) -> io::Result<()> {
        let mut bottom = self.clone();
        while let Some(below) = bottom.below() {
            bottom = below;
        }
        while self.get_write_buffer_size() + bottom.get_write_buffer_size() > 0 {
            let Some(plain) = bottom.plain() else { break };
            if plain.link.is_closed() {
                break;
            }
            match plain.emptied_event() {
                Some(event) => event.wait().await?,
                // What is encrypted next is on its way.
                None => yield_now().await?,
            }
        }
        Ok(())
    }
}

impl Plain {
    fn send_file(
        &self,
        me: &Transport,
        file: OwnedFd,
        offset: u64,
        left: u64,
    ) -> io::Result<Rc<Sending>> {
        if !self.state.reserve() {
            return Err(io::Error::new(
                ErrorKind::ResourceBusy,
                "unable to send; sendfile is in progress",
            ));
        }
        let sending = Rc::new(Sending {
            file,
            offset: Cell::new(offset),
            left: Cell::new(left),
            sent: Cell::new(0),
            failure: RefCell::new(None),
            over: Event::new(),
        });
        self.sending.replace(Some(Rc::clone(&sending)));
        if self.state.buffered() == 0 {
            self.go_on_sending(me);
        }
        Ok(sending)
    }

    /// Sends some of the file, if there is one and nothing waits before it.
    pub(super) fn go_on_sending(&self, me: &Transport) {
        let Some(sending) = self.sending.borrow().clone() else {
            return;
        };
        let want = sending.left.get().min(SENT_AT_ONCE);
        if want == 0 {
            return self.end_sending(None);
        }
        let mut offset = sending.offset.get();
        let sent = self.link.with(|link| {
            Ok(rustix::fs::sendfile(
                link,
                &sending.file,
                Some(&mut offset),
                want as usize,
            )?)
        });
        match sent {
            Ok(0) => self.end_sending(None),
            Ok(count) => {
                let count = count as u64;
                sending.offset.set(offset);
                sending.sent.set(sending.sent.get() + count);
                sending.left.set(sending.left.get() - count);
                // Others have their turn before there is more.
                let me = me.clone();
                events::call_soon(move || {
                    if let Some(plain) = me.plain() {
                        plain.go_on_sending(&me);
                    }
                });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if let Err(error) = self.watch_writing(me) {
                    self.end_sending(Some(error));
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => self.go_on_sending(me),
            Err(error) => self.end_sending(Some(error)),
        }
    }

    pub(super) fn is_sending(&self) -> bool {
        self.sending.borrow().is_some()
    }

    pub(super) fn end_sending(&self, error: Option<io::Error>) {
        if let Some(sending) = self.sending.take() {
            self.state.unreserve();
            sending.failure.replace(error);
            sending.over.set();
        }
    }

    /// What is set once nothing waits to be written; none if nothing does.
    fn emptied_event(&self) -> Option<Rc<Event>> {
        if self.state.buffered() == 0 {
            return None;
        }
        let mut emptied = self.emptied.borrow_mut();
        Some(Rc::clone(emptied.get_or_insert_with(Rc::default)))
    }

    pub(super) fn tell_emptied(&self) {
        if let Some(event) = self.emptied.take() {
            event.set();
        }
    }
}

/// Nobody waits for the file any more.
struct Abandon<'a>(&'a Plain, &'a Rc<Sending>);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        let current = self.0.sending.borrow().clone();
        if current.is_some_and(|it| Rc::ptr_eq(&it, self.1)) {
            self.0.end_sending(None);
        }
    }
}

fn duplicate(file: &impl AsFd) -> io::Result<OwnedFd> {
    file.as_fd().try_clone_to_owned()
}

/// Whether the system cannot send from or to what it was given.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::SPIPE]
        .iter()
        .any(|it| error.raw_os_error() == Some(it.raw_os_error()))
}

/// Reads of a file, in a thread.
pub(crate) async fn read(file: &Arc<OwnedFd>, offset: u64, most: u64) -> io::Result<Vec<u8>> {
    let file = Arc::clone(file);
    let reading = move || {
        let mut data = vec![0; most.min(READ_AT_ONCE) as usize];
        let count = match rustix::io::pread(&*file, &mut *data, offset) {
            // It has no positions: a pipe, say.
            Err(Errno::SPIPE) => rustix::io::read(&*file, &mut *data)?,
            result => result?,
        };
        data.truncate(count);
        Ok(data)
    };
    match run_in_executor(None, reading).await {
        Ok(data) => data,
        Err(TaskError::Cancelled(cancelled)) => Err(cancelled.into()),
        Err(TaskError::Panicked(panic)) => Err(io::Error::other(panic.message().to_owned())),
    }
}
