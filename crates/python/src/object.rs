//! The little that stands between this crate and the C API: an owned reference, and (in
//! `errors`) an error that means "the interpreter's error indicator is set".
//!
//! Why not PyO3's `Py`/`Bound`: the hot path lives in raw heap types (see `types.rs`), and
//! `Py` looks up a thread-local at each drop while `Bound` drags a lifetime into futures
//! that live across turns. **Invariant of the whole crate**: a [`Ref`] is made, cloned and
//! dropped only while the thread is attached to the interpreter. It is neither `Send` nor
//! `Sync`, all entries into the crate come from the interpreter, and the one place that
//! detaches (parking in the poller) touches no Python object. So the methods here are safe.

pub(crate) mod counts;
mod errors;
mod slots;
mod texts;

use core::ffi::{CStr, c_char};
use core::ptr::{self, NonNull};

use pyo3::ffi::{self, PyObject, PyTypeObject};

pub(crate) use errors::{
    Raised, Res, check, raise, raise_instance, raise_object, raised_matches, restore_error,
    runtime_error, stash_error, take_raised, to_c, to_status, type_error, value_error,
    while_handling, write_unraisable,
};
pub(crate) use slots::{set_slot, take_slot};
pub(crate) use texts::{full_type_name, repr, str_of, to_string, type_name};

/// An owned (strong) reference to a Python object.
#[repr(transparent)]
pub(crate) struct Ref(NonNull<PyObject>);

impl Drop for Ref {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: we own one reference; attached (crate invariant).
        unsafe { counts::decrement(self.0.as_ptr()) }
    }
}

impl Clone for Ref {
    #[inline]
    fn clone(&self) -> Ref {
        // SAFETY: the object is alive through `self`.
        unsafe { Ref::borrow(self.0.as_ptr()) }
    }
}

impl Ref {
    /// Takes over a reference that the caller owns. `ptr` must not be NULL.
    #[inline]
    pub(crate) unsafe fn own(ptr: *mut PyObject) -> Ref {
        debug_assert!(!ptr.is_null());
        // SAFETY: not NULL, says the caller.
        Ref(unsafe { NonNull::new_unchecked(ptr) })
    }

    /// Makes a new reference to an object that the caller keeps alive.
    #[inline]
    pub(crate) unsafe fn borrow(ptr: *mut PyObject) -> Ref {
        // SAFETY: alive and not NULL, says the caller.
        unsafe {
            counts::increment(ptr);
            Ref::own(ptr)
        }
    }

    /// Takes over the result of a C function that answers NULL with an error set.
    #[inline]
    pub(crate) unsafe fn checked(ptr: *mut PyObject) -> Res {
        match NonNull::new(ptr) {
            Some(ptr) => Ok(Ref(ptr)),
            None => Err(Raised::set()),
        }
    }

    /// Takes over a reference that may be NULL.
    #[inline]
    pub(crate) unsafe fn own_opt(ptr: *mut PyObject) -> Option<Ref> {
        NonNull::new(ptr).map(Ref)
    }

    /// Makes a new reference unless `ptr` is NULL.
    #[inline]
    pub(crate) unsafe fn borrow_opt(ptr: *mut PyObject) -> Option<Ref> {
        if ptr.is_null() {
            None
        } else {
            // SAFETY: not NULL; alive, says the caller.
            Some(unsafe { Ref::borrow(ptr) })
        }
    }

    /// `None`, a new reference.
    #[inline]
    pub(crate) fn none() -> Ref {
        // SAFETY: None lives for ever.
        unsafe { Ref::borrow(ffi::Py_None()) }
    }

    /// `True` or `False`, a new reference.
    pub(crate) fn bool(value: bool) -> Ref {
        // SAFETY: both live for ever.
        unsafe {
            Ref::borrow(if value {
                ffi::Py_True()
            } else {
                ffi::Py_False()
            })
        }
    }

    /// A new `float`.
    pub(crate) fn float(value: f64) -> Res {
        // SAFETY: attached.
        unsafe { Ref::checked(ffi::PyFloat_FromDouble(value)) }
    }

    /// A new `int`.
    pub(crate) fn int(value: i64) -> Res {
        // SAFETY: attached.
        unsafe { Ref::checked(ffi::PyLong_FromLongLong(value)) }
    }

    /// A new `str`.
    pub(crate) fn str(value: &str) -> Res {
        // SAFETY: pointer and length describe valid UTF-8.
        unsafe {
            Ref::checked(ffi::PyUnicode_FromStringAndSize(
                value.as_ptr().cast::<c_char>(),
                value.len() as ffi::Py_ssize_t,
            ))
        }
    }

