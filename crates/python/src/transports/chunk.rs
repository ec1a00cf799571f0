//! Bytes that wait to be written.

use pyo3::ffi::{self, PyObject};

use crate::object::{Raised, Ref, Res, full_type_name, type_error};

/// What is left of one write. `bytes` are kept as they are; all else is copied, since a program
/// may use its buffer for something else as soon as `write` returns.
pub(crate) enum Chunk {
    /// The object, and where what is left begins.
    Bytes(Ref, usize),
    Copied(Vec<u8>),
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        match self {
            // SAFETY: a bytes object of at least that length, which nobody changes.
            Chunk::Bytes(object, from) => unsafe { &bytes_of(object.ptr())[*from..] },
            Chunk::Copied(bytes) => bytes,
        }
    }
}

impl Chunk {
    /// The object that it holds, borrowed, for the collector.
    pub(super) fn object(&self) -> Option<*mut PyObject> {
        match self {
            Chunk::Bytes(object, _) => Some(object.ptr()),
            Chunk::Copied(_) => None,
        }
    }

    /// A chunk of any bytes-like object, as `memoryview` takes it.
    pub(super) fn of(data: *mut PyObject) -> Res<Chunk> {
        // SAFETY: alive, says the caller.
        unsafe {
            if ffi::PyBytes_Check(data) != 0 {
                return Ok(Chunk::Bytes(Ref::borrow(data), 0));
            }
            if ffi::PyObject_CheckBuffer(data) == 0 {
                return Err(type_error(&format!(
                    "memoryview: a bytes-like object is required, not '{}'",
                    full_type_name(data)?
                )));
            }
            Ok(Chunk::Copied(
                View::of(data, ffi::PyBUF_SIMPLE)?.bytes().to_vec(),
            ))
        }
    }
}

/// The content of a `bytes` object.
pub(crate) unsafe fn bytes_of<'a>(object: *mut PyObject) -> &'a [u8] {
    // SAFETY: a bytes object that lives as long as the slice is used, says the caller.
    unsafe {
        core::slice::from_raw_parts(
            ffi::PyBytes_AS_STRING(object).cast(),
            ffi::Py_SIZE(object) as usize,
        )
    }
}

/// The memory of an object that has the buffer protocol, until it is dropped.
pub(crate) struct View(ffi::Py_buffer);

impl View {
    /// `flags` are `PyBUF_*`.
    pub(crate) unsafe fn of(object: *mut PyObject, flags: core::ffi::c_int) -> Res<View> {
        // SAFETY: all zero is an empty view; filled by the call unless it fails.
        unsafe {
            let mut view: ffi::Py_buffer = core::mem::zeroed();
            if ffi::PyObject_GetBuffer(object, &mut view, flags) < 0 {
                return Err(Raised::set());
            }
            Ok(View(view))
        }
    }

    /// The bytes. No Python code may run while they are in use.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self.len() {
            0 => &[],
            // SAFETY: contiguous memory of that length, held by the view.
            len => unsafe { core::slice::from_raw_parts(self.0.buf.cast(), len) },
        }
    }

    /// Where the bytes are.
    pub(crate) fn start(&self) -> *mut u8 {
        self.0.buf.cast()
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len as usize
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: filled by GetBuffer, released once.
        unsafe { ffi::PyBuffer_Release(&mut self.0) }
    }
}
