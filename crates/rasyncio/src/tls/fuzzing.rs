//! What fuzz targets reach of the inside; no part of the crate, and not there unless `cfg(fuzzing)` is set.

use std::cell::RefCell;
use std::io;

use super::records;
use super::{Answer, Tls};

/// One side of a TLS connection by rustls, as transports have it.
pub struct Records {
    records: records::Records,
    /// What is received goes here first, as with a link.
    buffer: RefCell<Vec<u8>>,
}

#[allow(missing_docs, reason = "each is the one within, of the same name")]
#[allow(clippy::missing_errors_doc, reason = "as above")]
impl Records {
    pub fn new(tls: &Tls) -> io::Result<Records> {
        Ok(Records {
            records: records::Records::new(tls)?,
            buffer: RefCell::default(),
        })
    }

    pub fn feed(&self, bytes: &[u8]) {
        self.records.feed(bytes);
    }

    /// Has `work` look at `bytes` where they were received.
    pub fn lend(&self, bytes: &[u8], work: impl FnOnce()) {
        let mut buffer = self.buffer.take();
        let begun = self.records.lend(&mut buffer);
        let end = begun + bytes.len();
        if buffer.len() < end {
            buffer.resize(end, 0);
        }
        buffer[begun..end].copy_from_slice(bytes);
        self.records.with_input(&mut buffer, end, work);
        self.buffer.replace(buffer);
    }

    pub fn handshake(&self) -> io::Result<Answer> {
        self.records.handshake()
    }

    pub fn deliver(&self, mut give: impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
        self.records.deliver(|data| Ok(give(data)))
    }

    pub fn encrypt(&self, data: &[u8], send: impl FnOnce(&[u8])) -> io::Result<usize> {
        self.records.encrypt(data, |encrypted| {
            send(encrypted);
            Ok(())
        })
    }

    pub fn goodbye(&self) -> io::Result<Answer> {
        self.records.goodbye()
    }

    pub fn incoming(&self) -> usize {
        self.records.incoming()
    }

    pub fn outgoing(&self) -> usize {
        self.records.outgoing()
    }

    pub fn take_output(&self) -> Vec<u8> {
        self.records.take_output()
    }
}
