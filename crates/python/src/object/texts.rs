//! Objects and their classes as text.

use core::ffi::CStr;

use pyo3::ffi::{self, PyObject};

use super::{Ref, Res};
use crate::names::names;

/// `f"{obj!r}"` as Rust text, for messages.
pub(crate) fn repr(obj: *mut PyObject) -> Res<String> {
    // SAFETY: alive; the UTF-8 is copied before the str is dropped.
    unsafe {
        let text = Ref::checked(ffi::PyObject_Repr(obj))?;
        to_string(&text)
    }
}

/// `str(obj)` as Rust text, for messages. Lone surrogates are replaced.
pub(crate) fn str_of(obj: *mut PyObject) -> Res<String> {
    // SAFETY: alive.
    unsafe {
        let text = Ref::checked(ffi::PyObject_Str(obj))?;
        to_string(&text)
    }
}

/// The text of a `str` object.
pub(crate) fn to_string(text: &Ref) -> Res<String> {
    // SAFETY: a str; the bytes are copied while it is alive.
    unsafe {
        let encoded = Ref::checked(ffi::PyUnicode_AsEncodedString(
            text.ptr(),
            c"utf-8".as_ptr(),
            c"backslashreplace".as_ptr(),
        ))?;
        let data = ffi::PyBytes_AS_STRING(encoded.ptr()).cast::<u8>();
        let len = ffi::PyBytes_Size(encoded.ptr()) as usize;
        Ok(String::from_utf8_lossy(core::slice::from_raw_parts(data, len)).into_owned())
    }
}

/// The name of an object's type, as `type(obj).__name__`.
pub(crate) fn type_name(obj: *mut PyObject) -> String {
    // SAFETY: tp_name is a C string for the life of the type.
    unsafe {
        let full = CStr::from_ptr((*ffi::Py_TYPE(obj)).tp_name).to_string_lossy();
        full.rsplit('.').next().unwrap_or_default().to_owned()
    }
}

/// The name of an object's type with its module, as `%T` in the interpreter's own messages.
pub(crate) fn full_type_name(obj: *mut PyObject) -> Res<String> {
    // SAFETY: a live object's type is alive.
    let class = unsafe { Ref::borrow(ffi::Py_TYPE(obj).cast()) };
    let name = to_string(&class.attr(names().__qualname__)?)?;
    let module = to_string(&class.attr(names().__module__)?)?;
    let known = matches!(module.as_str(), "builtins" | "__main__");
    Ok(if known {
        name
    } else {
        format!("{module}.{name}")
    })
}
