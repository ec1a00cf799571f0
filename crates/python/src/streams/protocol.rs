//! From the transport to the reader: what is hot of `StreamReaderProtocol`.
//!
//! The class is put before the standard library's in the bases of ours, so that the attributes
//! that it has are here, where `drain` can look at them, and its methods use them unawares.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::reader;
use crate::boundary;
use crate::direct::Direct;
use crate::global::Global;
use crate::names::names;
use crate::object::{Ref, Res, check, counts, import, referent, set_slot};
use crate::types::{TypeBuilder, free_instance};

#[repr(C)]
pub(super) struct ProtocolObject {
    ob_base: PyObject,
    /// A weak reference to the reader, or NULL: a reader that nobody has any more reads nothing.
    reader: *mut PyObject,
    paused: bool,
    connection_lost: bool,
    /// A method of the object was replaced that others of ours call directly.
    altered: bool,
}

/// What a writer has to do before it may go on.
pub(super) enum Flow {
    Open,
    Lost,
    /// Await the protocol's own `_drain_helper`.
    Ask,
}

struct Known {
    class: *mut PyTypeObject,
    /// The standard library's `_drain_helper`, which [`flow`] stands for.
    drain_helper: Ref,
    /// The class that was seen to have it last; kept alive.
    seen: core::cell::Cell<*mut PyTypeObject>,
}

static KNOWN: Global<Known> = Global::new();

/// What `_drain_helper` would do, if nobody has overridden it.
#[inline]
pub(super) unsafe fn flow(protocol: *mut PyObject) -> Res<Flow> {
    let known = KNOWN.get();
    // SAFETY: alive, says the caller; an instance of our class has our layout.
    unsafe {
        let class = ffi::Py_TYPE(protocol);
        if class != known.seen.get() {
            if ffi::PyType_IsSubtype(class, known.class) == 0 {
                return Ok(Flow::Ask);
            }
            let helper = Ref::borrow(class.cast()).attr(names()._drain_helper)?;
            if !helper.is(known.drain_helper.ptr()) {
                return Ok(Flow::Ask);
            }
            counts::increment(class.cast());
            let before = known.seen.replace(class);
            drop(Ref::own_opt(before.cast()));
        }
        let this = protocol.cast::<ProtocolObject>();
        Ok(if (*this).connection_lost {
            Flow::Lost
        } else if (*this).paused {
            Flow::Ask
        } else {
            Flow::Open
        })
    }
}

static DIRECT: Direct = Direct::new();

/// The methods that others of ours call directly, or go past.
fn direct_methods() -> [*mut PyObject; 2] {
    [names().data_received, names().eof_received]
}

/// Whether it is one of ours, whatever its methods are.
pub(crate) unsafe fn is_protocol(object: *mut PyObject) -> bool {
    // SAFETY: alive, says the caller.
    unsafe { ffi::PyType_IsSubtype(ffi::Py_TYPE(object), KNOWN.get().class) != 0 }
}

/// Whether [`data_received`] is the object's method of that name, and its end of file is ours too.
#[inline]
pub(crate) unsafe fn is_direct(protocol: *mut PyObject) -> bool {
    // SAFETY: alive, says the caller; an instance of our class has our layout.
    unsafe {
        DIRECT.has(protocol, KNOWN.get().class, direct_methods)
            && !(*protocol.cast::<ProtocolObject>()).altered
    }
}

unsafe extern "C" fn setattro(
    slf: *mut PyObject,
    name: *mut PyObject,
    value: *mut PyObject,
) -> c_int {
    // SAFETY: the interpreter passes an instance, a str, and a value or NULL.
    unsafe {
        if direct_methods().contains(&name) {
            (*slf.cast::<ProtocolObject>()).altered = true;
        }
        ffi::PyObject_GenericSetAttr(slf, name, value)
    }
}

/// The reader, or None.
#[inline]
unsafe fn reader_of(protocol: *mut PyObject) -> Res {
    // SAFETY: alive, says the caller. The reference is held, as it may be anything that can be called.
    unsafe {
        match Ref::borrow_opt((*protocol.cast::<ProtocolObject>()).reader) {
            Some(reference) => referent(reference.ptr()),
            None => Ok(Ref::none()),
        }
    }
}

