//! `asyncio.gather`.
//!
//! Each child has the outer future as the data of a native done callback, so collecting
//! the results allocates nothing but the list that holds them.

use core::ffi::{c_int, c_void};
use core::ptr;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use pyo3::ffi::{self, Py_ssize_t, PyObject, PyTypeObject};

use crate::args::Signature;
use crate::boundary;
use crate::docs;
use crate::event_loop;
use crate::events;
use crate::futures::object as future_object;
use crate::futures::{self, FutureObject, as_native, future_type, state};
use crate::global::Global;
use crate::names::names;
use crate::object::{Ref, Res, call_method, check, set_slot};
use crate::stdlib::cancelled_error;
use crate::tasks::{self, TaskObject};
use crate::types::{TypeBuilder, add_functions, fastcall_def, free_instance};

/// `_GatheringFuture`: the future that `gather` answers.
#[repr(C)]
struct GatheringObject {
    future: FutureObject,
    /// A list of the children in the order of the arguments, repeated ones included.
    children: *mut PyObject,
    /// The task that called `gather`, for the call graph; owned, NULL for none.
    awaiting: *mut PyObject,
    unfinished: usize,
    return_exceptions: bool,
    cancel_requested: bool,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// The class `_GatheringFuture`.
#[inline]
pub(crate) fn gathering_type() -> *mut PyTypeObject {
    *TYPE.get()
}

/// The task behind a gathering future that is still waiting; None for any other object.
pub(crate) unsafe fn awaiting(obj: *mut PyObject) -> Option<*mut PyObject> {
    // SAFETY: `obj` is alive, says the caller.
    unsafe {
        if ffi::Py_TYPE(obj) != gathering_type() || FutureObject::is_done(obj.cast()) {
            return None;
        }
        let task = (*obj.cast::<GatheringObject>()).awaiting;
        (!task.is_null()).then_some(task)
    }
}

static GATHER: Signature = Signature::required("gather", &[])
    .varargs()
    .keywords(&["return_exceptions"]);

vectorcall!(gather, |_module, GATHER [return_exceptions], awaitables| {
    let return_exceptions =
        !return_exceptions.is_null() && Ref::borrow(return_exceptions).truth()?;
    if awaitables.is_empty() {
        return empty();
    }
    gather_all(awaitables, return_exceptions)
});

/// `gather()` of nothing: done at once.
fn empty() -> Res {
    let outer = futures::new_future(events::event_loop()?.ptr())?;
    futures::set_result(outer.ptr(), Ref::list()?.ptr())?;
    Ok(outer)
}

unsafe fn gather_all(awaitables: &[*mut PyObject], return_exceptions: bool) -> Res {
    // SAFETY: the arguments are alive, says the caller; lists are filled in place.
    unsafe {
        let mut seen = Seen::new(awaitables.len());
        let children = Ref::checked(ffi::PyList_New(awaitables.len() as Py_ssize_t))?;
        // The distinct children; the list keeps them alive.
        let mut distinct = Vec::with_capacity(awaitables.len());
        let mut loop_: Option<Ref> = None;
        for (i, &awaitable) in awaitables.iter().enumerate() {
            let child = match seen.first(awaitable, i) {
                Some(first) => {
                    Ref::borrow(ffi::PyList_GET_ITEM(children.ptr(), first as Py_ssize_t))
                }
                None => {
                    let known = loop_.as_ref().map_or(ptr::null_mut(), Ref::ptr);
                    let child = events::ensure_future(awaitable, known)?;
                    if !child.is(awaitable) {
                        keep_quiet(&child)?;
                    }
                    if loop_.is_none() {
                        loop_ = Some(futures::get_loop(child.ptr())?);
                    }
                    distinct.push(child.ptr());
                    child
                }
            };
            ffi::PyList_SET_ITEM(children.ptr(), i as Py_ssize_t, child.into_ptr());
        }
        let loop_ = loop_.unwrap_or_else(Ref::none);
        let outer = new_outer(&loop_, &children, distinct.len(), return_exceptions)?;
        subscribe(&distinct, &outer)?;
        Ok(outer)
    }
}

/// Adds the done callbacks. Children that are done already are counted when all others
/// have theirs, as in asyncio since 3.12; before that in a later turn like the rest.
unsafe fn subscribe(children: &[*mut PyObject], outer: &Ref) -> Res<()> {
    let mut finished = Vec::new();
    for &child in children {
        if cfg!(Py_3_12) && futures::is_done(child)? {
            // SAFETY: the outer future's list keeps its children alive.
            finished.push(unsafe { Ref::borrow(child) });
        } else {
            futures::on_done(child, child_done, outer.ptr())?;
        }
    }
    for child in finished {
        // SAFETY: both alive.
        unsafe { child_done(child.ptr(), outer.ptr())? };
    }
    Ok(())
}

/// Which arguments were there before: the position of the first of each. Few are compared,
/// many are hashed by their address.
enum Seen {
    Few(Vec<(*mut PyObject, usize)>),
    Many(HashMap<*mut PyObject, usize, BuildHasherDefault<AddressHasher>>),
}

const COMPARED: usize = 8;

impl Seen {
    fn new(arguments: usize) -> Seen {
        if arguments <= COMPARED {
            Seen::Few(Vec::with_capacity(arguments))
        } else {
            Seen::Many(HashMap::with_capacity_and_hasher(
                arguments,
                Default::default(),
            ))
        }
    }