    /// A new `tuple` of new references to `items`.
    pub(crate) fn tuple(items: &[*mut PyObject]) -> Res {
        // SAFETY: the tuple is fresh, its slots are set exactly once; items are alive.
        unsafe {
            let tuple = Ref::checked(ffi::PyTuple_New(items.len() as ffi::Py_ssize_t))?;
            for (i, &item) in items.iter().enumerate() {
                counts::increment(item);
                ffi::PyTuple_SET_ITEM(tuple.ptr(), i as ffi::Py_ssize_t, item);
            }
            Ok(tuple)
        }
    }

    /// A new empty `list`.
    pub(crate) fn list() -> Res {
        // SAFETY: attached.
        unsafe { Ref::checked(ffi::PyList_New(0)) }
    }

    /// A new empty `dict`.
    pub(crate) fn dict() -> Res {
        // SAFETY: attached.
        unsafe { Ref::checked(ffi::PyDict_New()) }
    }

    /// The borrowed pointer.
    #[inline]
    pub(crate) fn ptr(&self) -> *mut PyObject {
        self.0.as_ptr()
    }

    /// Gives the reference away.
    #[inline]
    pub(crate) fn into_ptr(self) -> *mut PyObject {
        let ptr = self.0.as_ptr();
        core::mem::forget(self);
        ptr
    }

    /// `self is other`
    pub(crate) fn is(&self, other: *mut PyObject) -> bool {
        ptr::eq(self.ptr(), other)
    }

    /// `self is None`
    pub(crate) fn is_none(&self) -> bool {
        // SAFETY: comparing addresses only.
        self.is(unsafe { ffi::Py_None() })
    }

    /// The object's type, borrowed.
    pub(crate) fn type_ptr(&self) -> *mut PyTypeObject {
        // SAFETY: alive.
        unsafe { ffi::Py_TYPE(self.ptr()) }
    }

    /// `getattr(self, name)`
    pub(crate) fn attr(&self, name: *mut PyObject) -> Res {
        // SAFETY: both alive; `name` is one of `names()`.
        unsafe { Ref::checked(ffi::PyObject_GetAttr(self.ptr(), name)) }
    }

    /// `getattr(self, name, None)`, where absence is Rust's `None`.
    pub(crate) fn attr_opt(&self, name: *mut PyObject) -> Res<Option<Ref>> {
        // SAFETY: both alive; the indicator is cleared only for AttributeError.
        unsafe {
            let found = ffi::PyObject_GetAttr(self.ptr(), name);
            if !found.is_null() {
                return Ok(Some(Ref::own(found)));
            }
            if ffi::PyErr_ExceptionMatches(ffi::PyExc_AttributeError) != 0 {
                ffi::PyErr_Clear();
                return Ok(None);
            }
            Err(Raised::set())
        }
    }

    /// `setattr(self, name, value)`
    pub(crate) fn set_attr(&self, name: *mut PyObject, value: *mut PyObject) -> Res<()> {
        // SAFETY: all alive.
        check(unsafe { ffi::PyObject_SetAttr(self.ptr(), name, value) })
    }

    /// `self()`
    pub(crate) fn call0(&self) -> Res {
        // SAFETY: alive; no arguments.
        unsafe { Ref::checked(ffi::PyObject_CallNoArgs(self.ptr())) }
    }

    /// `self(arg)`
    pub(crate) fn call1(&self, arg: *mut PyObject) -> Res {
        // SAFETY: both alive.
        unsafe { Ref::checked(ffi::PyObject_CallOneArg(self.ptr(), arg)) }
    }

    /// `self(*args)`
    pub(crate) fn call(&self, args: &[*mut PyObject]) -> Res {
        self.call_kw(args, ptr::null_mut())
    }

    /// `self(*args)` where the last `len(kwnames)` of `args` are keywords.
    pub(crate) fn call_kw(&self, args: &[*mut PyObject], kwnames: *mut PyObject) -> Res {
        // SAFETY: all alive; the count leaves out the keywords, as vectorcall wants.
        unsafe {
            let keywords = if kwnames.is_null() {
                0
            } else {
                ffi::PyTuple_GET_SIZE(kwnames)
            };
            Ref::checked(ffi::PyObject_Vectorcall(
                self.ptr(),
                args.as_ptr(),
                args.len() - keywords as usize,
                kwnames,
            ))
        }
    }

    /// `self.name(*args)`
    pub(crate) fn call_method(&self, name: *mut PyObject, args: &[*mut PyObject]) -> Res {
        // SAFETY: `self` is alive.
        unsafe { call_method(self.ptr(), name, args) }
    }

