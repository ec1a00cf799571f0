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
        unsafe extern "C" fn $name(
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
        unsafe extern "C" fn $name(
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
