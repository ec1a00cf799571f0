//! Who is connected to a server, since 3.13: what `Server._clients` is in the place of a `WeakSet`.
//!
//! Our transports are known by their address only: each holds the set that it is in, and leaves it
//! before it is gone. Any others are in a `WeakSet` behind.

use core::cell::{Cell, RefCell};
use core::ffi::{c_int, c_void};
use core::ptr;
use std::collections::HashSet;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::object::{TransportObject, as_transport};
use crate::boundary;
use crate::global::Global;
use crate::names::names;
use crate::object::{Raised, Ref, Res, check, counts, import, items, set_slot, take_slot};
use crate::types::{TypeBuilder, add_functions, free_instance, onearg_def};

#[repr(C)]
struct Clients {
    ob_base: PyObject,
    /// Borrowed.
    ours: RefCell<HashSet<*mut PyObject>>,
    /// A `WeakSet`, owned; NULL until one is needed.
    others: Cell<*mut PyObject>,
}

struct Known {
    class: *mut PyTypeObject,
    /// `weakref.WeakSet`
    weak_set: Ref,
}

static KNOWN: Global<Known> = Global::new();

impl Clients {
    unsafe fn len(this: *mut Clients) -> Res<usize> {
        // SAFETY: alive, says the caller.
        unsafe {
            let ours = (*this).ours.borrow().len();
            match Ref::borrow_opt((*this).others.get()) {
                None => Ok(ours),
                Some(others) => match ffi::PyObject_Size(others.ptr()) {
                    -1 => Err(Raised::set()),
                    others => Ok(ours + others as usize),
                },
            }
        }
    }

    unsafe fn others(this: *mut Clients) -> Res {
        // SAFETY: alive, says the caller; the cell owns what it holds.
        unsafe {
            if (*this).others.get().is_null() {
                let made = KNOWN.get().weak_set.call0()?;
                set_slot((*this).others.as_ptr(), made.into_ptr());
            }
            Ok(Ref::borrow((*this).others.get()))
        }
    }

    /// All of them, as a `set`.
    unsafe fn copy(this: *mut Clients) -> Res {
        // SAFETY: alive, says the caller. What is in the set is not freed; what is dying has no
        // references any more, and gets none.
        unsafe {
            let ours: Vec<Ref> = (*this)
                .ours
                .borrow()
                .iter()
                .filter(|&&it| ffi::Py_REFCNT(it) > 0)
                .map(|&it| Ref::borrow(it))
                .collect();
            let others = match Ref::borrow_opt((*this).others.get()) {
                Some(others) => items(others.ptr())?,
                None => Vec::new(),
            };
            let set = Ref::checked(ffi::PySet_New(ptr::null_mut()))?;
            for client in ours.iter().chain(&others) {
                check(ffi::PySet_Add(set.ptr(), client.ptr()))?;
            }
            Ok(set)
        }
    }

    unsafe fn add(this: *mut Clients, client: *mut PyObject) -> Res<()> {
        // SAFETY: both alive, says the caller.
        unsafe {
            let Some(transport) = as_transport(client) else {
                let others = Clients::others(this)?;
                return others.call_method(names().add, &[client]).map(drop);
            };
            leave(transport);
            (*transport).clients = counts::new_ref(this.cast());
            (*this).ours.borrow_mut().insert(client);
            Ok(())
        }
    }
}

/// Adds a transport to the clients of its server. False: the server has to be called for that.
pub(super) unsafe fn join<S>(this: *mut TransportObject<S>, server: &Ref) -> Res<bool> {
    // SAFETY: alive, says the caller.
    unsafe {
        let Some(clients) = server.attr_opt(names()._clients)? else {
            return Ok(false);
        };
        if clients.type_ptr() != KNOWN.get().class || is_closed(server)? {
            return Ok(false);
        }
        Clients::add(clients.ptr().cast(), this.cast())?;
        Ok(true)
    }
}

/// Takes a transport from the clients of its server. False: the server has to be called for that, or
/// told that this was the last one.
pub(super) unsafe fn leave_server<S>(this: *mut TransportObject<S>, server: &Ref) -> Res<bool> {
    // SAFETY: alive, says the caller.
    unsafe {
        match leave(this) {
            None => Ok(false),
            Some(clients) => Ok(Clients::len(clients.ptr().cast())? > 0 || !is_closed(server)?),
        }
    }
}

