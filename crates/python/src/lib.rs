//! The Python face of rasyncio: `rasyncio._rasyncio`.
//!
//! CPython types over [`rasyncio_engine`]: the loop, handles, futures, tasks, and asyncio's
//! vocabulary. The types of the hot path are raw heap types (`types.rs`); `object.rs` says
//! what the rest of the crate may assume about references and errors.

#[macro_use]
mod macros;

mod args;
mod as_completed;
mod audit;
mod awaited_by;
mod boundary;
mod cancellation;
mod children;
mod contexts;
mod coroutine;
mod direct;
mod docs;
mod event_loop;
mod events;
mod freelist;
mod futures;
mod gather;
mod global;
mod handles;
mod jobs;
mod locks;
mod names;
mod object;
mod queues;
mod recursion;
mod returning;
mod scheduler;
mod servers;
mod shield;
mod sleep;
mod sockets;
mod stdlib;
mod streams;
mod taskgroups;
mod tasks;
mod threads;
mod throwing;
mod timeouts;
mod timer;
mod tls;
mod transports;
mod types;
mod wait;
mod wait_for;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::object::Res;

/// The module's contents are added by the files that define them.
#[pymodule]
fn _rasyncio(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // SAFETY: once, attached, before anything else of the crate runs.
    match unsafe { init(module.as_ptr()) } {
        Ok(()) => Ok(()),
        Err(_raised) => Err(PyErr::take(module.py())
            .unwrap_or_else(|| PyRuntimeError::new_err("rasyncio could not be initialised"))),
    }
}

unsafe fn init(module: *mut pyo3::ffi::PyObject) -> Res<()> {
    // SAFETY: names and the standard library first, for all others use them; a class after
    // its base.
    unsafe {
        names::init()?;
        audit::init(module)?;
        stdlib::init()?;
        contexts::init()?;
        tasks::current::init()?;
        returning::init(module)?;
        handles::init(module)?;
        futures::init(module)?;
        tasks::init(module)?;
        gather::init(module)?;
        coroutine::init(module)?;
        timer::init(module)?;
        event_loop::init(module)?;
        events::init(module)?;
        shield::init(module)?;
        sleep::init(module)?;
        timeouts::init(module)?;
        wait::init(module)?;
        wait_for::init(module)?;
        as_completed::init(module)?;
        taskgroups::init(module)?;
        scheduler::init(module)?;
        locks::init(module)?;
        queues::init(module)?;
        threads::init(module)?;
        transports::init(module)?;
        sockets::init(module)?;
        servers::init(module)?;
        children::init(module)?;
        tls::init(module)?;
        streams::init(module)?;
        boundary::init(module)?;
        Ok(())
    }
}
