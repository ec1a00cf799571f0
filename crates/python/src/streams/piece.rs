//! Bytes that have come: a `bytes` object.

use pyo3::ffi::{self, PyObject};

use crate::object::{Ref, Res};

pub(super) struct Piece(Ref);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: a bytes object, which nobody changes, and lives as long as we do.
        unsafe {
            core::slice::from_raw_parts(
                ffi::PyBytes_AS_STRING(self.0.ptr()).cast(),
                ffi::Py_SIZE(self.0.ptr()) as usize,
            )
        }
    }
}

impl Piece {
    /// What `bytearray.extend` takes. Exactly `bytes` is kept as it is, anything else copied.
    pub(super) fn of(data: *mut PyObject) -> Res<Piece> {
        // SAFETY: alive, says the caller.
        unsafe {
            if ffi::PyBytes_CheckExact(data) != 0 {
                return Ok(Piece(Ref::borrow(data)));
            }
            if ffi::PyBytes_Check(data) != 0 {
                let text = ffi::PyBytes_AS_STRING(data);
                let copy = ffi::PyBytes_FromStringAndSize(text, ffi::Py_SIZE(data));
                return Ok(Piece(Ref::checked(copy)?));
            }
            Ok(Piece(Ref::checked(ffi::PyBytes_FromObject(data))?))
        }
    }

    /// The `bytes` object of a read.
    pub(super) fn received(data: Ref) -> Piece {
        // SAFETY: alive.
        debug_assert!(unsafe { ffi::PyBytes_CheckExact(data.ptr()) } != 0);
        Piece(data)
    }

    /// The object.
    pub(super) fn into_bytes(self) -> Ref {
        self.0
    }
}
