//! A clock, or a way to wait, that a program has put in the place of the loop's: tests do that, to hold
//! time still or to let it leap.
//!
//! The program assigns `loop.time`, or overrides it; or it assigns `loop._selector.select`, and calls
//! the former one from there. Once seen, they are asked by attribute for as long as the loop lives.

use core::cell::Cell;
use core::time::Duration;
use std::io::ErrorKind;

use pyo3::ffi::{self, PyObject};
use rasyncio_engine::{Driver, Time};

use super::core::{LoopCore, os_error, to_nanoseconds};
use super::methods::core_of;
use super::run::Attached;
use crate::boundary;
use crate::names::names;
use crate::object::{Ref, Res, call_method};
use crate::timer::as_f64;

/// What was replaced.
#[derive(Default)]
pub(super) struct Replaced {
    time: Cell<bool>,
    select: Cell<bool>,
}

impl Replaced {
    pub(super) fn set_time(&self) {
        self.time.set(true);
    }
}

impl LoopCore {
    /// `loop.time()` where that is not ours, and None where it is.
    #[inline]
    pub(super) fn replaced_time(&self) -> Res<Option<Ref>> {
        if !self.replaced().time.get() {
            return Ok(None);
        }
        // SAFETY: the owner is alive while its core is in use.
        unsafe { call_method(self.owner(), names().time, &[]) }.map(Some)
    }

    /// The same, as the engine wants it.
    #[inline]
    pub(super) fn replaced_engine_time(&self) -> Res<Option<Time>> {
        match self.replaced_time()? {
            Some(time) => self.engine_time(&time).map(Some),
            None => Ok(None),
        }
    }

    /// As in asyncio, what the clock cannot tell from now is due, too: two sums that ought to be equal
    /// may differ in their last bit.
    #[cold]
    fn engine_time(&self, time: &Ref) -> Res<Time> {
        let now = as_f64(time.ptr())?;
        // SAFETY: the owner is alive while its core is in use.
        let resolution = unsafe { Ref::borrow(self.owner()) }.attr(names()._clock_resolution)?;
        Ok(Time {
            now: to_nanoseconds(now),
            due: to_nanoseconds(now + as_f64(resolution.ptr())?),
        })
    }

    /// Whether `loop._selector.select` is not ours.
    #[inline]
    pub(super) fn is_select_replaced(&self) -> bool {
        self.replaced().select.get()
    }

    /// Calls `loop._selector.select(patience)` if that is not ours.
    #[inline]
    pub(super) fn replaced_select(&self, patience: Option<Duration>) -> Res<bool> {
        if !self.is_select_replaced() {
            return Ok(false);
        }
        let patience = match patience {
            Some(patience) => Ref::float(patience.as_secs_f64())?,
            None => Ref::none(),
        };
        // SAFETY: the owner is alive while its core is in use.
        let selector = unsafe { Ref::borrow(self.owner()) }.attr(names()._selector)?;
        selector.call_method(names().select, &[patience.ptr()])?;
        Ok(true)
    }
}

/// `_select(timeout)`: one wait for events, which schedules what they ask for. Answers how many there
/// were. `timeout` is in seconds; None is for ever.
pub(super) unsafe extern "C" fn select(
    slf: *mut PyObject,
    timeout: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: a live loop, and a live object.
        let (core, patience) = unsafe {
            let patience = if timeout == ffi::Py_None() {
                None
            } else {
                let seconds = as_f64(timeout)?.max(0.0);
                Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
            };
            (core_of(slf)?, patience)
        };
        core.check_closed()?;
        let mut driver = Attached(core);
        match core.engine().wait(&mut driver, patience) {
            Ok(count) => Ref::int(count as i64),
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                driver.interrupted()?;
                Ref::int(0)
            }
            Err(error) => Err(os_error(&error)),
        }
    })
}

/// `_select_is_replaced()`: from now on the loop waits by `_selector.select`.
pub(super) unsafe extern "C" fn select_is_replaced(
    slf: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: a live loop.
        unsafe { core_of(slf)? }.replaced().select.set(true);
        Ok(Ref::none())
    })
}
