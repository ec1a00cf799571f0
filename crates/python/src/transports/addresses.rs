//! Addresses of sockets as Python writes them: tuples, and `str` or `bytes` for Unix sockets.

use core::ffi::{c_char, c_int, c_void};
use core::mem::{offset_of, size_of, zeroed};
use std::io;

use pyo3::ffi::{self, PyObject};

use super::socket::Fd;
use crate::object::{Ref, Res};

/// Room for the longest text of an address.
const LONGEST: usize = 46;

unsafe extern "C" {
    // Of the C library, and not in the crate.
    fn inet_ntop(
        family: c_int,
        address: *const c_void,
        text: *mut c_char,
        room: libc::socklen_t,
    ) -> *const c_char;
}

/// What the system has written: an address, and how long it is.
pub(crate) struct Address {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl Address {
    /// Asks the system, which fills memory of that size, and answers what the call did.
    pub(crate) fn ask(
        call: impl FnOnce(*mut libc::sockaddr, *mut libc::socklen_t) -> c_int,
    ) -> io::Result<(Address, c_int)> {
        let mut address = Address {
            // SAFETY: plain numbers, for which zero is a value.
            storage: unsafe { zeroed() },
            length: size_of::<libc::sockaddr_storage>() as libc::socklen_t,
        };
        let answer = call((&raw mut address.storage).cast(), &raw mut address.length);
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((address, answer))
    }

    /// `getsockname()`
    pub(crate) fn of_socket(fd: Fd) -> io::Result<Address> {
        // SAFETY: memory of the length that is told.
        Address::ask(|at, length| unsafe { libc::getsockname(fd.0, at, length) }).map(|it| it.0)
    }

    /// `getpeername()`
    pub(crate) fn of_peer(fd: Fd) -> io::Result<Address> {
        // SAFETY: memory of the length that is told.
        Address::ask(|at, length| unsafe { libc::getpeername(fd.0, at, length) }).map(|it| it.0)
    }

    /// Whether it is of the internet, version 4 or 6.
    pub(crate) fn is_internet(&self) -> bool {
        matches!(
            c_int::from(self.storage.ss_family),
            libc::AF_INET | libc::AF_INET6
        )
    }

    /// As `socket` writes it; `None` for families that only that module knows.
    pub(crate) fn to_python(&self) -> Res<Option<Ref>> {
        let at = &raw const self.storage;
        // SAFETY: the family says which structure it is; the storage is long and aligned enough for
        // each.
        let made = unsafe {
            match c_int::from(self.storage.ss_family) {
                libc::AF_INET => of_version_4(&*at.cast())?,
                libc::AF_INET6 => of_version_6(&*at.cast())?,
                libc::AF_UNIX => of_unix(&*at.cast(), self.length as usize)?,
                _ => return Ok(None),
            }
        };
        Ok(Some(made))
    }
}

unsafe fn of_version_4(address: &libc::sockaddr_in) -> Res {
    let [a, b, c, d] = address.sin_addr.s_addr.to_ne_bytes();
    let host = Ref::str(&format!("{a}.{b}.{c}.{d}"))?;
    let port = Ref::int(i64::from(u16::from_be(address.sin_port)))?;
    Ref::tuple(&[host.ptr(), port.ptr()])
}

unsafe fn of_version_6(address: &libc::sockaddr_in6) -> Res {
    let mut text = [0; LONGEST];
    // SAFETY: an address of that family, and room for the longest text, which ends with a zero.
    let host = unsafe {
        let at = (&raw const address.sin6_addr).cast();
        inet_ntop(
            libc::AF_INET6,
            at,
            text.as_mut_ptr(),
            text.len() as libc::socklen_t,
        );
        Ref::checked(ffi::PyUnicode_FromString(text.as_ptr()))?
    };
    let port = Ref::int(i64::from(u16::from_be(address.sin6_port)))?;
    let flow = Ref::int(i64::from(u32::from_be(address.sin6_flowinfo)))?;
    let scope = Ref::int(i64::from(address.sin6_scope_id))?;
    Ref::tuple(&[host.ptr(), port.ptr(), flow.ptr(), scope.ptr()])
}

unsafe fn of_unix(address: &libc::sockaddr_un, length: usize) -> Res {
    let path = address.sun_path.as_ptr();
    let room = length.saturating_sub(offset_of!(libc::sockaddr_un, sun_path));
    let room = room.min(address.sun_path.len());
    // SAFETY: within the structure. A path that fills it has no zero at its end, so its length is
    // counted here.
    unsafe {
        if room > 0 && *path == 0 {
            // A name without a file.
            let made: *mut PyObject = ffi::PyBytes_FromStringAndSize(path, room as ffi::Py_ssize_t);
            return Ref::checked(made);
        }
        let long = (0..room).take_while(|&at| *path.add(at) != 0).count();
        Ref::checked(ffi::PyUnicode_DecodeFSDefaultAndSize(
            path,
            long as ffi::Py_ssize_t,
        ))
    }
}
