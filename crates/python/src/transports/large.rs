//! Large reads: straight into a `bytes` object that is as long as what waits, without a copy.
//!
//! How much that is the system says, in a call that costs little beside a large read. So nothing has to
//! be cut off afterwards, and who keeps what came from many connections needs no more memory than that.

use core::ffi::c_int;
use core::hint::black_box;
use core::ptr;
use std::sync::Once;

use pyo3::ffi;
use rasyncio::transports::stream::{Received, received};

use super::socket::Source;
use crate::object::{Raised, Ref, Res};

unsafe extern "C" {
    // Exported by every supported version, and not in pyo3-ffi.
    fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, size: ffi::Py_ssize_t) -> c_int;
}

/// From here on a copy costs more than asking. What is smaller goes through the scratch buffer.
pub(super) const LARGE: usize = 32 * 1024;

/// See [`prepare_allocator`].
const KEPT: usize = 4 * 1024 * 1024;

/// How many bytes wait, if they are many.
pub(super) fn waiting(from: impl Source) -> Option<usize> {
    Some(count(from)).filter(|&count| count >= LARGE)
}

/// How many bytes wait, as far as the system can tell.
pub(super) fn count(from: impl Source) -> usize {
    let mut count: c_int = 0;
    // SAFETY: FIONREAD writes an int.
    match unsafe { libc::ioctl(from.number(), libc::FIONREAD, &raw mut count) } {
        0 => usize::try_from(count).unwrap_or(0),
        _ => 0,
    }
}

/// One `recv` of at most `size` bytes, more than none, and its data.
pub(super) unsafe fn receive(from: impl Source, size: usize) -> Res<(Received, Option<Ref>)> {
    prepare_allocator();
    // SAFETY: a fresh bytes object, which nobody else sees before it has its final size.
    unsafe {
        let (data, start) = uninitialised(size)?;
        let got = received(from.receive(start, size));
        match got {
            Received::Data(count) if count < size => Ok((got, Some(cut(data, count)?))),
            Received::Data(_) => Ok((got, Some(data))),
            _ => Ok((got, None)),
        }
    }
}

/// A `bytes` object that is to be written to, and where its memory begins.
pub(super) fn uninitialised(size: usize) -> Res<(Ref, *mut u8)> {
    // SAFETY: attached; a new reference, or NULL.
    unsafe {
        let fresh = ffi::PyBytes_FromStringAndSize(ptr::null(), size as ffi::Py_ssize_t);
        let fresh = Ref::checked(fresh)?;
        let start = ffi::PyBytes_AS_STRING(fresh.ptr()).cast_mut().cast();
        Ok((fresh, start))
    }
}

/// The first `count` bytes of an object that nobody else has, which gives back the rest of its memory.
pub(super) unsafe fn cut(data: Ref, count: usize) -> Res {
    let mut data = data.into_ptr();
    // SAFETY: the only reference, says the caller; the object is replaced, or freed by a failure.
    unsafe {
        match _PyBytes_Resize(&mut data, count as ffi::Py_ssize_t) {
            0 => Ok(Ref::own(data)),
            _ => Err(Raised::set()),
        }
    }
}

/// Tells the allocator once that blocks of this kind come and go.
///
/// glibc starts with giving the system each block over 128 KiB back when it is freed, as well as what is
/// free beyond that at the end of its heap; then each large read gets pages that the system has to clear
/// first, which costs more than the read's own copy. When it sees a larger block freed it learns, up to
/// twice the block's size, and this is such a block. Nobody writes to it, so it never has any memory.
pub(super) fn prepare_allocator() {
    static ONCE: Once = Once::new();
    // SAFETY: what malloc gives, or NULL, may be freed. Hidden from the optimiser, which would see that
    // nothing uses it.
    ONCE.call_once(|| unsafe { libc::free(black_box(libc::malloc(black_box(KEPT)))) });
}
