//! `ReadPipeTransport` and `WritePipeTransport` as Python sees them.

use core::ffi::{CStr, c_void};
use core::mem::offset_of;
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use rasyncio::transports::stream::StreamState;

use super::super::chunk::Chunk;
use super::super::closing;
use super::super::methods as shared;
use super::super::object::{self, TransportObject};
use super::super::watching::{Side, watch};
use super::{making, reading, writing};
use crate::args::Signature;
use crate::boundary;
use crate::direct::Direct;
use crate::docs;
use crate::global::Global;
use crate::object::{Ref, Res, check, counts, import, runtime_error, set_slot};
use crate::types::TypeBuilder;

static WRITE_CLASS: Global<*mut PyTypeObject> = Global::new();

static DIRECT: Direct = Direct::new();

/// A transport of a pipe for writing, whose methods may be called directly.
pub(in super::super) unsafe fn as_direct(object: *mut PyObject) -> Option<*mut TransportObject> {
    // SAFETY: alive, says the caller; an instance of our class has our layout.
    unsafe {
        if !DIRECT.has(object, *WRITE_CLASS.get(), object::direct_methods) {
            return None;
        }
        let this = object.cast::<TransportObject>();
        (!object::is_altered(this)).then_some(this)
    }
}

macro_rules! onearg {
    ($name:ident, |$this:ident, $arg:ident| $body:expr) => {
        unsafe extern "C" fn $name(slf: *mut PyObject, $arg: *mut PyObject) -> *mut PyObject {
            let $this = slf.cast::<TransportObject>();
            // SAFETY: the interpreter passes a live instance and a live object.
            boundary::object(|| unsafe {
                $body;
                Ok(Ref::none())
            })
        }
    };
}

onearg!(write, |this, data| writing::write(this, data)?);
onearg!(set_protocol, |this, protocol| making::set_protocol(
    this, protocol
));

noargs!(close, |this: TransportObject| {
    writing::close(this)?;
    Ok(Ref::none())
});
noargs!(start_writing, |this: TransportObject| {
    // The protocol may have closed it meanwhile.
    if !TransportObject::state(this).is_lost() {
        watch(this, Side::Read)?;
    }
    Ok(Ref::none())
});
noargs!(read_ready, |this: TransportObject| {
    if TransportObject::state(this).may_receive() {
        reading::read_ready(this)?;
    }
    Ok(Ref::none())
});
noargs!(peer_has_gone, |this: TransportObject| {
    if !TransportObject::state(this).is_lost() {
        writing::peer_has_gone(this)?;
    }
    Ok(Ref::none())
});
noargs!(write_ready, |this: TransportObject| {
    if TransportObject::state(this).wants_write() {
        writing::write_ready(this)?;
    }
    Ok(Ref::none())
});

static CLOSE: Signature = Signature::required("_close", &[]).optional(&["exc"]);

vectorcall!(close_with, |slf, CLOSE [exception]| {
    let exception = Ref::borrow_opt(exception).unwrap_or_else(Ref::none);
    closing::force_close(slf.cast::<TransportObject>(), exception.ptr())?;
    Ok(Ref::none())
});

getter!(get_fileno, |this: TransportObject| match (*this).fd {
    -1 => Ok(Ref::none()),
    fd => Ref::int(i64::from(fd)),
});
getter!(get_lost_writes, |this: TransportObject| Ref::int(
    i64::from((*this).lost_writes.get())
));

setter!(set_pipe, |this: TransportObject, value| {
    let pipe = if value.is_null() || ptr::eq(value, ffi::Py_None()) {
        ptr::null_mut()
    } else {
        counts::new_ref(value)
    };
    set_slot(&raw mut (*this).sock, pipe);
    Ok(())
});

