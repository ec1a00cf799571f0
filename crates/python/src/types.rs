//! Making heap types out of slots, by `PyType_FromModuleAndSpec`.
//!
//! The types of the hot path are raw: fastcall and vectorcall, `am_send`, and no
//! trampoline between the interpreter and the function.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::ptr;

use pyo3::ffi::{self, PyGetSetDef, PyMemberDef, PyMethodDef, PyObject, PyTypeObject};

use crate::docs::{self, Docs};
use crate::object::{Ref, Res, counts};

/// The functions of a type, collected before it is made.
pub(crate) struct TypeBuilder {
    name: &'static CStr,
    basicsize: usize,
    itemsize: usize,
    flags: u64,
    slots: Vec<ffi::PyType_Slot>,
    methods: Vec<PyMethodDef>,
    getset: Vec<PyGetSetDef>,
    members: Vec<PyMemberDef>,
}

impl TypeBuilder {
    /// `name` is dotted: `module.Class`. `T` is the C layout of an instance.
    pub(crate) fn new<T>(name: &'static CStr) -> TypeBuilder {
        TypeBuilder {
            name,
            basicsize: size_of::<T>(),
            itemsize: 0,
            flags: ffi::Py_TPFLAGS_DEFAULT,
            slots: Vec::new(),
            methods: Vec::new(),
            getset: Vec::new(),
            members: Vec::new(),
        }
    }

    /// The size of one of the trailing items of a variable-size object.
    pub(crate) fn itemsize(mut self, size: usize) -> Self {
        self.itemsize = size;
        self
    }

    /// Adds `Py_TPFLAGS_*`.
    pub(crate) fn flags(mut self, flags: u64) -> Self {
        self.flags |= flags;
        self
    }

    /// Adds one slot: `Py_tp_dealloc` and the like.
    pub(crate) fn slot(mut self, slot: c_int, function: *mut c_void) -> Self {
        self.slots.push(ffi::PyType_Slot {
            slot,
            pfunc: function,
        });
        self
    }

    /// The class's docstring.
    pub(crate) fn doc(self, doc: &'static CStr) -> Self {
        self.slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast())
    }

    /// Docstrings of the methods.
    pub(crate) fn docs(mut self, docs: Docs) -> Self {
        add_docs(&mut self.methods, docs);
        self
    }

    /// Adds a method without arguments.
    pub(crate) fn noargs(mut self, name: &'static CStr, function: ffi::PyCFunction) -> Self {
        self.methods.push(PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer {
                PyCFunction: function,
            },
            ml_flags: ffi::METH_NOARGS,
            ml_doc: ptr::null(),
        });
        self
    }

    /// Adds a method without arguments whose name a slot serves as well: Python code that
    /// calls it by name gets the method, the interpreter uses the slot.
    pub(crate) fn noargs_beside_slot(
        self,
        name: &'static CStr,
        function: ffi::PyCFunction,
    ) -> Self {
        let mut with_method = self.noargs(name, function);
        if let Some(method) = with_method.methods.last_mut() {
            method.ml_flags |= ffi::METH_COEXIST;
        }
        with_method
    }

    /// Adds a method with exactly one positional argument.
    pub(crate) fn onearg(mut self, name: &'static CStr, function: ffi::PyCFunction) -> Self {
        self.methods.push(onearg_def(name, function));
        self
    }

    /// Adds a method that receives vectorcall arguments.
    pub(crate) fn fastcall(
        mut self,
        name: &'static CStr,
        function: ffi::PyCFunctionFastWithKeywords,
    ) -> Self {
        self.methods.push(fastcall_def(name, function));
        self
    }

    /// `__class_getitem__` as for the standard generic classes.
    pub(crate) fn generic(mut self) -> Self {
        self.methods.push(PyMethodDef {
            ml_name: c"__class_getitem__".as_ptr(),
            ml_meth: ffi::PyMethodDefPointer {
                PyCFunction: class_getitem,
            },
            ml_flags: ffi::METH_O | ffi::METH_CLASS,
            ml_doc: ptr::null(),
        });
        self
    }

    /// Adds a read-only attribute.
    pub(crate) fn get(self, name: &'static CStr, get: ffi::getter) -> Self {
        self.property(name, get, None)
    }

    /// Adds an attribute.
    pub(crate) fn property(
        mut self,
        name: &'static CStr,
        get: ffi::getter,
        set: Option<ffi::setter>,
    ) -> Self {
        self.getset.push(PyGetSetDef {
            name: name.as_ptr(),
            get: Some(get),
            set,
            doc: ptr::null(),
            closure: ptr::null_mut(),
        });
        self
    }

    /// Where an instance keeps the head of its weak references.
    pub(crate) fn weaklist_offset(self, offset: usize) -> Self {
        self.offset_member(c"__weaklistoffset__", offset)
    }

    /// Where an instance keeps the function that calls it.
    pub(crate) fn vectorcall_offset(self, offset: usize) -> Self {
        self.offset_member(c"__vectorcalloffset__", offset)
    }

    /// Where an instance keeps its `__dict__`.
    pub(crate) fn dict_offset(self, offset: usize) -> Self {
        let mut with_dict = self.offset_member(c"__dictoffset__", offset);
        with_dict.getset.push(PyGetSetDef {
            name: c"__dict__".as_ptr(),
            get: Some(ffi::PyObject_GenericGetDict),
            set: Some(ffi::PyObject_GenericSetDict),
            doc: ptr::null(),
            closure: ptr::null_mut(),
        });
        with_dict
    }

    fn offset_member(mut self, name: &'static CStr, offset: usize) -> Self {
        self.members.push(PyMemberDef {
            name: name.as_ptr(),
            type_code: ffi::Py_T_PYSSIZET,
            offset: offset as ffi::Py_ssize_t,
            flags: ffi::Py_READONLY,
            doc: ptr::null(),
        });
        self
    }

    /// Makes the type. `base` is NULL for `object`. The tables live as long as the process.
    pub(crate) unsafe fn build(
        mut self,
        module: *mut PyObject,
        base: *mut PyTypeObject,
    ) -> Res<*mut PyTypeObject> {
        // SAFETY: all zero is the sentinel that ends each table.
        unsafe {
            self.methods.push(core::mem::zeroed());
            self.getset.push(core::mem::zeroed());
            self.members.push(core::mem::zeroed());
        }
        let tables: [(c_int, *mut c_void); 3] = [
            (
                ffi::Py_tp_methods,
                Vec::leak(self.methods).as_mut_ptr().cast(),
            ),
            (
                ffi::Py_tp_getset,
                Vec::leak(self.getset).as_mut_ptr().cast(),
            ),
            (
                ffi::Py_tp_members,
                Vec::leak(self.members).as_mut_ptr().cast(),
            ),
        ];
        for (slot, pfunc) in tables {
            self.slots.push(ffi::PyType_Slot { slot, pfunc });
        }
        self.slots.push(ffi::PyType_Slot {
            slot: 0,
            pfunc: ptr::null_mut(),
        });
        let spec = Box::leak(Box::new(ffi::PyType_Spec {
            name: self.name.as_ptr(),
            basicsize: self.basicsize as c_int,
            itemsize: self.itemsize as c_int,
            flags: self.flags as c_uint,
            slots: Vec::leak(self.slots).as_mut_ptr(),
        }));
        // SAFETY: the spec and its tables are complete and leaked; `base` is a type or NULL.
        unsafe {
            let made = Ref::checked(ffi::PyType_FromModuleAndSpec(module, spec, base.cast()))?;
            Ok(made.into_ptr().cast())
        }
    }
}