/// Something has come for one of ours on that transport: wakes who waits to receive it. False if it
/// is to be received now.
#[inline]
pub(crate) unsafe fn wake_puller(protocol: *mut PyObject, transport: *mut PyObject) -> Res<bool> {
    // SAFETY: both alive, says the caller.
    unsafe {
        if !is_direct(protocol) {
            return Ok(false);
        }
        let reader = reader_of(protocol)?;
        match reader::as_direct(reader.ptr()) {
            Some(reader) => reader::wake_puller(reader, transport),
            None => Ok(false),
        }
    }
}

/// `protocol.data_received(data)`, of one of ours.
#[inline]
pub(crate) unsafe fn data_received(protocol: *mut PyObject, data: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        let reader = reader_of(protocol)?;
        match reader::as_direct(reader.ptr()) {
            Some(reader) => reader::feed_data(reader, data),
            None if reader.is_none() => Ok(()),
            None => reader.call_method(names().feed_data, &[data]).map(drop),
        }
    }
}

unsafe extern "C" fn data_received_method(
    slf: *mut PyObject,
    data: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance and a live object.
    boundary::object(|| unsafe { data_received(slf, data) }.map(|()| Ref::none()))
}

// The transport stays open for writing, unless that would be half a TLS connection.
noargs!(eof_received, |this: ProtocolObject| {
    let reader = reader_of(this.cast())?;
    match reader::as_direct(reader.ptr()) {
        Some(reader) => reader::feed_eof(reader)?,
        None if reader.is_none() => {}
        None => drop(reader.call_method(names().feed_eof, &[])?),
    }
    let over_tls = Ref::borrow(this.cast()).attr(names()._over_ssl)?.truth()?;
    Ok(Ref::bool(!over_tls))
});

getter!(get_reader, |this: ProtocolObject| Ok(Ref::borrow_opt(
    (*this).reader
)
.unwrap_or_else(Ref::none)));
getter!(get_paused, |this: ProtocolObject| Ok(Ref::bool(
    (*this).paused
)));
getter!(get_connection_lost, |this: ProtocolObject| Ok(Ref::bool(
    (*this).connection_lost
)));
setter!(set_reader, |this: ProtocolObject, value| {
    let none = value.is_null() || ptr::eq(value, ffi::Py_None());
    let value = if none {
        ptr::null_mut()
    } else {
        counts::new_ref(value)
    };
    set_slot(&raw mut (*this).reader, value);
    Ok(())
});
setter!(set_paused, |this: ProtocolObject, value| {
    (*this).paused = !value.is_null() && Ref::borrow(value).truth()?;
    Ok(())
});
setter!(set_connection_lost, |this: ProtocolObject, value| {
    (*this).connection_lost = !value.is_null() && Ref::borrow(value).truth()?;
    Ok(())
});

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        visit_opt!((*slf.cast::<ProtocolObject>()).reader, visit, arg);
    }
    0
}

unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    boundary::quiet(|| {
        // SAFETY: called by the collector on a live instance, or by dealloc.
        unsafe {
            set_slot(
                &raw mut (*slf.cast::<ProtocolObject>()).reader,
                ptr::null_mut(),
            )
        }
    });
    0
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    // SAFETY: the object is dead; untracked before its fields go.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        clear(slf);
        free_instance(slf);
    }
}

/// Makes `StreamProtocol`; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<ProtocolObject>(c"rasyncio._rasyncio.StreamProtocol")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(c"The native part of the protocol between a transport and a stream reader.")
        .slot(ffi::Py_tp_new, ffi::PyType_GenericNew as *mut c_void)
        .slot(ffi::Py_tp_setattro, setattro as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .onearg(c"data_received", data_received_method)
        .noargs(c"eof_received", eof_received)
        .property(c"_stream_reader_wr", get_reader, Some(set_reader))
        .property(c"_paused", get_paused, Some(set_paused))
        .property(
            c"_connection_lost",
            get_connection_lost,
            Some(set_connection_lost),
        );
    // SAFETY: called once, before any instance, says the caller.
    unsafe {
        let class = builder.build(module, ptr::null_mut())?;
        let mixin = import(c"asyncio.streams")?.attr(Ref::str("FlowControlMixin")?.ptr())?;
        KNOWN.set(Known {
            class,
            drain_helper: mixin.attr(names()._drain_helper)?,
            seen: core::cell::Cell::new(ptr::null_mut()),
        });
        check(ffi::PyModule_AddObjectRef(
            module,
            c"StreamProtocol".as_ptr(),
            class.cast(),
        ))
    }
}
