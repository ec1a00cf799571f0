//! `StreamWriter`: the transport's methods, and `drain`.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::protocol::{self, Flow};
use super::reader::{self, ReaderObject, raise_failure};
use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, add_methods, await_object, coroutine_at_once, yield_none,
};
use crate::docs;
use crate::futures;
use crate::names::names;
use crate::object::{Ref, Res, check, counts, raise, set_slot};
use crate::transports::{self, TransportObject};
use crate::types::TypeBuilder;

/// All pointers are owned; NULL before `__init__` only, but for `complete`, which is made when
/// somebody asks.
#[repr(C)]
struct WriterObject {
    ob_base: PyObject,
    transport: *mut PyObject,
    protocol: *mut PyObject,
    reader: *mut PyObject,
    loop_: *mut PyObject,
    complete: *mut PyObject,
}

impl WriterObject {
    unsafe fn slots(this: *mut WriterObject) -> [*mut *mut PyObject; 5] {
        // SAFETY: addresses of fields of a live object.
        unsafe {
            [
                &raw mut (*this).transport,
                &raw mut (*this).protocol,
                &raw mut (*this).reader,
                &raw mut (*this).loop_,
                &raw mut (*this).complete,
            ]
        }
    }

    /// The transport, held: a method of it may put another in its place.
    #[inline]
    unsafe fn transport(this: *mut WriterObject) -> Ref {
        // SAFETY: alive, says the caller.
        unsafe { Ref::borrow_opt((*this).transport) }.unwrap_or_else(Ref::none)
    }
}

static INIT: Signature =
    Signature::required("StreamWriter", &["transport", "protocol", "reader", "loop"]);

unsafe extern "C" fn tp_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        let this = slf.cast::<WriterObject>();
        // SAFETY: a live instance; the slots' contract.
        unsafe {
            let given = INIT.parse_tuple::<4>(args, kwargs)?;
            for (slot, value) in WriterObject::slots(this).into_iter().zip(given) {
                set_slot(slot, counts::new_ref(value));
            }
            Ok(())
        }
    })
}

macro_rules! forwarded {
    ($($name:ident),*) => {
        $(noargs!($name, |this: WriterObject| WriterObject::transport(this)
            .call_method(names().$name, &[]));)*
    };
}

forwarded!(write_eof, can_write_eof, close, is_closing);

macro_rules! forwarded_discarding {
    ($($name:ident),*) => {
        $(unsafe extern "C" fn $name(slf: *mut PyObject, data: *mut PyObject) -> *mut PyObject {
            // SAFETY: the interpreter passes a live instance and a live object.
            boundary::object(|| unsafe {
                WriterObject::transport(slf.cast()).call_method(names().$name, &[data])?;
                Ok(Ref::none())
            })
        })*
    };
}

forwarded_discarding!(writelines);

unsafe extern "C" fn write(slf: *mut PyObject, data: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance and a live object; the transport is held
    // over the call.
    boundary::object(|| unsafe {
        let transport = WriterObject::transport(slf.cast());
        transports::write_to(&transport, data)?;
        Ok(Ref::none())
    })
}

static GET_EXTRA_INFO: Signature =
    Signature::required("get_extra_info", &["name"]).optional(&["default"]);

vectorcall!(get_extra_info, |slf, GET_EXTRA_INFO [name, default]| {
    let default = Ref::borrow_opt(default).unwrap_or_else(Ref::none);
    WriterObject::transport(slf.cast()).call_method(names().get_extra_info, &[name, default.ptr()])
});

static DRAIN: CoroutineDef =
    CoroutineDef::method(c"<rasyncio.streams>", c"drain", c"StreamWriter.drain");

const WRITER: usize = 0;
const HELPER: usize = 1;

static DRAIN_PARAMETERS: Signature = Signature::required("drain", &[]);

static DRAIN_METHOD: FunctionDef = FunctionDef {
    name: c"drain",
    module: c"rasyncio.streams",
    doc: c"Wait until it is right to write more.",
    signature: "(self)",
    call: drain,
};

vectorcall!(drain, |slf, DRAIN_PARAMETERS []| {
    coroutine_at_once(&DRAIN, [Some(Ref::borrow(slf)), None], drained_at_once, drained)
});

