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

    #[inline]
    fn wake_with(&self, first: impl FnOnce()) -> Res<bool> {
        if futures::is_done(self.ptr())? {
            return Ok(false);
        }
        first();
        // SAFETY: all three live for ever.
        let answer = unsafe {
            match self.answer {
                Answer::True => ffi::Py_True(),
                Answer::False => ffi::Py_False(),
                Answer::None => ffi::Py_None(),
            }
        };
        futures::set_result(self.ptr(), answer)?;
        Ok(true)
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
        at.get().wake_with(first)
    }

    #[inline]
    fn wake_left(self) -> Res<bool> {
        self.wake_with(|| ())
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
