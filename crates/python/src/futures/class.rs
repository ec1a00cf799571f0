//! `__class__`: a future of ours passes for the standard library's.
//!
//! `isinstance(x, C)` looks at `x.__class__` where `type(x)` is no subclass of `C`. Code that
//! got hold of `asyncio.Future` before ours stood there thus accepts our futures and tasks.
//! `type(x)` tells the truth, and so do instances of Python subclasses.

use core::ffi::c_void;

use pyo3::ffi::{self, PyObject};

use super::future_type;
use crate::boundary;
use crate::gather::gathering_type;
use crate::global::Global;
use crate::object::{Ref, Res, import};
use crate::tasks::task_type;

struct Stock {
    future: Ref,
    task: Ref,
    gathering: Ref,
}

static STOCK: Global<Stock> = Global::new();

/// The getter of `Future.__class__`, which `Task` inherits.
pub(super) unsafe extern "C" fn get_class(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    boundary::object(|| {
        let stock = STOCK.get();
        // SAFETY: the interpreter passes a live instance, whose class is alive.
        unsafe {
            let class = ffi::Py_TYPE(slf);
            Ok(if class == future_type() {
                stock.future.clone()
            } else if class == task_type() {
                stock.task.clone()
            } else if class == gathering_type() {
                stock.gathering.clone()
            } else {
                Ref::borrow(class.cast())
            })
        }
    })
}

/// Remembers the stock classes; before anything replaces them in their modules.
pub(super) unsafe fn init() -> Res<()> {
    let tasks = import(c"asyncio.tasks")?;
    let of = |module: &Ref, name: &str| module.attr(Ref::str(name)?.ptr());
    let native = import(c"_asyncio")?;
    let stock = Stock {
        future: of(&native, "Future")?,
        task: of(&native, "Task")?,
        gathering: of(&tasks, "_GatheringFuture")?,
    };
    // SAFETY: called once, from the module's initialisation.
    unsafe { STOCK.set(stock) };
    Ok(())
}