/// What both have in common.
fn builder(name: &'static CStr, doc: &'static CStr) -> TypeBuilder {
    TypeBuilder::new::<TransportObject>(name)
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(doc)
        .slot(
            ffi::Py_tp_new,
            object::tp_new::<StreamState<Chunk>> as *mut c_void,
        )
        .slot(ffi::Py_tp_setattro, object::setattro as *mut c_void)
        .slot(
            ffi::Py_tp_dealloc,
            object::dealloc::<StreamState<Chunk>> as *mut c_void,
        )
        .slot(
            ffi::Py_tp_traverse,
            object::traverse::<StreamState<Chunk>> as *mut c_void,
        )
        .slot(
            ffi::Py_tp_clear,
            object::clear::<StreamState<Chunk>> as *mut c_void,
        )
        .noargs(c"is_closing", shared::is_closing)
        .onearg(c"set_protocol", set_protocol)
        .noargs(c"get_protocol", shared::get_protocol)
        .fastcall(c"get_extra_info", shared::get_extra_info)
        .onearg(c"_call_connection_lost", shared::call_connection_lost)
        .get(c"_loop", shared::get_loop_attr)
        .property(c"_pipe", shared::get_sock, Some(set_pipe))
        .get(c"_fileno", get_fileno)
        .get(c"_protocol", shared::get_protocol_attr)
        .get(c"_closing", shared::get_closing)
}

fn read_builder() -> TypeBuilder {
    builder(
        c"rasyncio._rasyncio.ReadPipeTransport",
        c"The native part of the transport of a pipe that is read.",
    )
    .slot(ffi::Py_tp_init, making::read_init as *mut c_void)
    .noargs(c"close", shared::close)
    .noargs(c"is_reading", shared::is_reading)
    .noargs(c"pause_reading", shared::pause_reading)
    .noargs(c"resume_reading", shared::resume_reading)
    .noargs(c"_start_reading", shared::start_reading)
    .noargs(c"_read_ready", read_ready)
    .onearg(c"_close", shared::force_close)
    .get(c"_paused", shared::get_paused)
    .docs(docs::READ_PIPE_TRANSPORT)
}

fn write_builder() -> TypeBuilder {
    builder(
        c"rasyncio._rasyncio.WritePipeTransport",
        c"The native part of the transport of a pipe that is written to.",
    )
    .slot(ffi::Py_tp_init, making::write_init as *mut c_void)
    .onearg(c"write", write)
    .noargs(c"write_eof", close)
    .noargs(c"can_write_eof", shared::can_write_eof)
    .noargs(c"close", close)
    .noargs(c"abort", shared::abort)
    .noargs(c"get_write_buffer_size", shared::get_write_buffer_size)
    .noargs(c"get_write_buffer_limits", shared::get_write_buffer_limits)
    .fastcall(c"set_write_buffer_limits", shared::set_write_buffer_limits)
    .noargs(c"_start_reading", start_writing)
    .noargs(c"_read_ready", peer_has_gone)
    .noargs(c"_write_ready", write_ready)
    .fastcall(c"_close", close_with)
    .get(c"_conn_lost", get_lost_writes)
    .get(c"_low_water", shared::get_low_water)
    .get(c"_high_water", shared::get_high_water)
    .get(c"_protocol_paused", shared::get_protocol_paused)
    .docs(docs::WRITE_PIPE_TRANSPORT)
}

/// Makes the classes; called once by the module's initialisation.
pub(in super::super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: called once, before any reader, says the caller; the bases are classes that live as
    // long as the process.
    unsafe {
        let base = |name| -> Res<*mut PyTypeObject> {
            let found = import(c"asyncio.transports")?.attr(Ref::str(name)?.ptr())?;
            Ok(found.into_ptr().cast())
        };
        let (read, write) = (base("ReadTransport")?, base("_FlowControlMixin")?);
        // The slots of the second one are at the same place in both, and unused in the first.
        if (*read).tp_basicsize as usize > offset_of!(TransportObject, loop_)
            || (*write).tp_basicsize as usize != offset_of!(TransportObject, loop_)
        {
            return Err(runtime_error("asyncio's transports have an unknown layout"));
        }
        let read = read_builder().build(module, read)?;
        let write = write_builder().build(module, write)?;
        WRITE_CLASS.set(write);
        for (name, class) in [(c"ReadPipeTransport", read), (c"WritePipeTransport", write)] {
            check(ffi::PyModule_AddObjectRef(
                module,
                name.as_ptr(),
                class.cast(),
            ))?;
        }
        Ok(())
    }
}
