//! Arguments of native functions: a static signature, parsed from vectorcall's array or
//! from a tuple and a dict, with the interpreter's own wording of the errors.

use core::ptr;

use pyo3::ffi::{self, Py_ssize_t, PyObject};

use crate::object::{Raised, Res, str_of, type_error};

/// The parameters of one native function.
pub(crate) struct Signature {
    /// The name used in error messages.
    name: &'static str,
    /// Names of the parameters without a default that may be given by position.
    required: &'static [&'static str],
    /// Names of those with a default, which follow them.
    optional: &'static [&'static str],
    /// Whether none of these can be given by keyword.
    positional_only: bool,
    /// Whether further positional arguments are collected (`*args`).
    varargs: bool,
    /// Names of the keyword-only parameters, all optional.
    keyword_only: &'static [&'static str],
}

/// Positional arguments beyond the named ones, as passed.
pub(crate) type Rest<'a> = &'a [*mut PyObject];

impl Signature {
    /// A function whose parameters, given by position or keyword, have no defaults.
    pub(crate) const fn required(
        name: &'static str,
        required: &'static [&'static str],
    ) -> Signature {
        Signature {
            name,
            required,
            optional: &[],
            positional_only: false,
            varargs: false,
            keyword_only: &[],
        }
    }

    /// More of them, with defaults.
    pub(crate) const fn optional(mut self, names: &'static [&'static str]) -> Signature {
        self.optional = names;
        self
    }

    /// They cannot be given by keyword.
    pub(crate) const fn positional_only(mut self) -> Signature {
        self.positional_only = true;
        self
    }

    /// `*args`
    pub(crate) const fn varargs(mut self) -> Signature {
        self.varargs = true;
        self
    }

    /// Parameters that can be given by keyword only, and need not.
    pub(crate) const fn keywords(mut self, names: &'static [&'static str]) -> Signature {
        self.keyword_only = names;
        self
    }

    /// How many may be given by position.
    const fn positional(&self) -> usize {
        self.required.len() + self.optional.len()
    }

    /// All names, in the order of the answer of [`Signature::parse`].
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let named = self.required.iter().chain(self.optional);
        named.chain(self.keyword_only).copied()
    }

    /// Parses vectorcall arguments. The first entries of the answer are
    /// the positional parameters, then the keyword-only ones; absent ones are NULL. All are
    /// borrowed.
    #[inline(always)]
    pub(crate) unsafe fn parse<'a, const N: usize>(
        &self,
        args: *const *mut PyObject,
        nargs: Py_ssize_t,
        kwnames: *mut PyObject,
    ) -> Res<([*mut PyObject; N], Rest<'a>)> {
        debug_assert_eq!(N, self.names().count());
        // SAFETY: vectorcall's contract, passed on.
        unsafe {
            let (given, least) = (nargs as usize, self.required.len());
            if kwnames.is_null() && given >= least && given <= self.positional() {
                // The common case.
                let mut out = [ptr::null_mut(); N];
                for (i, slot) in out.iter_mut().enumerate().take(given) {
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
            let named = nargs.min(self.positional());
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
            self.check_required(&out)?;
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
            if nargs as usize > self.positional() {
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
            self.check_required(&out)?;
            Ok(out)
        }
    }

    fn check_required(&self, out: &[*mut PyObject]) -> Res<()> {
        let required = &out[..self.required.len()];
        if required.iter().any(|value| value.is_null()) {
            return Err(self.missing(required));
        }
        Ok(())
    }

    unsafe fn keyword(
        &self,
        out: &mut [*mut PyObject],
        name: *mut PyObject,
        value: *mut PyObject,
    ) -> Res<()> {
        // SAFETY: keywords' names are `str`s, which live as long as the call.
        let text = unsafe { text_of(name) };
        let hidden = if self.positional_only {
            self.positional()
        } else {
            0
        };
        let found = self.names().position(|known| known.as_bytes() == text);
        let Some(slot) = found.filter(|&slot| slot >= hidden) else {
            return Err(self.unexpected(name));
        };
        if !out[slot].is_null() {
            return Err(self.given_twice(slot));
        }
        out[slot] = value;
        Ok(())
    }

    #[cold]
    fn unexpected(&self, name: *mut PyObject) -> Raised {
        match str_of(name) {
            Ok(name) => type_error(&format!(
                "{}() got an unexpected keyword argument '{name}'",
                self.name
            )),
            Err(raised) => raised,
        }
    }

    #[cold]
    fn given_twice(&self, slot: usize) -> Raised {
        let name = self.names().nth(slot).unwrap_or_default();
        type_error(&format!(
            "{}() got multiple values for argument '{name}'",
            self.name
        ))
    }

    #[cold]
    fn too_many(&self, given: usize) -> Raised {
        // A method counts itself, as one that is written in Python does.
        let this = usize::from(self.name.contains('.'));
        let (most, given) = (self.positional() + this, given + this);
        let required = self.required.len() + this;
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
            .zip(self.required)
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

/// The text of a `str`; none of what cannot be encoded, which is no parameter's name.
unsafe fn text_of<'a>(name: *mut PyObject) -> &'a [u8] {
    // SAFETY: a `str`, says the caller, which keeps the bytes for as long as it lives.
    unsafe {
        let mut len = 0;
        let data = ffi::PyUnicode_AsUTF8AndSize(name, &mut len);
        if data.is_null() {
            ffi::PyErr_Clear();
            return &[];
        }
        core::slice::from_raw_parts(data.cast(), len as usize)
    }
}
