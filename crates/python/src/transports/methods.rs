//! `SocketTransport` as Python sees it.

use core::ffi::c_void;
use core::ptr;

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::stream::StreamState;

use super::chunk::Chunk;
use super::described::{self, Untold};
use super::object::{self, Kind, TransportObject};
use super::watching::{Side, unwatch, watch};
use super::{closing, making, pulling, reading, replaced, socket, writing};
use crate::args::Signature;
use crate::boundary;
use crate::docs;
use crate::global::Global;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, counts, import, isinstance, runtime_error, saturating_int, set_slot,
    value_error,
};
use crate::streams;
use crate::tls;
use crate::types::TypeBuilder;

/// `asyncio.BufferedProtocol`
static BUFFERED_PROTOCOL: Global<Ref> = Global::new();

pub(super) unsafe fn set_socket<S>(this: *mut TransportObject<S>, sock: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        let plain = socket::is_plain(sock)?;
        (*this).plain_socket = false;
        set_slot(&raw mut (*this).sock, counts::new_ref(sock));
        (*this).plain_socket = plain;
        Ok(())
    }
}

pub(super) unsafe fn set_protocol<S>(
    this: *mut TransportObject<S>,
    protocol: *mut PyObject,
) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        (*this).kind = if tls::is_protocol(protocol) {
            Kind::Tls
        } else if streams::is_protocol(protocol) {
            Kind::Stream
        } else if isinstance(protocol, BUFFERED_PROTOCOL.get().ptr())? {
            Kind::Buffered
        } else {
            Kind::Data
        };
        (*this).protocol_connected = true;
        set_slot(&raw mut (*this).protocol, counts::new_ref(protocol));
        Ok(())
    }
}

macro_rules! onearg {
    ($name:ident, |$this:ident, $arg:ident| $body:expr) => {
        pub(super) unsafe extern "C" fn $name(
            slf: *mut PyObject,
            $arg: *mut PyObject,
        ) -> *mut PyObject {
            let $this = slf.cast::<TransportObject>();
            // SAFETY: the interpreter passes a live instance and a live object.
            boundary::object(|| unsafe { $body })
        }
    };
}

onearg!(write, |this, data| {
    writing::write(this, data)?;
    Ok(Ref::none())
});
onearg!(writelines, |this, lines| {
    writing::writelines(this, lines)?;
    Ok(Ref::none())
});
// Of every kind of transport: it looks at nothing of the state.
onearg!(set_protocol_method, |this, protocol| {
    set_protocol(this, protocol)?;
    Ok(Ref::none())
});
onearg!(set_stream_protocol, |this, protocol| {
    pulling::settle(this)?;
    set_protocol(this, protocol)?;
    Ok(Ref::none())
});
onearg!(force_close, |this, exception| {
    closing::force_close(this, exception)?;
    Ok(Ref::none())
});
onearg!(call_connection_lost, |this, exception| {
    closing::call_connection_lost(this, Ref::borrow(exception))?;
    Ok(Ref::none())
});

noargs!(write_eof, |this: TransportObject| {
    writing::write_eof(this)?;
    Ok(Ref::none())
});
noargs!(can_write_eof, |_this: TransportObject| Ok(Ref::bool(true)));
noargs!(close, |this: TransportObject| {
    closing::close(this)?;
    Ok(Ref::none())
});
noargs!(abort, |this: TransportObject| {
    closing::force_close(this, ffi::Py_None())?;
    Ok(Ref::none())
});
noargs!(is_closing, |this: TransportObject| Ok(Ref::bool(
    TransportObject::state(this).is_closing()
)));
noargs!(is_reading, |this: TransportObject| Ok(Ref::bool(
    TransportObject::state(this).is_reading()
)));
noargs!(get_protocol, |this: TransportObject| Ok(Ref::borrow_opt(
    (*this).protocol
)
.unwrap_or_else(Ref::none)));