    /// The position of an equal argument before `at`; otherwise notes this one.
    fn first(&mut self, argument: *mut PyObject, at: usize) -> Option<usize> {
        match self {
            Seen::Few(seen) => {
                let found = seen.iter().find(|(known, _)| ptr::eq(*known, argument));
                let found = found.map(|&(_, first)| first);
                if found.is_none() {
                    seen.push((argument, at));
                }
                found
            }
            Seen::Many(seen) => match seen.entry(argument) {
                Entry::Occupied(entry) => Some(*entry.get()),
                Entry::Vacant(entry) => {
                    entry.insert(at);
                    None
                }
            },
        }
    }
}

/// Spreads addresses over the table: the low bits are alignment, and no attacker chooses
/// where objects lie.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte));
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(26);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A task made for a coroutine is out of the caller's reach: no complaint if it is
/// destroyed while it is pending.
fn keep_quiet(child: &Ref) -> Res<()> {
    if tasks::is_task(child.ptr()) {
        // SAFETY: a task of ours.
        unsafe { (*child.ptr().cast::<TaskObject>()).log_destroy_pending = false };
        return Ok(());
    }
    child.set_attr(names()._log_destroy_pending, Ref::bool(false).ptr())
}

fn new_outer(loop_: &Ref, children: &Ref, unfinished: usize, return_exceptions: bool) -> Res {
    // SAFETY: zeroed memory of the class's size.
    unsafe {
        let outer = Ref::checked(ffi::PyType_GenericAlloc(gathering_type(), 0))?;
        let this = outer.ptr().cast::<GatheringObject>();
        future_object::blank(this.cast(), false);
        futures::methods::init_fields(this.cast(), loop_.ptr())?;
        (*this).children = children.clone().into_ptr();
        (*this).unfinished = unfinished;
        (*this).return_exceptions = return_exceptions;
        let task = match event_loop::running_native() {
            running if ptr::eq(running, loop_.ptr()) => events::current_task(running)?,
            _ => Ref::none(),
        };
        if !task.is_none() {
            (*this).awaiting = task.into_ptr();
        }
        Ok(outer)
    }
}

/// A child's done callback.
pub(crate) unsafe fn child_done(child: *mut PyObject, outer: *mut PyObject) -> Res<()> {
    let this = outer.cast::<GatheringObject>();
    // SAFETY: both alive; the outer future is ours.
    unsafe {
        (*this).unfinished = (*this).unfinished.saturating_sub(1);
        if FutureObject::is_done(this.cast()) {
            if !futures::is_cancelled(child)? {
                // Looked at: not "never retrieved".
                drop(futures::exception(child)?);
            }
            return Ok(());
        }
        if !(*this).return_exceptions {
            if futures::is_cancelled(child)? {
                let error = make_cancelled_error(child)?;
                return state::set_exception(this.cast(), error);
            }
            let exception = futures::exception(child)?;
            if !exception.is_none() {
                return state::set_exception(this.cast(), exception);
            }
        }
        if (*this).unfinished == 0 {
            complete(this)
        } else {
            Ok(())
        }
    }
}

unsafe fn make_cancelled_error(fut: *mut PyObject) -> Res {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        match as_native(fut) {
            Some(native) => state::make_cancelled_error(native),
            None => call_method(fut, names()._make_cancelled_error, &[]),
        }
    }
}

/// All children are done.
unsafe fn complete(this: *mut GatheringObject) -> Res<()> {
    // SAFETY: `this` is alive and holds its children.
    unsafe {
        let children = Ref::borrow((*this).children);
        let count = ffi::PyList_GET_SIZE(children.ptr());
        if (*this).cancel_requested {
            // A cancelled gather is cancelled, whatever `return_exceptions` says, with the
            // message of the last child.
            let error = make_cancelled_error(ffi::PyList_GET_ITEM(children.ptr(), count - 1))?;
            return state::set_exception(this.cast(), error);
        }
        let results = Ref::checked(ffi::PyList_New(count))?;
        for i in 0..count {
            let child = Ref::borrow(ffi::PyList_GET_ITEM(children.ptr(), i));
            let result = outcome(&child)?;
            ffi::PyList_SET_ITEM(results.ptr(), i, result.into_ptr());
        }
        state::set_result(this.cast(), results)
    }
}

