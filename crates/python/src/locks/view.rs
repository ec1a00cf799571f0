//! `_waiters`, `_getters`, `_putters`: a line as Python code sees it, which is a live sequence
//! with the methods of a deque that programs and tests use on these.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, Py_ssize_t, PyObject, PyTypeObject};
use rasyncio::locks::line::Line;

use super::waiter::{Answer, PyWaiter};
use crate::boundary;
use crate::global::Global;
use crate::object::{Raised, Ref, Res, import, items, raise, repr, set_slot, value_error};
use crate::types::{TypeBuilder, free_instance};

/// Finds the line in the primitive that it belongs to.
pub(crate) type Find = unsafe fn(owner: *mut PyObject) -> *const Line<PyWaiter>;

#[repr(C)]
struct ViewObject {
    head: PyObject,
    owner: *mut PyObject,
    find: Find,
    /// What those are answered who are appended.
    answer: Answer,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// A view of a line of `owner`.
pub(crate) unsafe fn new(owner: *mut PyObject, find: Find, answer: Answer) -> Res {
    // SAFETY: alive, says the caller; the object is tracked when whole.
    unsafe {
        let view: *mut ViewObject = ffi::PyObject_GC_New(*TYPE.get());
        let owned = Ref::checked(view.cast())?;
        (&raw mut (*view).owner).write(Ref::borrow(owner).into_ptr());
        (&raw mut (*view).find).write(find);
        (&raw mut (*view).answer).write(answer);
        ffi::PyObject_GC_Track(view.cast());
        Ok(owned)
    }
}

/// `_waiters = iterable`
pub(crate) fn assign(line: &Line<PyWaiter>, iterable: *mut PyObject, answer: Answer) -> Res<()> {
    // SAFETY: comparing addresses only.
    let new = if iterable.is_null() || iterable == unsafe { ffi::Py_None() } {
        Vec::new()
    } else {
        items(iterable)?
    };
    line.take().for_each(drop);
    for waiter in new {
        line.join(PyWaiter::new(waiter, answer));
    }
    Ok(())
}

unsafe fn line<'a>(view: *mut PyObject) -> &'a Line<PyWaiter> {
    // SAFETY: an instance of our type, says the caller; its owner has the line in it.
    unsafe {
        let view = view.cast::<ViewObject>();
        &*((*view).find)((*view).owner)
    }
}

/// `list(view)`
fn snapshot(line: &Line<PyWaiter>) -> Res {
    let waiters: Vec<PyWaiter> = line.places().map(|place| place.get()).collect();
    let pointers: Vec<*mut PyObject> = waiters.iter().map(PyWaiter::ptr).collect();
    let tuple = Ref::tuple(&pointers)?;
    // SAFETY: a tuple, alive.
    unsafe { Ref::checked(ffi::PySequence_List(tuple.ptr())) }
}

fn index_error(message: &str) -> Raised {
    // SAFETY: a static exception class.
    unsafe { raise(ffi::PyExc_IndexError, message) }
}

unsafe extern "C" fn length(view: *mut PyObject) -> Py_ssize_t {
    // SAFETY: an instance of our type.
    unsafe { line(view) }.len() as Py_ssize_t
}

unsafe extern "C" fn item(view: *mut PyObject, index: Py_ssize_t) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: an instance of our type. Negative indices come with the length added.
        let found = usize::try_from(index)
            .ok()
            .and_then(|index| unsafe { line(view) }.place(index));
        match found {
            Some(place) => Ok(place.get().into_ref()),
            None => Err(index_error("deque index out of range")),
        }
    })
}

unsafe extern "C" fn iterate(view: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type.
    boundary::object(|| unsafe { Ref::checked(ffi::PyObject_GetIter(snapshot(line(view))?.ptr())) })
}

unsafe extern "C" fn describe(view: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type.
    boundary::object(|| unsafe {
        Ref::str(&format!("deque({})", repr(snapshot(line(view))?.ptr())?))
    })
}

