//! Functions and methods that make coroutines.
//!
//! A builtin function would do, but for one thing: `inspect.iscoroutinefunction` (and so
//! `unittest.mock.patch`, which then puts an AsyncMock in its place) recognises only Python
//! functions and objects that carry a mark. Builtins carry no attributes; these do.

use core::ffi::{CStr, c_int, c_void};
use core::mem::offset_of;
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::bound;
use crate::boundary;
use crate::global::Global;
use crate::names::names;
use crate::object::{Ref, Res, check, import, set_slot, to_string, type_error, type_name};
use crate::types::{TypeBuilder, free_instance};

unsafe extern "C" {
    // Part of the stable C API, and not in pyo3-ffi.
    fn PyMethod_New(function: *mut PyObject, instance: *mut PyObject) -> *mut PyObject;
}

/// One coroutine function of a module, or method of a class.
pub(crate) struct FunctionDef {
    pub(crate) name: &'static CStr,
    /// The module it is known by in Python, `rasyncio.tasks` for instance.
    pub(crate) module: &'static CStr,
    pub(crate) doc: &'static CStr,
    /// The parameters as in a `def`, with the parentheses; a method's begin with `self`.
    pub(crate) signature: &'static str,
    /// Receives vectorcall arguments; the first parameter is the instance, or NULL for a
    /// function.
    pub(crate) call: ffi::PyCFunctionFastWithKeywords,
}

#[repr(C)]
struct FunctionObject {
    head: PyObject,
    vectorcall: ffi::vectorcallfunc,
    def: &'static FunctionDef,
    /// The class that it is a method of, or NULL. Classes of this crate live for ever.
    class: *mut PyTypeObject,
    dict: *mut PyObject,
    weakrefs: *mut PyObject,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// Makes the function and adds it to the module.
pub(crate) unsafe fn add_function(module: *mut PyObject, def: &'static FunctionDef) -> Res<()> {
    // SAFETY: `module` is being initialised, says the caller.
    unsafe {
        let function = new(ptr::null_mut(), def)?;
        check(ffi::PyModule_AddObjectRef(
            module,
            def.name.as_ptr(),
            function.ptr(),
        ))
    }
}

/// Makes methods and adds them to a class that nobody uses yet.
pub(crate) unsafe fn add_methods(
    class: *mut PyTypeObject,
    defs: &[&'static FunctionDef],
) -> Res<()> {
    for def in defs {
        // SAFETY: a class of ours, whose attributes may be set.
        unsafe {
            let method = new(class, def)?;
            check(ffi::PyObject_SetAttrString(
                class.cast(),
                def.name.as_ptr(),
                method.ptr(),
            ))?;
        }
    }
    Ok(())
}

unsafe fn new(class: *mut PyTypeObject, def: &'static FunctionDef) -> Res {
    // SAFETY: the object is tracked when whole; `class` is NULL or alive for ever.
    unsafe {
        let dict = Ref::dict()?;
        for (name, value) in [(c"__module__", def.module), (c"__doc__", def.doc)] {
            let value = Ref::checked(ffi::PyUnicode_FromString(value.as_ptr()))?;
            check(ffi::PyDict_SetItemString(
                dict.ptr(),
                name.as_ptr(),
                value.ptr(),
            ))?;
        }
        // asyncio's own mark, where it still is.
        let mark = Ref::str("_is_coroutine")?;
        if let Some(value) = import(c"asyncio.coroutines")?.attr_opt(mark.ptr())? {
            check(ffi::PyDict_SetItem(dict.ptr(), mark.ptr(), value.ptr()))?;
        }
        let function: *mut FunctionObject = ffi::PyObject_GC_New(*TYPE.get());
        let owned = Ref::checked(function.cast())?;
        (&raw mut (*function).vectorcall).write(vectorcall);
        (&raw mut (*function).def).write(def);
        (&raw mut (*function).class).write(class);
        (&raw mut (*function).dict).write(dict.into_ptr());
        (&raw mut (*function).weakrefs).write(ptr::null_mut());
        ffi::PyObject_GC_Track(function.cast());
        // inspect's mark, from 3.12 on.
        let mark = Ref::str("markcoroutinefunction")?;
        if let Some(mark) = import(c"inspect")?.attr_opt(mark.ptr())? {
            mark.call1(owned.ptr())?;
        }
        Ok(owned)
    }
}

unsafe extern "C" fn vectorcall(
    callable: *mut PyObject,
    args: *const *mut PyObject,
    nargsf: usize,
    kwnames: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: an instance of our type; the arguments are passed on as they came.
    unsafe {
        let function = callable.cast::<FunctionObject>();
        let def = (*function).def;
        let nargs = ffi::PyVectorcall_NARGS(nargsf);
        if (*function).class.is_null() {
            return (def.call)(ptr::null_mut(), args, nargs, kwnames);
        }
        if nargs == 0 || ffi::PyObject_TypeCheck(*args, (*function).class) == 0 {
            return wrong_instance(function, (nargs != 0).then(|| *args));
        }
        (def.call)(*args, args.add(1), nargs - 1, kwnames)
    }
}

/// A method called through its class, with something else for `self` or without.
#[cold]
unsafe fn wrong_instance(
    function: *mut FunctionObject,
    given: Option<*mut PyObject>,
) -> *mut PyObject {
    // SAFETY: alive, says the caller.
    boundary::object(|| unsafe {
        let name = (*function).def.name.to_string_lossy();
        let class = type_label((*function).class)?;
        Err(type_error(&match given {
            Some(given) => format!(
                "descriptor '{name}' for '{class}' objects doesn't apply to a '{}' object",
                type_name(given)
            ),
            None => {
                format!("{class}.{name}() missing 1 required positional argument: 'self'")
            }
        }))
    })
}

/// `class.__qualname__`
unsafe fn type_label(class: *mut PyTypeObject) -> Res<String> {
    // SAFETY: alive, says the caller.
    unsafe { to_string(&Ref::borrow(class.cast()).attr(names().__qualname__)?) }
}

/// In a class, the function is a method like any other. Those of `async with` are bound often,
/// and so at less cost.
unsafe extern "C" fn descr_get(
    object: *mut PyObject,
    instance: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: alive; NULL or None means access through the class.
    unsafe {
        if instance.is_null() || instance == ffi::Py_None() {
            return Ref::borrow(object).into_ptr();
        }
        let (def, class) = (def_of(object), (*object.cast::<FunctionObject>()).class);
        if def.is_special() && !class.is_null() && ffi::PyObject_TypeCheck(instance, class) != 0 {
            return boundary::object(|| bound::new(def, object, instance));
        }
        PyMethod_New(object, instance)
    }
}

impl FunctionDef {
    /// Whether it has a name such as `__aenter__`.
    #[inline]
    fn is_special(&self) -> bool {
        self.name.to_bytes().starts_with(b"__")
    }
}

unsafe fn def_of(object: *mut PyObject) -> &'static FunctionDef {
    // SAFETY: an instance of our type, says the caller.
    unsafe { (*object.cast::<FunctionObject>()).def }
}

unsafe extern "C" fn name(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: the descriptor passes an instance of our type.
    unsafe { ffi::PyUnicode_FromString(def_of(object).name.as_ptr()) }
}

unsafe extern "C" fn qualname(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: the descriptor passes an instance of our type.
    boundary::object(|| unsafe {
        let (def, class) = (def_of(object), (*object.cast::<FunctionObject>()).class);
        let name = def.name.to_string_lossy();
        if class.is_null() {
            return Ref::str(&name);
        }
        Ref::str(&format!("{}.{name}", type_label(class)?))
    })
}

/// Made by the interpreter itself, from a `lambda` with the same parameters.
unsafe extern "C" fn signature(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: the descriptor passes an instance of our type.
        let parameters = unsafe { def_of(object) }.signature;
        let parameters = &parameters[1..parameters.len() - 1];
        let source = Ref::str(&format!("lambda {parameters}: None"))?;
        let eval = import(c"builtins")?.attr(Ref::str("eval")?.ptr())?;
        let lambda = eval.call(&[source.ptr(), Ref::dict()?.ptr()])?;
        import(c"inspect")?
            .attr(Ref::str("signature")?.ptr())?
            .call1(lambda.ptr())
    })
}

