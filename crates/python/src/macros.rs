//! What the object types share, as macros.

/// Visits a nullable slot for the collector, leaving the function if the visitor says so.
macro_rules! visit_opt {
    ($held:expr, $visit:expr, $arg:expr) => {{
        let held: *mut pyo3::ffi::PyObject = $held;
        if !held.is_null() {
            let answer = $visit(held, $arg);
            if answer != 0 {
                return answer;
            }
        }
    }};
}

/// Defines a native function that receives vectorcall arguments: `this` is the module or the
/// instance, the arguments are parsed by a [`Signature`](crate::args::Signature), and the body
/// answers a `Res`. Where the signature has `*args`, `rest` is what is beyond the named ones.
macro_rules! vectorcall {
    ($name:ident, |$this:ident, $signature:ident $args:pat_param| $body:expr) => {
        vectorcall!($name, |$this, $signature $args, _rest| $body);
    };
    ($name:ident, |$this:ident, $signature:ident $args:pat_param, $rest:ident| $body:expr) => {
        pub(super) unsafe extern "C" fn $name(
            $this: *mut pyo3::ffi::PyObject,
            args: *const *mut pyo3::ffi::PyObject,
            nargs: pyo3::ffi::Py_ssize_t,
            kwnames: *mut pyo3::ffi::PyObject,
        ) -> *mut pyo3::ffi::PyObject {
            crate::boundary::object(|| {
                // SAFETY: vectorcall's contract, and a method is given an instance of the
                // class that it was defined in.
                unsafe {
                    let ($args, $rest) = $signature.parse(args, nargs, kwnames)?;
                    $body
                }
            })
        }
    };
}

/// Defines a method without arguments: `this` is the instance as a pointer to its layout, and
/// the body answers a `Res`.
macro_rules! noargs {
    ($name:ident, |$this:ident: $layout:ty| $body:expr) => {
        #[allow(unused_unsafe, reason = "some bodies need no pointer")]
        pub(super) unsafe extern "C" fn $name(
            $this: *mut pyo3::ffi::PyObject,
            _: *mut pyo3::ffi::PyObject,
        ) -> *mut pyo3::ffi::PyObject {
            let $this = $this.cast::<$layout>();
            // SAFETY: the interpreter passes a live instance of the class.
            crate::boundary::object(|| unsafe { $body })
        }
    };
}

/// Defines the getter of an attribute, like [`noargs`].
macro_rules! getter {
    ($name:ident, |$this:ident: $layout:ty| $body:expr) => {
        #[allow(unused_unsafe, reason = "some bodies need no pointer")]
        pub(super) unsafe extern "C" fn $name(
            $this: *mut pyo3::ffi::PyObject,
            _: *mut core::ffi::c_void,
        ) -> *mut pyo3::ffi::PyObject {
            let $this = $this.cast::<$layout>();
            // SAFETY: the interpreter passes a live instance of the class.
            crate::boundary::object(|| unsafe { $body })
        }
    };
}

/// Defines the setter of an attribute: `value` is NULL for deletion, and the body answers a
/// `Res<()>`.
macro_rules! setter {
    ($name:ident, |$this:ident: $layout:ty, $value:ident| $body:expr) => {
        unsafe extern "C" fn $name(
            $this: *mut pyo3::ffi::PyObject,
            $value: *mut pyo3::ffi::PyObject,
            _: *mut core::ffi::c_void,
        ) -> core::ffi::c_int {
            let $this = $this.cast::<$layout>();
            // SAFETY: the interpreter passes a live instance of the class, and an object or
            // NULL.
            crate::boundary::status(|| unsafe { $body })
        }
    };
}

/// Defines `traverse`, `clear` and `dealloc` for a layout with weak references (`weakrefs`),
/// whose listed fields are owned, nullable references. What else is to be done when an object
/// is cleared comes first; methods must cope with what is left.
macro_rules! collected {
    ($layout:ty: $($field:ident),+) => {
        collected!($layout: $($field),+; |_this| ());
    };
    ($layout:ty: $($field:ident),+; |$this:pat_param| $first:expr) => {
        unsafe extern "C" fn traverse(
            this: *mut pyo3::ffi::PyObject,
            visit: pyo3::ffi::visitproc,
            arg: *mut core::ffi::c_void,
        ) -> core::ffi::c_int {
            // SAFETY: the collector passes a live instance of the class.
            unsafe {
                visit_opt!(pyo3::ffi::Py_TYPE(this).cast(), visit, arg);
                $(visit_opt!((*this.cast::<$layout>()).$field, visit, arg);)+
            }
            0
        }

        unsafe extern "C" fn clear(this: *mut pyo3::ffi::PyObject) -> core::ffi::c_int {
            // SAFETY: a live or dying instance; each field is empty before its content goes.
            crate::boundary::quiet(|| unsafe {
                let this = this.cast::<$layout>();
                let $this = this;
                $first;
                $(crate::object::set_slot(&raw mut (*this).$field, core::ptr::null_mut());)+
            });
            0
        }

        unsafe extern "C" fn dealloc(this: *mut pyo3::ffi::PyObject) {
            // SAFETY: the last reference is gone; untracked before the fields go.
            unsafe {
                pyo3::ffi::PyObject_GC_UnTrack(this.cast());
                if !(*this.cast::<$layout>()).weakrefs.is_null() {
                    pyo3::ffi::PyObject_ClearWeakRefs(this);
                }
                clear(this);
                crate::types::free_instance(this);
            }
        }
    };
}

/// The same for a class whose layout lists the addresses of what it owns (`slots`), and has no
/// weak references of its own.
macro_rules! collected_by_slots {
    ($layout:ty) => {
        unsafe extern "C" fn traverse(
            slf: *mut pyo3::ffi::PyObject,
            visit: pyo3::ffi::visitproc,
            arg: *mut core::ffi::c_void,
        ) -> core::ffi::c_int {
            // SAFETY: called by the collector on a live instance.
            unsafe {
                visit_opt!(pyo3::ffi::Py_TYPE(slf).cast(), visit, arg);
                for slot in <$layout>::slots(slf.cast()) {
                    visit_opt!(*slot, visit, arg);
                }
            }
            0
        }

        unsafe extern "C" fn clear(slf: *mut pyo3::ffi::PyObject) -> core::ffi::c_int {
            crate::boundary::quiet(|| {
                // SAFETY: called by the collector on a live instance, or by dealloc.
                unsafe {
                    for slot in <$layout>::slots(slf.cast()) {
                        crate::object::set_slot(slot, core::ptr::null_mut());
                    }
                }
            });
            0
        }

        unsafe extern "C" fn dealloc(slf: *mut pyo3::ffi::PyObject) {
            // SAFETY: the object is dead; untracked before its fields go.
            unsafe {
                pyo3::ffi::PyObject_GC_UnTrack(slf.cast());
                clear(slf);
                crate::types::free_instance(slf);
            }
        }
    };
}
