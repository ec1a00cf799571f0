//! What tests of the network need.

#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rasyncio::{Cancelled, Transport, sleep};

/// Who counts descriptors, or takes them all, must be alone: tests that share a process with such take turns.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many descriptors this process has open.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A thing that repeats for ever but looks random.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// Order and content of everything that went by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksum(u64, u64);

impl Checksum {
    pub(crate) fn new() -> Checksum {
        Checksum(0xcbf2_9ce4_8422_2325, 0)
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.1 += bytes.len() as u64;
    }
}

/// Has the peer get a reset when the connection is closed.
pub(crate) fn reset_on_close(socket: impl AsFd) {
    let linger = Some(Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(socket, linger).unwrap();
}

pub(crate) fn reset(transport: &Transport) {
    transport
        .with_fd(|fd| {
            reset_on_close(fd);
            Ok(())
        })
        .unwrap();
    transport.abort();
}

/// Waits until something holds.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) -> Result<(), Cancelled> {
    for _ in 0..5000 {
        if holds() {
            return Ok(());
        }
        sleep(Duration::from_millis(1)).await?;
    }
    panic!("it does not come about");
}

/// What a test resolves to.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}
