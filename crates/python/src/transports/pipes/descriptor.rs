//! The system's calls on a pipe.

use core::ffi::c_int;
use std::io::{self, IoSlice};

use rasyncio::transports::stream::Descriptor;

use super::super::object::TransportObject;
use super::super::socket::{Source, answer};

/// A pipe, or what is used as one, by number.
#[derive(Clone, Copy)]
pub(super) struct Pipe(pub(super) c_int);

/// The number that the transport was made with; -1 once it is closed.
#[inline]
pub(super) unsafe fn pipe(this: *mut TransportObject) -> Pipe {
    // SAFETY: alive, says the caller.
    unsafe {
        Pipe(if (*this).sock.is_null() {
            -1
        } else {
            (*this).fd
        })
    }
}

impl Pipe {
    /// Whether it is of a kind that can be watched.
    pub(super) fn kind(self) -> io::Result<Option<Kind>> {
        // SAFETY: plain numbers, for which zero is a value, filled by the call.
        let mode = unsafe {
            let mut found: libc::stat = core::mem::zeroed();
            if libc::fstat(self.0, &mut found) < 0 {
                return Err(io::Error::last_os_error());
            }
            found.st_mode
        };
        Ok(match mode & libc::S_IFMT {
            libc::S_IFIFO => Some(Kind::Pipe),
            libc::S_IFSOCK => Some(Kind::Socket),
            libc::S_IFCHR => Some(Kind::Device),
            _ => None,
        })
    }

    /// As `os.set_blocking(fd, False)`.
    pub(super) fn set_nonblocking(self) -> io::Result<()> {
        let mut on: c_int = 1;
        // SAFETY: the call reads one number.
        if unsafe { libc::ioctl(self.0, libc::FIONBIO, &raw mut on) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// What may be under a transport of a pipe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pipe,
    Socket,
    /// A terminal, for one. It does not tell when nobody is at the other end.
    Device,
}

impl Source for Pipe {
    #[inline]
    unsafe fn receive(self, start: *mut u8, room: usize) -> io::Result<usize> {
        // SAFETY: `room` bytes may be written there, says the caller.
        answer(unsafe { libc::read(self.0, start.cast(), room) })
    }

    fn number(self) -> c_int {
        self.0
    }
}

impl Descriptor for Pipe {
    #[inline]
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        // SAFETY: memory that the slice describes.
        answer(unsafe { libc::write(self.0, data.as_ptr().cast(), data.len()) })
    }

    fn send_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // SAFETY: an IoSlice has the layout of an iovec; there are few enough for the number.
        answer(unsafe { libc::writev(self.0, slices.as_ptr().cast(), slices.len() as c_int) })
    }

    fn shutdown_write(&self) -> io::Result<()> {
        // Closing is all that there is.
        Ok(())
    }
}
