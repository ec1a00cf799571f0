//! Which transport has which descriptor: what `loop._transports` says of transports of ours.
//!
//! asyncio has a dict of weak references. Ours take themselves out of a table when they end.

use core::cell::RefCell;
use core::ffi::c_int;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::methods::core_of;
use crate::boundary;
use crate::object::{Ref, Res, check};

/// Borrowed, at the index that is the number; NULL where there is none.
pub(crate) struct Numbers(RefCell<Vec<*mut PyObject>>);

impl Numbers {
    pub(super) const fn new() -> Numbers {
        Numbers(RefCell::new(Vec::new()))
    }

    /// Whoever notes an object has it forgotten before it is gone.
    pub(crate) fn note(&self, fd: c_int, transport: *mut PyObject) {
        let Ok(index) = usize::try_from(fd) else {
            return;
        };
        let table = &mut *self.0.borrow_mut();
        if index >= table.len() {
            table.resize(index + 1, ptr::null_mut());
        }
        table[index] = transport;
    }

    /// The number is nobody's, if it was this one's.
    pub(crate) fn forget(&self, fd: c_int, transport: *mut PyObject) {
        let table = &mut *self.0.borrow_mut();
        let entry = usize::try_from(fd)
            .ok()
            .and_then(|index| table.get_mut(index));
        if let Some(entry) = entry.filter(|entry| ptr::eq(**entry, transport)) {
            *entry = ptr::null_mut();
        }
    }

    /// The one that has the number.
    pub(crate) fn find(&self, fd: c_int) -> Option<Ref> {
        let table = self.0.borrow();
        let found = *table.get(usize::try_from(fd).ok()?)?;
        // SAFETY: what is noted is not freed. What is dying has no references any more, and gets none.
        unsafe {
            let lives = !found.is_null() && ffi::Py_REFCNT(found) > 0;
            lives.then(|| Ref::borrow(found))
        }
    }

    fn all(&self) -> Res {
        let list = Ref::list()?;
        let end = self.0.borrow().len();
        for fd in (0..).take(end).filter(|&fd| self.find(fd).is_some()) {
            let number = Ref::int(i64::from(fd))?;
            // SAFETY: both alive.
            check(unsafe { ffi::PyList_Append(list.ptr(), number.ptr()) })?;
        }
        Ok(list)
    }
}

/// A key of the dict, if it can be a descriptor's number.
unsafe fn number(key: *mut PyObject) -> Option<c_int> {
    // SAFETY: alive, says the caller.
    let number = unsafe {
        if ffi::PyLong_Check(key) == 0 {
            return None;
        }
        let mut overflow = 0;
        ffi::PyLong_AsLongAndOverflow(key, &mut overflow)
    };
    // Out of bounds is -1 here, which is none either.
    c_int::try_from(number).ok().filter(|&number| number >= 0)
}

/// `_transport_of(number)`: a transport of ours, or None.
pub(super) unsafe extern "C" fn transport_of(
    slf: *mut PyObject,
    fd: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: live objects.
        let (core, number) = unsafe { (core_of(slf)?, number(fd)) };
        let found = number.and_then(|fd| core.numbers().find(fd));
        Ok(found.unwrap_or_else(Ref::none))
    })
}

/// `_forget_transport(number)`: the number is nobody's of ours.
pub(super) unsafe extern "C" fn forget_transport(
    slf: *mut PyObject,
    fd: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: live objects.
        let (core, number) = unsafe { (core_of(slf)?, number(fd)) };
        if let Some(fd) = number {
            core.numbers().note(fd, ptr::null_mut());
        }
        Ok(Ref::none())
    })
}

/// `_transport_numbers()`: those that transports of ours have, as a list.
pub(super) unsafe extern "C" fn transport_numbers(
    slf: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a live object.
    boundary::object(|| unsafe { core_of(slf)? }.numbers().all())
}