unsafe extern "C" fn repr(object: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: an instance of our type, alive.
        let name = unsafe { Ref::checked(qualname(object, ptr::null_mut())) }?;
        Ref::str(&format!("<function {} at {object:p}>", to_string(&name)?))
    })
}

/// Pickled and copied as what its module calls it.
unsafe extern "C" fn reduce(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type.
    unsafe { qualname(object, ptr::null_mut()) }
}

unsafe extern "C" fn traverse(
    object: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the collector passes an instance of our type.
    unsafe {
        visit_opt!(ffi::Py_TYPE(object).cast(), visit, arg);
        visit_opt!((*object.cast::<FunctionObject>()).dict, visit, arg);
    }
    0
}

unsafe extern "C" fn clear(object: *mut PyObject) -> c_int {
    // SAFETY: the collector passes an instance of our type.
    unsafe {
        set_slot(
            &raw mut (*object.cast::<FunctionObject>()).dict,
            ptr::null_mut(),
        )
    };
    0
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: the last reference is gone.
    unsafe {
        ffi::PyObject_GC_UnTrack(object.cast());
        if !(*object.cast::<FunctionObject>()).weakrefs.is_null() {
            ffi::PyObject_ClearWeakRefs(object);
        }
        clear(object);
        free_instance(object);
    }
}

/// Makes the type; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let flags = ffi::Py_TPFLAGS_HAVE_GC
        | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
        | ffi::Py_TPFLAGS_HAVE_VECTORCALL
        | ffi::Py_TPFLAGS_METHOD_DESCRIPTOR
        // Without it the interpreter does not remember where a method was found.
        | ffi::Py_TPFLAGS_IMMUTABLETYPE;
    let builder = TypeBuilder::new::<FunctionObject>(c"rasyncio.coroutine_function")
        .doc(c"A function that makes native coroutines.")
        .flags(flags)
        .slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void)
        .slot(ffi::Py_tp_descr_get, descr_get as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(
            ffi::Py_tp_getattro,
            ffi::PyObject_GenericGetAttr as *mut c_void,
        )
        .slot(
            ffi::Py_tp_setattro,
            ffi::PyObject_GenericSetAttr as *mut c_void,
        )
        .noargs(c"__reduce__", reduce)
        .get(c"__name__", name)
        .get(c"__qualname__", qualname)
        .get(c"__signature__", signature)
        .vectorcall_offset(offset_of!(FunctionObject, vectorcall))
        .weaklist_offset(offset_of!(FunctionObject, weakrefs))
        .dict_offset(offset_of!(FunctionObject, dict));
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe { TYPE.set(builder.build(module, ptr::null_mut())?) };
    Ok(())
}
