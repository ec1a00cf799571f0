//! Reading and writing by polling, for the traits of other crates.

use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};

use super::reader::Step;
use super::{StreamReader, StreamWriter};
use crate::scope;

impl StreamReader {
    /// [`StreamReader::read_into`], polled. What waits is the reader itself, until it is dropped.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        self.shared.check()?;
        let room = buffer.len();
        // Whoever has woken us otherwise has taken the waiter out.
        if self.shared.reader.has_waiter()
            && let Some(cancelled) = scope::take_cancellation()
        {
            drop(self.shared.reader.end_wait());
            self.transport.leave_pull();
            return Poll::Ready(Err(cancelled.into()));
        }
        match ready!(self.poll_step(cx, |reader| reader.read(room))) {
            Step::Ready(count) => {
                let mut filled = 0;
                self.shared.reader.take(count, |bytes| {
                    let room = &mut buffer[filled..filled + bytes.len()];
                    for (to, byte) in room.iter_mut().zip(bytes) {
                        to.write(*byte);
                    }
                    filled += bytes.len();
                });
                self.resume();
                Poll::Ready(Ok(filled))
            }
            _ => Poll::Ready(self.failed()),
        }
    }
}

impl StreamWriter {
    /// [`StreamWriter::drain`], polled, which answers at once in a connection that is closing.
    pub(crate) fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.check()?;
        let shared = &self.shared;
        let suspended = shared.writer.take().is_some();
        if suspended && let Some(cancelled) = scope::take_cancellation() {
            return Poll::Ready(Err(cancelled.into()));
        }
        if shared.lost.get() || self.is_closing() {
            return Poll::Ready(Err(io::Error::new(
                ErrorKind::ConnectionReset,
                "Connection lost",
            )));
        }
        if shared.resumed.is_set() {
            return Poll::Ready(Ok(()));
        }
        shared.writer.set(Some(cx.waker().clone()));
        scope::suspend(cx);
        Poll::Pending
    }

    /// Waits until the system has everything. Meanwhile the high-water mark is zero.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let transport = &self.transport;
        if transport.get_write_buffer_size() == 0 {
            self.shared.check()?;
            self.end_flush();
            return Poll::Ready(Ok(()));
        }
        if self.shared.flushing.get().is_none() {
            let limits = transport.get_write_buffer_limits();
            self.shared.flushing.set(Some(limits));
            // Not over the mark, should it be so now, a transport says nothing.
            let _ = transport.set_write_buffer_limits(Some(0), Some(0));
        }
        let polled = self.poll_drain(cx);
        if polled.is_ready() {
            self.end_flush();
        }
        polled
    }

    fn end_flush(&self) {
        if let Some((low, high)) = self.shared.flushing.take() {
            let _ = self
                .transport
                .set_write_buffer_limits(Some(high), Some(low));
        }
    }
}
