//! Who waits in a line: a future, ours or anyone's.

use pyo3::ffi::{self, PyObject};
use rasyncio::locks::line::{Line, Place, Ticket, Waiter};

use crate::futures;
use crate::object::{Raised, Ref, Res};

/// A future in a line. Any object that behaves as one will do.
#[derive(Clone)]
pub(crate) struct PyWaiter {
    future: Ref,
    answer: Answer,
}

/// The result of a future that is woken. Nobody uses it, but it can be seen.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    True,
    False,
    None,
}

impl PyWaiter {
    pub(crate) fn new(future: Ref, answer: Answer) -> PyWaiter {
        PyWaiter { future, answer }
    }

    /// The future, borrowed.
    pub(crate) fn ptr(&self) -> *mut PyObject {
        self.future.ptr()
    }

    pub(crate) fn into_ref(self) -> Ref {
        self.future
    }
}

impl Waiter for PyWaiter {
    type Error = Raised;

    #[inline]
    fn is_cancelled(at: Place<'_, Self>) -> Res<bool> {
        futures::is_cancelled(at.get().ptr())
    }

    #[inline]
    fn wake(at: Place<'_, Self>, first: impl FnOnce()) -> Res<bool> {
        let waiter = at.get();
        if futures::is_done(waiter.ptr())? {
            return Ok(false);
        }
        first();
        // SAFETY: all three live for ever.
        let answer = unsafe {
            match waiter.answer {
                Answer::True => ffi::Py_True(),
                Answer::False => ffi::Py_False(),
                Answer::None => ffi::Py_None(),
            }
        };
        futures::set_result(waiter.ptr(), answer)?;
        Ok(true)
    }
}

/// A place in a line that is left when the body which waits there is dropped (by the
/// collector, say), unless it was left in another way.
pub(crate) struct InLine<'a> {
    line: &'a Line<PyWaiter>,
    ticket: Ticket,
}

impl<'a> InLine<'a> {
    pub(crate) fn new(line: &'a Line<PyWaiter>, ticket: Ticket) -> InLine<'a> {
        InLine { line, ticket }
    }

    /// The place will be left by other means.
    #[inline]
    pub(crate) fn ticket(self) -> Ticket {
        let ticket = self.ticket;
        core::mem::forget(self);
        ticket
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        drop(self.line.leave(self.ticket));
    }
}