/// Nothing is wrong, and there is room: mostly.
fn drained_at_once(slots: Slots<2>) -> Option<Res> {
    let writer: *mut WriterObject = slots.get(WRITER).cast();
    // SAFETY: the slot keeps the writer alive, and no Python code runs.
    unsafe {
        let (reader, transport) = ((*writer).reader, (*writer).transport);
        if transport.is_null() || (*writer).protocol.is_null() || reader.is_null() {
            return None;
        }
        if !ptr::eq(reader, ffi::Py_None()) {
            let reader = reader::as_direct(reader)?;
            if ReaderObject::state(reader).has_failed() {
                return None;
            }
        }
        let transport = transports::as_direct(transport)?;
        if TransportObject::is_closing(transport) {
            return None;
        }
        match protocol::flow((*writer).protocol) {
            Ok(Flow::Open) => Some(Ok(Ref::none())),
            Ok(_) => None,
            Err(raised) => Some(Err(raised)),
        }
    }
}

async fn drained(slots: Slots<2>) -> Res {
    let writer: *mut WriterObject = slots.get(WRITER).cast();
    // SAFETY: the slot keeps the writer alive; what is called is held over the call.
    unsafe {
        if let Some(reader) = Ref::borrow_opt((*writer).reader).filter(|reader| !reader.is_none()) {
            let failure = reader.call_method(names().exception, &[])?;
            if !failure.is_none() {
                return Err(raise_failure(failure));
            }
        }
        if WriterObject::transport(writer)
            .call_method(names().is_closing, &[])?
            .truth()?
        {
            // Who writes and drains in a loop must hear of the end: the loop turns once, and the
            // protocol is told.
            yield_none().await?;
        }
        let protocol = Ref::borrow_opt((*writer).protocol).unwrap_or_else(Ref::none);
        match protocol::flow(protocol.ptr())? {
            Flow::Open => return Ok(Ref::none()),
            Flow::Lost => return Err(raise(ffi::PyExc_ConnectionResetError, "Connection lost")),
            Flow::Ask => {}
        }
        let helper = slots.set(HELPER, protocol.call_method(names()._drain_helper, &[])?);
        drop(protocol);
        await_object(helper).await?;
        Ok(Ref::none())
    }
}

macro_rules! attribute {
    ($get:ident, $set:ident, $field:ident) => {
        getter!($get, |this: WriterObject| Ok(Ref::borrow_opt(
            (*this).$field
        )
        .unwrap_or_else(Ref::none)));
        setter!($set, |this: WriterObject, value| {
            let value = if value.is_null() {
                value
            } else {
                counts::new_ref(value)
            };
            set_slot(&raw mut (*this).$field, value);
            Ok(())
        });
    };
}

attribute!(get_transport, set_transport, transport);
attribute!(get_protocol, set_protocol, protocol);
attribute!(get_reader, set_reader, reader);
attribute!(get_loop, set_loop, loop_);

// A future that is done.
getter!(get_complete, |this: WriterObject| {
    if (*this).complete.is_null() {
        let loop_ = Ref::borrow_opt((*this).loop_).unwrap_or_else(Ref::none);
        let future = futures::new_future(loop_.ptr())?;
        futures::set_result(future.ptr(), ffi::Py_None())?;
        set_slot(&raw mut (*this).complete, future.into_ptr());
    }
    Ok(Ref::borrow((*this).complete))
});

collected_by_slots!(WriterObject);

/// Makes `StreamWriter`; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<WriterObject>(c"rasyncio._rasyncio.StreamWriter")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(c"The native part of a stream writer.")
        .slot(ffi::Py_tp_new, ffi::PyType_GenericNew as *mut c_void)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .onearg(c"write", write)
        .onearg(c"writelines", writelines)
        .noargs(c"write_eof", write_eof)
        .noargs(c"can_write_eof", can_write_eof)
        .noargs(c"close", close)
        .noargs(c"is_closing", is_closing)
        .fastcall(c"get_extra_info", get_extra_info)
        .docs(docs::STREAM_WRITER)
        .get(c"transport", get_transport)
        .property(c"_transport", get_transport, Some(set_transport))
        .property(c"_protocol", get_protocol, Some(set_protocol))
        .property(c"_reader", get_reader, Some(set_reader))
        .property(c"_loop", get_loop, Some(set_loop))
        .get(c"_complete_fut", get_complete);
    // SAFETY: called once, before any instance, says the caller.
    unsafe {
        let class = builder.build(module, ptr::null_mut())?;
        add_methods(class, &[&DRAIN_METHOD])?;
        check(ffi::PyModule_AddObjectRef(
            module,
            c"StreamWriter".as_ptr(),
            class.cast(),
        ))
    }
}
