//! What that the object types share as a macro.

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
/// answers a `Res`.
macro_rules! vectorcall {
    ($name:ident, |$this:ident, $signature:ident $args:pat_param| $body:expr) => {
        unsafe extern "C" fn $name(
            $this: *mut pyo3::ffi::PyObject,
            args: *const *mut pyo3::ffi::PyObject,
            nargs: pyo3::ffi::Py_ssize_t,
            kwnames: *mut pyo3::ffi::PyObject,
        ) -> *mut pyo3::ffi::PyObject {
            crate::boundary::object(|| {
                // SAFETY: vectorcall's contract, and a method is given an instance of the
                // class that it was defined in.
                unsafe {
                    let ($args, _) = $signature.parse(args, nargs, kwnames)?;
                    $body
                }
            })
        }
    };
}