unsafe extern "C" fn compare(
    view: *mut PyObject,
    other: *mut PyObject,
    how: c_int,
) -> *mut PyObject {
    // SAFETY: an instance of our type and an object. A view is not hashable and compares by
    // what is in it.
    boundary::object(|| unsafe {
        let ours = snapshot(line(view))?;
        let theirs = match Ref::checked(ffi::PySequence_List(other)) {
            Ok(list) => list,
            Err(raised) => {
                drop(crate::object::take_raised(raised));
                return Ok(Ref::borrow(ffi::Py_NotImplemented()));
            }
        };
        Ref::checked(ffi::PyObject_RichCompare(ours.ptr(), theirs.ptr(), how))
    })
}

unsafe extern "C" fn append(view: *mut PyObject, waiter: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type and an object.
    boundary::object(|| unsafe {
        let answer = (*view.cast::<ViewObject>()).answer;
        line(view).join(PyWaiter::new(Ref::borrow(waiter), answer));
        Ok(Ref::none())
    })
}

unsafe extern "C" fn remove(view: *mut PyObject, waiter: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type and an object.
    boundary::object(|| unsafe {
        let line = line(view);
        for place in line.places() {
            let ticket = place.ticket();
            let equal = ffi::PyObject_RichCompareBool(place.get().ptr(), waiter, ffi::Py_EQ);
            if equal < 0 {
                return Err(Raised::set());
            }
            if equal > 0
                && let Some(ticket) = ticket
            {
                drop(line.leave(ticket));
                return Ok(Ref::none());
            }
        }
        Err(value_error("deque.remove(x): x not in deque"))
    })
}

noargs!(popleft, |view: PyObject| match line(view).pop_first() {
    Some(waiter) => Ok(waiter.into_ref()),
    None => Err(index_error("pop from an empty deque")),
});

noargs!(empty, |view: PyObject| {
    line(view).take().for_each(drop);
    Ok(Ref::none())
});

fn deque() -> Res {
    import(c"collections")?.attr(Ref::str("deque")?.ptr())
}

noargs!(copy, |view: PyObject| deque()?
    .call1(snapshot(line(view))?.ptr()));

// Elsewhere it is a deque.
noargs!(reduce, |view: PyObject| {
    let waiters = snapshot(line(view))?;
    Ref::tuple(&[deque()?.ptr(), Ref::tuple(&[waiters.ptr()])?.ptr()])
});

unsafe extern "C" fn traverse(
    view: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the collector passes an instance of our type.
    unsafe {
        visit_opt!(ffi::Py_TYPE(view).cast(), visit, arg);
        visit_opt!((*view.cast::<ViewObject>()).owner, visit, arg);
    }
    0
}

unsafe extern "C" fn dealloc(view: *mut PyObject) {
    // SAFETY: the last reference is gone. There is no tp_clear: the owner breaks circles.
    unsafe {
        ffi::PyObject_GC_UnTrack(view.cast());
        set_slot(&raw mut (*view.cast::<ViewObject>()).owner, ptr::null_mut());
        free_instance(view);
    }
}

/// Makes the type; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let flags =
        ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION | ffi::Py_TPFLAGS_SEQUENCE;
    let builder = TypeBuilder::new::<ViewObject>(c"rasyncio.locks.waiters")
        .doc(c"Those who wait, as a live view that behaves like a deque.")
        .flags(flags)
        .slot(ffi::Py_sq_length, length as *mut c_void)
        .slot(ffi::Py_sq_item, item as *mut c_void)
        .slot(ffi::Py_tp_iter, iterate as *mut c_void)
        .slot(ffi::Py_tp_repr, describe as *mut c_void)
        .slot(ffi::Py_tp_richcompare, compare as *mut c_void)
        .slot(
            ffi::Py_tp_hash,
            ffi::PyObject_HashNotImplemented as *mut c_void,
        )
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .onearg(c"append", append)
        .onearg(c"remove", remove)
        .noargs(c"popleft", popleft)
        .noargs(c"clear", empty)
        .noargs(c"copy", copy)
        .noargs(c"__reduce__", reduce);
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe { TYPE.set(builder.build(module, ptr::null_mut())?) };
    Ok(())
}
