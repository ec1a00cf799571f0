//! Arguments of native functions: a static signature, parsed from vectorcall's array or
//! from a tuple and a dict, with the interpreter's own wording of the errors.

use core::ptr;

use pyo3::ffi::{self, Py_ssize_t, PyObject};

use crate::object::{Raised, Res, str_of, type_error};

/// The parameters of one native function.
pub(crate) struct Signature {
    /// The name used in error messages.
    pub(crate) name: &'static str,
    /// Names of the parameters that may be given by position (and by keyword, unless
    /// they are among the first `positional_only`).
    pub(crate) positional: &'static [&'static str],
    /// How many of `positional` have no default.
    pub(crate) required: usize,
    /// How many of `positional` cannot be given by keyword.
    pub(crate) positional_only: usize,
    /// Whether further positional arguments are collected (`*args`).
    pub(crate) varargs: bool,
    /// Names of the keyword-only parameters, all optional.
    pub(crate) keyword_only: &'static [&'static str],
}

/// Positional arguments beyond the named ones, as passed.
pub(crate) type Rest<'a> = &'a [*mut PyObject];

impl Signature {
    /// A function whose parameters have no defaults.
    pub(crate) const fn required(
        name: &'static str,
        positional: &'static [&'static str],
    ) -> Signature {
        Signature {
            name,
            positional,
            required: positional.len(),
            positional_only: 0,
            varargs: false,
            keyword_only: &[],
        }
    }

    /// Parses vectorcall arguments. The first `positional.len()` entries of the answer are
    /// the positional parameters, then the keyword-only ones; absent ones are NULL. All are
    /// borrowed.
    #[inline(always)]
    pub(crate) unsafe fn parse<'a, const N: usize>(
        &self,
        args: *const *mut PyObject,
        nargs: Py_ssize_t,
        kwnames: *mut PyObject,
    ) -> Res<([*mut PyObject; N], Rest<'a>)> {
        debug_assert_eq!(N, self.positional.len() + self.keyword_only.len());
        // SAFETY: vectorcall's contract, passed on.
        unsafe {
            if kwnames.is_null() && nargs as usize == self.required {
                // The common case: just the parameters without a default.
                let mut out = [ptr::null_mut(); N];
                for (i, slot) in out.iter_mut().enumerate().take(self.required) {
                    *slot = *args.add(i);
                }
                return Ok((out, &[]));
            }
            self.parse_any(args, nargs as usize, kwnames)
        }
    }

    #[inline(never)]
    unsafe fn parse_any<'a, const N: usize>(
        &self,
        args: *const *mut PyObject,
        nargs: usize,
        kwnames: *mut PyObject,
    ) -> Res<([*mut PyObject; N], Rest<'a>)> {
        let mut out = [ptr::null_mut(); N];
        // SAFETY: vectorcall's contract: `nargs` values, then one for each keyword name.
        unsafe {
            let given: &'a [*mut PyObject] = if nargs == 0 {
                &[]
            } else {
                core::slice::from_raw_parts(args, nargs)
            };
            let named = nargs.min(self.positional.len());
            out[..named].copy_from_slice(&given[..named]);
            let rest = &given[named..];
            if !rest.is_empty() && !self.varargs {
                return Err(self.too_many(nargs));
            }
            if !kwnames.is_null() {
                for i in 0..ffi::PyTuple_GET_SIZE(kwnames) {
                    let name = ffi::PyTuple_GET_ITEM(kwnames, i);
                    self.keyword(&mut out, name, *args.add(nargs + i as usize))?;
                }
            }
            if out[..self.required].iter().any(|value| value.is_null()) {
                return Err(self.missing(&out[..self.required]));
            }
            Ok((out, rest))
        }
    }

    /// Parses what `tp_new` and `tp_init` receive; collects no varargs.
    pub(crate) unsafe fn parse_tuple<const N: usize>(
        &self,
        args: *mut PyObject,
        kwargs: *mut PyObject,
    ) -> Res<[*mut PyObject; N]> {
        debug_assert!(!self.varargs);
        // SAFETY: `args` is a tuple and `kwargs` a dict or NULL, by the slots' contract.
        unsafe {
            let nargs = ffi::PyTuple_GET_SIZE(args);
            if nargs as usize > self.positional.len() {
                return Err(self.too_many(nargs as usize));
            }
            let mut out = [ptr::null_mut(); N];
            for i in 0..nargs {
                out[i as usize] = ffi::PyTuple_GET_ITEM(args, i);
            }
            if !kwargs.is_null() {
                let (mut pos, mut key, mut value) = (0, ptr::null_mut(), ptr::null_mut());
                while ffi::PyDict_Next(kwargs, &mut pos, &mut key, &mut value) != 0 {
                    self.keyword(&mut out, key, value)?;
                }
            }
            if out[..self.required].iter().any(|value| value.is_null()) {
                return Err(self.missing(&out[..self.required]));
            }
            Ok(out)
        }
    }

    unsafe fn keyword(
        &self,
        out: &mut [*mut PyObject],
        name: *mut PyObject,
        value: *mut PyObject,
    ) -> Res<()> {
        let names = self.positional.iter().chain(self.keyword_only);
        for (slot, &known) in names.enumerate() {
            // SAFETY: keyword names are `str`s; `same_text` compares without raising.
            if unsafe { same_text(name, known) } && slot >= self.positional_only {
                if !out[slot].is_null() {
                    return Err(type_error(&format!(
                        "{}() got multiple values for argument '{known}'",
                        self.name
                    )));
                }
                out[slot] = value;
                return Ok(());
            }
        }
        let name = str_of(name)?;
        Err(type_error(&format!(
            "{}() got an unexpected keyword argument '{name}'",
            self.name
        )))
    }

    #[cold]
    fn too_many(&self, given: usize) -> Raised {
        // A method counts itself, as one that is written in Python does.
        let this = usize::from(self.name.contains('.'));
        let (most, given) = (self.positional.len() + this, given + this);
        let required = self.required + this;
        let takes = if required == most {
            format!("{most}")
        } else {
            format!("from {required} to {most}")
        };
        let (plural, were) = (
            if most == 1 { "" } else { "s" },
            if given == 1 { "was" } else { "were" },
        );
        type_error(&format!(
            "{}() takes {takes} positional argument{plural} but {given} {were} given",
            self.name
        ))
    }

    #[cold]
    fn missing(&self, required: &[*mut PyObject]) -> Raised {
        let names: Vec<String> = required
            .iter()
            .zip(self.positional)
            .filter(|(value, _)| value.is_null())
            .map(|(_, name)| format!("'{name}'"))
            .collect();
        let plural = if names.len() == 1 { "" } else { "s" };
        let list = match names.as_slice() {
            [.., last] if names.len() > 1 => {
                let comma = if names.len() > 2 { "," } else { "" };
                format!("{}{comma} and {last}", names[..names.len() - 1].join(", "))
            }
            _ => names.join(""),
        };
        type_error(&format!(
            "{}() missing {} required positional argument{plural}: {list}",
            self.name,
            names.len()
        ))
    }
}

unsafe fn same_text(name: *mut PyObject, known: &str) -> bool {
    // SAFETY: `name` is a str; a length check first, so the compare sees ASCII of its size.
    unsafe {
        ffi::PyUnicode_GetLength(name) as usize == known.len() && {
            let mut buffer = [0u8; 40];
            debug_assert!(known.len() < buffer.len());
            buffer[..known.len()].copy_from_slice(known.as_bytes());
            ffi::PyUnicode_CompareWithASCIIString(name, buffer.as_ptr().cast()) == 0
        }
    }
}
