//! Addresses of sockets as Python writes them: tuples, and `str` or `bytes` for Unix sockets.

use core::ffi::{c_char, c_int, c_long, c_void};
use core::mem::{offset_of, size_of, zeroed};
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ptr;
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
#[derive(Clone)]
pub(crate) struct Address {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl PartialEq for Address {
    fn eq(&self, other: &Address) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Address {
    fn bytes(&self) -> &[u8] {
        let length = (self.length as usize).min(size_of::<libc::sockaddr_storage>());
        // SAFETY: within the storage, which was filled as a whole.
        unsafe { core::slice::from_raw_parts((&raw const self.storage).cast(), length) }
    }

    /// What it is made of, if [`to_python`](Address::to_python) can read it.
    pub(super) fn known_bytes(&self) -> Option<&[u8]> {
        let family = c_int::from(self.storage.ss_family);
        let known = matches!(family, libc::AF_INET | libc::AF_INET6 | libc::AF_UNIX);
        Some(self.bytes()).filter(|bytes| known && bytes.len() >= size_of::<libc::sa_family_t>())
    }

    /// The address that is made of that.
    pub(super) fn of_bytes(bytes: &[u8]) -> Address {
        let length = bytes.len().min(size_of::<libc::sockaddr_storage>());
        // SAFETY: plain numbers, for which zero is a value; the storage has that much room.
        unsafe {
            let mut storage: libc::sockaddr_storage = zeroed();
            ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut storage).cast(), length);
            Address {
                storage,
                length: length as libc::socklen_t,
            }
        }
    }

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

    /// What to hand to the system.
    pub(crate) fn as_system(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        ((&raw const self.storage).cast(), self.length)
    }

    /// Reads an address that is numbers, and spelled as `socket` spells it, for a socket of that
    /// family. `None` for all that needs more thought: names, errors, other families.
    pub(crate) fn of_python(family: c_int, given: *mut PyObject) -> Option<Address> {
        // SAFETY: alive, as everything that callers have in their hands.
        unsafe {
            match family {
                libc::AF_INET => to_version_4(given),
                libc::AF_INET6 => to_version_6(given),
                libc::AF_UNIX => to_unix(given),
                _ => None,
            }
        }
    }

    /// An address of that structure.
    fn of<T>(address: &T, length: usize) -> Address {
        // SAFETY: plain numbers, for which zero is a value; the storage has room for each structure
        // that is an address, and is aligned for it.
        unsafe {
            let mut storage: libc::sockaddr_storage = zeroed();
            (&raw mut storage).cast::<T>().write(ptr::read(address));
            Address {
                storage,
                length: length as libc::socklen_t,
            }
        }
    }

    /// Whether it is of the internet, version 6.
    pub(crate) fn is_version_6(&self) -> bool {
        c_int::from(self.storage.ss_family) == libc::AF_INET6
    }

    /// As `socket` writes it; `None` for families that only that module knows.
    pub(crate) fn to_python(&self) -> Res<Option<Ref>> {
        self.to_python_with_host(None)
    }

    /// The numbers of its host, if it is of the internet.
    fn host(&self) -> Option<&[u8]> {
        let place = match c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                offset_of!(libc::sockaddr_in, sin_addr)..offset_of!(libc::sockaddr_in, sin_zero)
            }
            libc::AF_INET6 => {
                offset_of!(libc::sockaddr_in6, sin6_addr)
                    ..offset_of!(libc::sockaddr_in6, sin6_scope_id)
            }
            _ => return None,
        };
        self.bytes().get(place)
    }

    /// The text of the host of an address that was `shown` so, if it is this one's too.
    pub(super) fn same_host(&self, other: &Address, shown: &Ref) -> Option<Ref> {
        let host = self
            .host()
            .filter(|_| self.storage.ss_family == other.storage.ss_family)?;
        // SAFETY: alive, and a tuple that is not empty.
        unsafe {
            (other.host() == Some(host) && length_of(shown.ptr()) > 0)
                .then(|| Ref::borrow(ffi::PyTuple_GET_ITEM(shown.ptr(), 0)))
        }
    }

    /// The same. The text of the host is made here, if there is none.
    pub(super) fn to_python_with_host(&self, host: Option<Ref>) -> Res<Option<Ref>> {
        if self.length == 0 {
            // A datagram of nobody in particular.
            return Ok(Some(Ref::none()));
        }
        let at = &raw const self.storage;
        // SAFETY: the family says which structure it is; the storage is long and aligned enough for
        // each.
        let made = unsafe {
            match c_int::from(self.storage.ss_family) {
                libc::AF_INET => of_version_4(&*at.cast(), host)?,
                libc::AF_INET6 => of_version_6(&*at.cast(), host)?,
                libc::AF_UNIX => of_unix(&*at.cast(), self.length as usize)?,
                _ => return Ok(None),
            }
        };
        Ok(Some(made))
    }
}

unsafe fn of_version_4(address: &libc::sockaddr_in, host: Option<Ref>) -> Res {
    let host = match host {
        Some(host) => host,
        None => Ref::str(dotted(
            address.sin_addr.s_addr.to_ne_bytes(),
            &mut [0; LONGEST],
        ))?,
    };
    let port = Ref::int(i64::from(u16::from_be(address.sin_port)))?;
    Ref::tuple(&[host.ptr(), port.ptr()])
}