/// A definition of a function of exactly one positional argument.
pub(crate) fn onearg_def(name: &'static CStr, function: ffi::PyCFunction) -> PyMethodDef {
    PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunction: function,
        },
        ml_flags: ffi::METH_O,
        ml_doc: ptr::null(),
    }
}

/// A method definition for a vectorcall function.
pub(crate) fn fastcall_def(
    name: &'static CStr,
    function: ffi::PyCFunctionFastWithKeywords,
) -> PyMethodDef {
    PyMethodDef {
        ml_name: name.as_ptr().cast::<c_char>(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunctionFastWithKeywords: function,
        },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: ptr::null(),
    }
}

fn add_docs(methods: &mut [PyMethodDef], docs: Docs) {
    for method in methods {
        // SAFETY: names are C strings that live as long as the process.
        let name = unsafe { CStr::from_ptr(method.ml_name) };
        if let Some(text) = docs::find(docs, name) {
            method.ml_doc = text.as_ptr();
        }
    }
}

/// Adds builtin functions to a module under their own names.
pub(crate) unsafe fn add_functions(module: *mut PyObject, functions: Vec<PyMethodDef>) -> Res<()> {
    let mut table = functions;
    add_docs(&mut table, docs::FUNCTIONS);
    // SAFETY: all zero ends the table, which lives as long as the process.
    unsafe {
        table.push(core::mem::zeroed());
        crate::object::check(ffi::PyModule_AddFunctions(
            module,
            Vec::leak(table).as_mut_ptr(),
        ))
    }
}

unsafe extern "C" fn class_getitem(class: *mut PyObject, item: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a class and an object.
    unsafe { ffi::Py_GenericAlias(class, item) }
}

/// Drops the reference that an instance of a heap type holds to its type; the last step of
/// every `tp_dealloc` here.
pub(crate) unsafe fn free_instance(obj: *mut PyObject) {
    // SAFETY: `obj` is dead and untracked, says the caller; tp_free fits its allocator.
    unsafe {
        let class = ffi::Py_TYPE(obj);
        if let Some(free) = (*class).tp_free {
            free(obj.cast());
        }
        counts::decrement(class.cast());
    }
}