noargs!(pause_reading, |this: TransportObject| {
    pulling::settle(this)?;
    let state = TransportObject::state(this);
    let was_reading = state.is_reading();
    if state.pause_reading() {
        unwatch(this, Side::Read)?;
    }
    if was_reading {
        closing::log_debug(this, "%r pauses reading")?;
    }
    Ok(Ref::none())
});
noargs!(resume_reading, |this: TransportObject| {
    let state = TransportObject::state(this);
    let was_paused = !state.is_closing() && !state.is_reading();
    if state.resume_reading() {
        watch(this, Side::Read)?;
    }
    if was_paused {
        closing::log_debug(this, "%r resumes reading")?;
    }
    Ok(Ref::none())
});
noargs!(start_reading, |this: TransportObject| {
    if TransportObject::state(this).wants_read() {
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
noargs!(write_ready, |this: TransportObject| {
    if TransportObject::state(this).wants_write() {
        writing::write_ready(this)?;
    }
    Ok(Ref::none())
});
noargs!(make_empty_waiter, |this: TransportObject| {
    writing::make_empty_waiter(this)
});
noargs!(reset_empty_waiter, |this: TransportObject| {
    writing::reset_empty_waiter(this);
    Ok(Ref::none())
});

noargs!(get_write_buffer_size, |this: TransportObject| Ref::int(
    TransportObject::state(this).buffered() as i64
));
noargs!(get_write_buffer_limits, |this: TransportObject| {
    let (low, high) = TransportObject::state(this).limits();
    let (low, high) = (Ref::int(low as i64)?, Ref::int(high as i64)?);
    Ref::tuple(&[low.ptr(), high.ptr()])
});

static LIMITS: Signature =
    Signature::required("set_write_buffer_limits", &[]).optional(&["high", "low"]);

vectorcall!(set_write_buffer_limits, |slf, LIMITS [high, low]| {
    let this = slf.cast::<TransportObject>();
    let state = TransportObject::state(this);
    let pause = state
        .set_limits(limit(high)?, limit(low)?)
        .map_err(|error| value_error(&error.to_string()))?;
    if pause {
        writing::tell_protocol(this, names().pause_writing, "pause_writing")?;
    }
    Ok(Ref::none())
});

pub(super) unsafe fn limit(given: *mut PyObject) -> Res<Option<i64>> {
    // SAFETY: alive or NULL, says the caller.
    if given.is_null() || unsafe { ptr::eq(given, ffi::Py_None()) } {
        return Ok(None);
    }
    saturating_int(given).map(Some)
}

static GET_EXTRA_INFO: Signature =
    Signature::required("get_extra_info", &["name"]).optional(&["default"]);

vectorcall!(get_extra_info, |slf, GET_EXTRA_INFO [name, default]| {
    if let Some(other) = replaced::get_extra_info(slf)? {
        return match Ref::borrow_opt(default) {
            Some(default) => other.call(&[name, default.ptr()]),
            None => other.call1(name),
        };
    }
    let this = slf.cast::<TransportObject>();
    let extra = described::with(this, name)?;
    let default = Ref::borrow_opt(default).unwrap_or_else(Ref::none);
    if ffi::PyDict_CheckExact(extra.ptr()) == 0 {
        return extra.call_method(names().get, &[name, default.ptr()]);
    }
    match Ref::borrow_opt(ffi::PyDict_GetItemWithError(extra.ptr(), name)) {
        Some(found) => Ok(found),
        None if !ffi::PyErr_Occurred().is_null() => Err(Raised::set()),
        None => Ok(default),
    }
});

macro_rules! slot_getter {
    ($name:ident, $field:ident) => {
        getter!($name, |this: TransportObject| Ok(Ref::borrow_opt(
            (*this).$field
        )
        .unwrap_or_else(Ref::none)));
    };
}

slot_getter!(get_loop_attr, loop_);
getter!(get_extra, |this: TransportObject| described::all(this));
getter!(get_sock, |this: TransportObject| {
    if (*this).loop_.is_null() && (*this).bare {
        // It has not begun.
        return Ok(Ref::none());
    }
    described::socket(this)
});
slot_getter!(get_protocol_attr, protocol);
slot_getter!(get_server, server);
slot_getter!(get_empty_waiter, empty_waiter);
getter!(get_sock_fd, |this: TransportObject| Ref::int(i64::from(
    (*this).fd
)));
getter!(get_closing, |this: TransportObject| Ok(Ref::bool(
    TransportObject::state(this).is_closing()
)));
getter!(get_paused, |this: TransportObject| {
    let state = TransportObject::state(this);
    Ok(Ref::bool(!state.is_closing() && !state.is_reading()))
});
getter!(get_eof, |this: TransportObject| Ok(Ref::bool(
    TransportObject::state(this).is_write_eof()
)));
getter!(get_conn_lost, |this: TransportObject| Ref::int(i64::from(
    TransportObject::state(this).is_lost()
)));
getter!(get_low_water, |this: TransportObject| Ref::int(
    TransportObject::state(this).limits().0 as i64
));
getter!(get_high_water, |this: TransportObject| Ref::int(
    TransportObject::state(this).limits().1 as i64
));
getter!(get_protocol_paused, |this: TransportObject| Ok(Ref::bool(
    TransportObject::state(this).is_writing_paused()
)));
getter!(get_protocol_connected, |this: TransportObject| Ok(
    Ref::bool((*this).protocol_connected)
));
setter!(set_extra, |this: TransportObject, value| {
    (*this).untold = Untold::default();
    set_slot(&raw mut (*this).extra, counts::new_ref_opt(value));
    Ok(())
});
setter!(set_sock, |this: TransportObject, value| {
    described::socket(this)?;
    if value.is_null() || ptr::eq(value, ffi::Py_None()) {
        (*this).plain_socket = false;
        set_slot(&raw mut (*this).sock, ptr::null_mut());
        return Ok(());
    }
    set_socket(this, value)
});

/// Makes `SocketTransport`; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: called once, before any reader, says the caller; the base is a class that
    // lives as long as the process.
    unsafe {
        socket::init()?;
        described::init()?;
        making::init()?;
        let buffered = import(c"asyncio.protocols")?.attr(Ref::str("BufferedProtocol")?.ptr())?;
        BUFFERED_PROTOCOL.set(buffered);
        let base = import(c"asyncio.transports")?.attr(Ref::str("_FlowControlMixin")?.ptr())?;
        let base = base.into_ptr().cast::<ffi::PyTypeObject>();
        if (*base).tp_basicsize as usize != core::mem::offset_of!(TransportObject, loop_) {
            return Err(runtime_error("asyncio's transports have an unknown layout"));
        }
        let class = builder().build(module, base)?;
        object::init(class);
        check(ffi::PyModule_AddObjectRef(
            module,
            c"SocketTransport".as_ptr(),
            class.cast(),
        ))
    }
}

fn builder() -> TypeBuilder {
    TypeBuilder::new::<TransportObject>(c"rasyncio._rasyncio.SocketTransport")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(c"The native part of the transport of a connected socket: reading, writing, closing.")
        .slot(
            ffi::Py_tp_new,
            object::tp_new::<StreamState<Chunk>> as *mut c_void,
        )
        .slot(ffi::Py_tp_init, making::tp_init as *mut c_void)
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
        .onearg(c"write", write)
        .onearg(c"writelines", writelines)
        .noargs(c"write_eof", write_eof)
        .noargs(c"can_write_eof", can_write_eof)
        .noargs(c"close", close)
        .noargs(c"abort", abort)
        .noargs(c"is_closing", is_closing)
        .noargs(c"is_reading", is_reading)
        .noargs(c"pause_reading", pause_reading)
        .noargs(c"resume_reading", resume_reading)
        .onearg(c"set_protocol", set_stream_protocol)
        .noargs(c"get_protocol", get_protocol)
        .noargs(c"get_write_buffer_size", get_write_buffer_size)
        .noargs(c"get_write_buffer_limits", get_write_buffer_limits)
        .fastcall(c"set_write_buffer_limits", set_write_buffer_limits)
        .fastcall(c"get_extra_info", get_extra_info)
        .noargs(c"_start_reading", start_reading)
        .noargs(c"_read_ready", read_ready)
        .noargs(c"_write_ready", write_ready)
        .onearg(c"_force_close", force_close)
        .onearg(c"_call_connection_lost", call_connection_lost)
        .noargs(c"_make_empty_waiter", make_empty_waiter)
        .noargs(c"_reset_empty_waiter", reset_empty_waiter)
        .docs(docs::TRANSPORT)
        .get(c"_loop", get_loop_attr)
        .property(c"_extra", get_extra, Some(set_extra))
        .property(c"_sock", get_sock, Some(set_sock))
        .get(c"_sock_fd", get_sock_fd)
        .get(c"_protocol", get_protocol_attr)
        .get(c"_server", get_server)
        .get(c"_empty_waiter", get_empty_waiter)
        .get(c"_closing", get_closing)
        .get(c"_paused", get_paused)
        .get(c"_eof", get_eof)
        .get(c"_conn_lost", get_conn_lost)
        .get(c"_low_water", get_low_water)
        .get(c"_high_water", get_high_water)
        .get(c"_protocol_paused", get_protocol_paused)
        .get(c"_protocol_connected", get_protocol_connected)
}