/// A child's result, or its exception as a result.
fn outcome(child: &Ref) -> Res {
    if futures::is_cancelled(child.ptr())? {
        // SAFETY: a class.
        let class = unsafe { Ref::borrow(cancelled_error()) };
        let message = child.attr(names()._cancel_message)?;
        let message = if message.is_none() {
            Ref::str("")?
        } else {
            message
        };
        return class.call1(message.ptr());
    }
    let exception = futures::exception(child.ptr())?;
    if exception.is_none() {
        futures::result(child.ptr())
    } else {
        Ok(exception)
    }
}

static CANCEL: Signature = Signature::required("cancel", &[]).optional(&["msg"]);

// Cancels the children; the outer future follows when they are done.
vectorcall!(cancel, |slf, CANCEL [message]| {
    Ok(Ref::bool(cancel_children(slf, message)?))
});

/// `_GatheringFuture.cancel(msg)`
pub(crate) unsafe fn cancel_children(slf: *mut PyObject, message: *mut PyObject) -> Res<bool> {
    let this = slf.cast::<GatheringObject>();
    // SAFETY: a live instance of exactly this class or a subclass, says the caller.
    unsafe {
        if FutureObject::is_done(this.cast()) || (*this).children.is_null() {
            return Ok(false);
        }
        let children = Ref::borrow((*this).children);
        let message = Ref::borrow_opt(message).unwrap_or_else(Ref::none);
        let mut any = false;
        for i in 0..ffi::PyList_GET_SIZE(children.ptr()) {
            let child = Ref::borrow(ffi::PyList_GET_ITEM(children.ptr(), i));
            any |= tasks::cancel_waiter(&child, &message)?;
        }
        if any {
            // The error is raised when the children are done: see `complete`.
            (*this).cancel_requested = true;
        }
        Ok(any)
    }
}

static INIT: Signature = Signature::required("_GatheringFuture", &["children"]).keywords(&["loop"]);

unsafe extern "C" fn tp_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        // SAFETY: an instance, a tuple, and a dict or NULL, by the slot's contract.
        unsafe {
            let [children, loop_] = INIT.parse_tuple::<2>(args, kwargs)?;
            futures::methods::init_fields(slf.cast(), loop_)?;
            let children = Ref::checked(ffi::PySequence_List(children))?;
            let this = slf.cast::<GatheringObject>();
            (*this).cancel_requested = false;
            set_slot(&raw mut (*this).children, children.into_ptr());
        }
        Ok(())
    })
}

unsafe extern "C" fn get_children(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: a live instance.
    unsafe { Ref::borrow_opt((*slf.cast::<GatheringObject>()).children) }
        .unwrap_or_else(Ref::none)
        .into_ptr()
}

unsafe extern "C" fn get_cancel_requested(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: a live instance.
    Ref::bool(unsafe { (*slf.cast::<GatheringObject>()).cancel_requested }).into_ptr()
}

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let this = slf.cast::<GatheringObject>();
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        visit_opt!((*this).children, visit, arg);
        visit_opt!((*this).awaiting, visit, arg);
        future_object::traverse(slf.cast(), visit, arg)
    }
}

unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    boundary::quiet(|| {
        let this = slf.cast::<GatheringObject>();
        // SAFETY: called on a live or dying instance.
        unsafe {
            set_slot(&raw mut (*this).children, ptr::null_mut());
            set_slot(&raw mut (*this).awaiting, ptr::null_mut());
            future_object::clear(this.cast());
        }
    });
    0
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    boundary::quiet(|| {
        let this = slf.cast::<GatheringObject>();
        // SAFETY: the object is dead; finalisation may bring it back, then we leave it.
        unsafe {
            if (*this).future.log_traceback && ffi::PyObject_CallFinalizerFromDealloc(slf) < 0 {
                return;
            }
            ffi::PyObject_GC_UnTrack(slf.cast());
            set_slot(&raw mut (*this).children, ptr::null_mut());
            set_slot(&raw mut (*this).awaiting, ptr::null_mut());
            future_object::release(this.cast());
            free_instance(slf);
        }
    });
}

/// Makes the class and adds the function.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<GatheringObject>(c"rasyncio.tasks._GatheringFuture")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .fastcall(c"cancel", cancel)
        .docs(docs::FUTURE)
        .get(c"_children", get_children)
        .get(c"_cancel_requested", get_cancel_requested)
        .dict_offset(future_object::DICT_OFFSET)
        .weaklist_offset(future_object::WEAKREFS_OFFSET);
    // SAFETY: called once, from the module's initialisation, after `Future` was made.
    unsafe {
        let class = builder.build(module, future_type())?;
        TYPE.set(class);
        check(ffi::PyModule_AddObjectRef(
            module,
            c"_GatheringFuture".as_ptr(),
            class.cast(),
        ))?;
        add_functions(module, vec![fastcall_def(c"gather", gather)])
    }
}