/// Four numbers with dots between them.
fn dotted(numbers: [u8; 4], text: &mut [u8; LONGEST]) -> &str {
    let mut length = 0;
    let mut put = |character| {
        text[length] = character;
        length += 1;
    };
    for (index, number) in numbers.into_iter().enumerate() {
        if index > 0 {
            put(b'.');
        }
        if number >= 100 {
            put(b'0' + number / 100);
        }
        if number >= 10 {
            put(b'0' + number / 10 % 10);
        }
        put(b'0' + number % 10);
    }
    core::str::from_utf8(&text[..length]).unwrap_or_default()
}

/// Eight numbers with colons between them, or fewer.
fn with_colons(numbers: &libc::in6_addr) -> Res {
    let mut text = [0; LONGEST];
    // SAFETY: an address of that family, and room for the longest text, which ends with a zero.
    unsafe {
        inet_ntop(
            libc::AF_INET6,
            ptr::from_ref(numbers).cast(),
            text.as_mut_ptr(),
            text.len() as libc::socklen_t,
        );
        Ref::checked(ffi::PyUnicode_FromString(text.as_ptr()))
    }
}

unsafe fn of_version_6(address: &libc::sockaddr_in6, host: Option<Ref>) -> Res {
    let host = match host {
        Some(host) => host,
        None => with_colons(&address.sin6_addr)?,
    };
    let port = Ref::int(i64::from(u16::from_be(address.sin6_port)))?;
    let flow = Ref::int(i64::from(u32::from_be(address.sin6_flowinfo)))?;
    let scope = Ref::int(i64::from(address.sin6_scope_id))?;
    Ref::tuple(&[host.ptr(), port.ptr(), flow.ptr(), scope.ptr()])
}

/// The text of a `str` of ASCII.
unsafe fn text_of<'a>(given: *mut PyObject) -> Option<&'a str> {
    // SAFETY: alive, says the caller, for as long as the text is used, which the object keeps.
    unsafe {
        if ffi::PyUnicode_CheckExact(given) == 0 {
            return None;
        }
        let mut length = 0;
        let data = ffi::PyUnicode_AsUTF8AndSize(given, &mut length);
        if data.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        let bytes = core::slice::from_raw_parts(data.cast::<u8>(), length as usize);
        core::str::from_utf8(bytes)
            .ok()
            .filter(|text| text.is_ascii())
    }
}

/// An `int` that is no subclass's, if it is within bounds.
unsafe fn number<T: TryFrom<c_long>>(given: *mut PyObject) -> Option<T> {
    // SAFETY: alive, says the caller.
    unsafe {
        if ffi::PyLong_CheckExact(given) == 0 {
            return None;
        }
        let mut overflow = 0;
        let number = ffi::PyLong_AsLongAndOverflow(given, &mut overflow);
        T::try_from(number).ok().filter(|_| overflow == 0)
    }
}

/// How many items a tuple has; none for anything else.
unsafe fn length_of(given: *mut PyObject) -> usize {
    // SAFETY: alive, says the caller.
    unsafe {
        if ffi::PyTuple_CheckExact(given) == 0 {
            return 0;
        }
        ffi::PyTuple_GET_SIZE(given) as usize
    }
}

unsafe fn to_version_4(given: *mut PyObject) -> Option<Address> {
    // SAFETY: alive, says the caller.
    unsafe {
        if length_of(given) != 2 {
            return None;
        }
        let host: Ipv4Addr = text_of(ffi::PyTuple_GET_ITEM(given, 0))?.parse().ok()?;
        let mut address: libc::sockaddr_in = zeroed();
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        address.sin_port = number::<u16>(ffi::PyTuple_GET_ITEM(given, 1))?.to_be();
        address.sin_addr.s_addr = u32::from_ne_bytes(host.octets());
        Some(Address::of(&address, size_of::<libc::sockaddr_in>()))
    }
}

unsafe fn to_version_6(given: *mut PyObject) -> Option<Address> {
    /// Of a flow label, as `socket` checks it.
    const HIGHEST_FLOW: u32 = 0xf_ffff;
    // SAFETY: alive, says the caller.
    unsafe {
        let length = length_of(given);
        if !(2..=4).contains(&length) {
            return None;
        }
        let host: Ipv6Addr = text_of(ffi::PyTuple_GET_ITEM(given, 0))?.parse().ok()?;
        let mut address: libc::sockaddr_in6 = zeroed();
        address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
        address.sin6_port = number::<u16>(ffi::PyTuple_GET_ITEM(given, 1))?.to_be();
        address.sin6_addr.s6_addr = host.octets();
        if length > 2 {
            let flow = number::<u32>(ffi::PyTuple_GET_ITEM(given, 2))?;
            address.sin6_flowinfo = Some(flow).filter(|&flow| flow <= HIGHEST_FLOW)?.to_be();
        }
        if length > 3 {
            address.sin6_scope_id = number(ffi::PyTuple_GET_ITEM(given, 3))?;
        }
        Some(Address::of(&address, size_of::<libc::sockaddr_in6>()))
    }
}

unsafe fn to_unix(given: *mut PyObject) -> Option<Address> {
    // SAFETY: alive, says the caller; the path is shorter than its place.
    unsafe {
        let path = text_of(given)?.as_bytes();
        let mut address: libc::sockaddr_un = zeroed();
        // Neither an abstract name nor none at all, and with a zero behind it.
        if path.is_empty() || path.contains(&0) || path.len() >= address.sun_path.len() {
            return None;
        }
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        ptr::copy_nonoverlapping(
            path.as_ptr().cast(),
            address.sun_path.as_mut_ptr(),
            path.len(),
        );
        let length = offset_of!(libc::sockaddr_un, sun_path) + path.len() + 1;
        Some(Address::of(&address, length))
    }
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