    /// `bool(self)`
    pub(crate) fn truth(&self) -> Res<bool> {
        // SAFETY: alive.
        match unsafe { ffi::PyObject_IsTrue(self.ptr()) } {
            -1 => Err(Raised::set()),
            truth => Ok(truth != 0),
        }
    }
}

/// `obj.name(*args)` (at most five arguments)
pub(crate) unsafe fn call_method(
    obj: *mut PyObject,
    name: *mut PyObject,
    args: &[*mut PyObject],
) -> Res {
    let mut all = [ptr::null_mut(); 6];
    all[0] = obj;
    all[1..=args.len()].copy_from_slice(args);
    // SAFETY: all alive, says the caller; the array holds 1 + len(args) of them.
    unsafe {
        Ref::checked(ffi::PyObject_VectorcallMethod(
            name,
            all.as_ptr(),
            1 + args.len(),
            ptr::null_mut(),
        ))
    }
}

unsafe extern "C" {
    // Public, though PyO3 does not declare it.
    static mut PyMethod_Type: PyTypeObject;
}

/// `callable(*args)` for an array with a free slot before it, as vectorcall's offset flag
/// promises; NULL with an error set. Python functions are called without the detour that
/// checks what C functions answer.
#[inline]
pub(crate) unsafe fn vectorcall(
    callable: *mut PyObject,
    args: *const *mut PyObject,
    count: usize,
) -> *mut PyObject {
    // SAFETY: all alive, says the caller; an instance of these classes has its function where
    // the class says.
    unsafe {
        let count = count | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
        let class = ffi::Py_TYPE(callable);
        if class == &raw mut ffi::PyFunction_Type || class == &raw mut PyMethod_Type {
            let offset = (*class).tp_vectorcall_offset;
            let function = *callable
                .byte_offset(offset)
                .cast::<Option<ffi::vectorcallfunc>>();
            if let Some(function) = function {
                return function(callable, args, count, ptr::null_mut());
            }
        }
        ffi::PyObject_Vectorcall(callable, args, count, ptr::null_mut())
    }
}

/// `isinstance(obj, class)` without raising: an error in `__instancecheck__` propagates.
pub(crate) fn isinstance(obj: *mut PyObject, class: *mut PyObject) -> Res<bool> {
    // SAFETY: both alive.
    match unsafe { ffi::PyObject_IsInstance(obj, class) } {
        -1 => Err(Raised::set()),
        truth => Ok(truth != 0),
    }
}

/// `list(iterable)`: new references, so that the iterable may change meanwhile.
pub(crate) fn items(iterable: *mut PyObject) -> Res<Vec<Ref>> {
    // SAFETY: alive.
    unsafe {
        let iterator = Ref::checked(ffi::PyObject_GetIter(iterable))?;
        let mut items = Vec::with_capacity(ffi::PyObject_LengthHint(iterable, 0).max(0) as usize);
        while let Some(item) = Ref::own_opt(ffi::PyIter_Next(iterator.ptr())) {
            items.push(item);
        }
        if ffi::PyErr_Occurred().is_null() {
            Ok(items)
        } else {
            Err(Raised::set())
        }
    }
}

/// An `int` as a number; one that is too large becomes as large as can be. A `float` is rounded
/// down.
pub(crate) fn saturating_int(given: *mut PyObject) -> Res<i64> {
    // SAFETY: alive, as everywhere in this module.
    unsafe {
        if ffi::PyFloat_Check(given) != 0 {
            // Rust's conversion saturates.
            return Ok(ffi::PyFloat_AsDouble(given).floor() as i64);
        }
        let mut overflow = 0;
        match ffi::PyLong_AsLongLongAndOverflow(given, &mut overflow) {
            _ if overflow > 0 => Ok(i64::MAX),
            _ if overflow < 0 => Ok(i64::MIN),
            -1 if !ffi::PyErr_Occurred().is_null() => Err(Raised::set()),
            number => Ok(number),
        }
    }
}

/// `import module`
pub(crate) fn import(module: &CStr) -> Res {
    // SAFETY: a C string.
    unsafe { Ref::checked(ffi::PyImport_ImportModule(module.as_ptr())) }
}

/// What calling a weak reference answers: what it refers to, or None. Anything else is called.
pub(crate) unsafe fn referent(reference: *mut PyObject) -> Res {
    // SAFETY: alive, says the caller; a new reference or NULL is written.
    unsafe {
        if ffi::PyWeakref_CheckRefExact(reference) == 0 {
            return Ref::borrow(reference).call0();
        }
        let mut found = ptr::null_mut();
        match ffi::compat::PyWeakref_GetRef(reference, &mut found) {
            1 => Ok(Ref::own(found)),
            0 => Ok(Ref::none()),
            _ => Err(Raised::set()),
        }
    }
}