/// Leaves the set, which is the answer.
pub(super) unsafe fn leave<S>(this: *mut TransportObject<S>) -> Option<Ref> {
    // SAFETY: alive, says the caller; what the slot holds is a set of ours.
    unsafe {
        let clients = take_slot(&raw mut (*this).clients)?;
        let set = clients.ptr().cast::<Clients>();
        (*set).ours.borrow_mut().remove(&this.cast());
        Some(clients)
    }
}

fn is_closed(server: &Ref) -> Res<bool> {
    Ok(server.attr(names()._sockets)?.is_none())
}

macro_rules! method {
    ($name:ident, |$this:ident, $argument:ident| $body:expr) => {
        unsafe extern "C" fn $name(slf: *mut PyObject, $argument: *mut PyObject) -> *mut PyObject {
            let $this = slf.cast::<Clients>();
            // SAFETY: the interpreter passes a live instance, and an object if there is one.
            boundary::object(|| unsafe { $body })
        }
    };
}

method!(add, |this, client| {
    Clients::add(this, client)?;
    Ok(Ref::none())
});
method!(discard, |this, client| {
    match as_transport(client) {
        Some(transport) if ptr::eq((*transport).clients, this.cast()) => {
            drop(leave(transport));
        }
        _ if (*this).others.get().is_null() => {}
        _ => drop(Clients::others(this)?.call_method(names().discard, &[client])?),
    }
    Ok(Ref::none())
});
method!(copy, |this, _nothing| Clients::copy(this));

unsafe extern "C" fn iterate(slf: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance.
    boundary::object(|| unsafe {
        let all = Clients::copy(slf.cast())?;
        Ref::checked(ffi::PyObject_GetIter(all.ptr()))
    })
}

unsafe extern "C" fn length(slf: *mut PyObject) -> ffi::Py_ssize_t {
    let mut length = 0;
    let status = boundary::status(|| {
        // SAFETY: the interpreter passes a live instance.
        length = unsafe { Clients::len(slf.cast())? } as ffi::Py_ssize_t;
        Ok(())
    });
    if status < 0 { -1 } else { length }
}

unsafe extern "C" fn contains(slf: *mut PyObject, client: *mut PyObject) -> c_int {
    let mut found = 0;
    let status = boundary::status(|| {
        // SAFETY: the interpreter passes a live instance and a live object.
        found = unsafe {
            let all = Clients::copy(slf.cast())?;
            ffi::PySet_Contains(all.ptr(), client)
        };
        if found < 0 {
            Err(Raised::set())
        } else {
            Ok(())
        }
    });
    if status < 0 { -1 } else { found }
}

/// `_clients_of(server)`: a set in the place of the server's own, with what is in that.
unsafe extern "C" fn clients_of(_: *mut PyObject, server: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live object; fresh memory, whose fields are written before anybody sees it.
    boundary::object(|| unsafe {
        let server = Ref::borrow(server);
        let made = Ref::checked(ffi::PyType_GenericAlloc(KNOWN.get().class, 0))?;
        let this = made.ptr().cast::<Clients>();
        (&raw mut (*this).ours).write(RefCell::default());
        (&raw mut (*this).others).write(Cell::new(ptr::null_mut()));
        for client in items(server.attr(names()._clients)?.ptr())? {
            Clients::add(this, client.ptr())?;
        }
        server.set_attr(names()._clients, made.ptr())?;
        Ok(Ref::none())
    })
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    boundary::quiet(|| {
        let this = slf.cast::<Clients>();
        // SAFETY: the object is dead, and no transport is in it, which would hold it.
        unsafe {
            set_slot((*this).others.as_ptr(), ptr::null_mut());
            ptr::drop_in_place(&raw mut (*this).ours);
            free_instance(slf);
        }
    });
}

/// Makes the type; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<Clients>(c"rasyncio.Clients")
        .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_iter, iterate as *mut c_void)
        .slot(ffi::Py_sq_length, length as *mut c_void)
        .slot(ffi::Py_sq_contains, contains as *mut c_void)
        .onearg(c"add", add)
        .onearg(c"discard", discard)
        .noargs(c"copy", copy);
    // SAFETY: called once, before any reader, says the caller.
    unsafe {
        KNOWN.set(Known {
            class: builder.build(module, ptr::null_mut())?,
            weak_set: import(c"weakref")?.attr(Ref::str("WeakSet")?.ptr())?,
        });
        add_functions(module, vec![onearg_def(c"_clients_of", clients_of)])
    }
}
