//! The transport as the application sees it.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::tls::state::Written;

use super::host::Conn;
use super::object::{Plain, TlsObject};
use super::protocol::{extra_info, limit, marks_error, set_app};
use crate::args::Signature;
use crate::boundary;
use crate::docs;
use crate::global::Global;
use crate::names::names;
use crate::object::{
    Ref, Res, check, counts, import, items, raise_instance, raise_object, runtime_error, set_slot,
    type_error, type_name,
};
use crate::stdlib::stdlib;
use crate::timer;
use crate::transports::bytes_of;
use crate::types::TypeBuilder;

/// Small pieces of `writelines` go out together: more than this, and they are encrypted as they are.
const JOIN: usize = 16 * 1024;

/// A transport's C layout. It begins with that of `asyncio.transports._FlowControlMixin`, which
/// `sendfile` asks for; those attributes stay empty.
#[repr(C)]
pub(super) struct TlsTransportObject {
    ob_base: PyObject,
    extra: *mut PyObject,
    mixin: [*mut PyObject; 4],
    loop_: *mut PyObject,
    /// A `TlsObject`. NULL before `__init__`, and when the transport was closed twice.
    protocol: *mut PyObject,
    closed: bool,
}

struct Known {
    class: *mut PyTypeObject,
    /// Newer versions say "closing" as soon as the transport below does.
    asks_link: bool,
}

static KNOWN: Global<Known> = Global::new();

/// Notes that the connection is closed, so that nobody complains of it not being closed. What is
/// no transport of ours is left alone.
pub(super) unsafe fn mark_closed(transport: *mut PyObject) {
    // SAFETY: alive or NULL, says the caller; an instance of our class has our layout.
    unsafe {
        let class = KNOWN.get().class;
        if !transport.is_null() && ffi::PyType_IsSubtype(ffi::Py_TYPE(transport), class) != 0 {
            (*transport.cast::<TlsTransportObject>()).closed = true;
        }
    }
}

static INIT: Signature = Signature::required("TlsTransport", &["loop", "ssl_protocol"]);

unsafe extern "C" fn tp_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        let this = slf.cast::<TlsTransportObject>();
        // SAFETY: a live instance; the slots' contract.
        unsafe {
            let [loop_, protocol] = INIT.parse_tuple::<2>(args, kwargs)?;
            if !super::is_protocol(protocol) {
                return Err(type_error("a TlsProtocol is required"));
            }
            set_slot(&raw mut (*this).loop_, counts::new_ref(loop_));
            set_slot(&raw mut (*this).protocol, counts::new_ref(protocol));
            Ok(())
        }
    })
}

/// The protocol, held over a call on it.
unsafe fn conn(this: *mut TlsTransportObject) -> Option<(Ref, Conn)> {
    // SAFETY: `this` is alive, says the caller.
    let protocol = unsafe { Ref::borrow_opt((*this).protocol)? };
    let conn = Conn(protocol.ptr().cast());
    Some((protocol, conn))
}

macro_rules! on_state {
    ($this:ident, |$state:ident, $conn:ident| $body:expr, else $otherwise:expr) => {
        match conn($this) {
            Some((_held, $conn)) => {
                let $state = TlsObject::state($conn.0);
                $body
            }
            None => $otherwise,
        }
    };
}

macro_rules! onearg {
    ($name:ident, |$this:ident, $arg:ident| $body:expr) => {
        unsafe extern "C" fn $name(slf: *mut PyObject, $arg: *mut PyObject) -> *mut PyObject {
            let $this = slf.cast::<TlsTransportObject>();
            // SAFETY: the interpreter passes a live instance and a live object.
            boundary::object(|| unsafe { $body })
        }
    };
}

onearg!(write, |this, data| {
    if ffi::PyBytes_Check(data) == 0
        && ffi::PyByteArray_Check(data) == 0
        && ffi::PyMemoryView_Check(data) == 0
    {
        return Err(type_error(&format!(
            "data: expecting a bytes-like instance, got {}",
            type_name(data)
        )));
    }
    let (plain, len) = Plain::of(data)?;
    if len == 0 {
        return Ok(Ref::none());
    }
    on_state!(this, |state, conn| said(state.write(&conn, plain, len)?)?, else ());
    Ok(Ref::none())
});

onearg!(writelines, |this, lines| {
    let mut pieces = Vec::new();
    let mut total = 0;
    for line in items(lines)? {
        let (plain, len) = Plain::of(line.ptr())?;
        if len > 0 {
            total += len;
            pieces.push((plain, len));
        }
    }
    if pieces.len() > 1 && total <= JOIN {
        let mut joined = Vec::with_capacity(total);
        for (plain, _) in &pieces {
            joined.extend_from_slice(bytes_of(plain.bytes.ptr()));
        }
        let joined = ffi::PyBytes_FromStringAndSize(joined.as_ptr().cast(), total as isize);
        pieces = vec![Plain::of(Ref::checked(joined)?.ptr())?];
    }
    on_state!(this, |state, conn| said(state.writelines(&conn, pieces)?)?, else ());
    Ok(Ref::none())
});

/// Says in the log, when a program goes on writing to what is closed, that it does.
fn said(written: Written) -> Res<()> {
    if written == (Written::Lost { warn: true }) {
        let text = Ref::str("SSL connection is closed")?;
        let warning = stdlib().logger.attr(names().warning)?;
        warning.call1(text.ptr())?;
    }
    Ok(())
}

noargs!(write_eof, |_this: TlsTransportObject| {
    let error = Ref::borrow(ffi::PyExc_NotImplementedError).call0()?;
    Err(raise_object(error))
});
noargs!(can_write_eof, |_this: TlsTransportObject| Ok(Ref::bool(
    false
)));

noargs!(close, |this: TlsTransportObject| {
    if (*this).closed {
        // There is nothing to be asked of it any more, and it need not be held.
        set_slot(&raw mut (*this).protocol, ptr::null_mut());
        return Ok(Ref::none());
    }
    (*this).closed = true;
    on_state!(this, |state, conn| state.close(&conn)?, else ());
    Ok(Ref::none())
});
noargs!(abort, |this: TlsTransportObject| {
    (*this).closed = true;
    on_state!(this, |state, conn| state.abort(&conn, None)?, else ());
    Ok(Ref::none())
});
onearg!(force_close, |this, error| {
    (*this).closed = true;
    let error = (!ptr::eq(error, ffi::Py_None())).then(|| Ref::borrow(error));
    on_state!(this, |state, conn| state.abort(&conn, error.map(raise_instance))?, else ());
    Ok(Ref::none())
});
noargs!(is_closing, |this: TlsTransportObject| {
    if (*this).closed || !KNOWN.get().asks_link {
        return Ok(Ref::bool((*this).closed));
    }
    match conn(this) {
        Some((_held, conn)) => match Ref::borrow_opt((*conn.0).link) {
            Some(link) => Ok(Ref::bool(
                link.call_method(names().is_closing, &[])?.truth()?,
            )),
            None => Ok(Ref::bool(false)),
        },
        None => Ok(Ref::bool(true)),
    }
});

noargs!(is_reading, |this: TlsTransportObject| Ok(Ref::bool(
    on_state!(this, |state, _conn| state.is_reading(), else false)
)));
noargs!(pause_reading, |this: TlsTransportObject| {
    on_state!(this, |state, _conn| state.pause_reading(), else ());
    Ok(Ref::none())
});
noargs!(resume_reading, |this: TlsTransportObject| {
    if let Some((held, conn)) = conn(this)
        && TlsObject::state(conn.0).resume_reading()
    {
        let resume = timer::callback(go_on, held)?;
        conn.call_soon(&resume, &[])?;
    }
    Ok(Ref::none())
});

unsafe fn go_on(protocol: *mut PyObject) -> Res<()> {
    let this = protocol.cast::<TlsObject>();
    // SAFETY: the callback's data is the protocol, which it keeps alive. In the handshake there is
    // nothing to go on with.
    unsafe { TlsObject::state(this).resumed(&Conn(this)) }
}

onearg!(set_protocol, |this, protocol| {
    if let Some((_held, conn)) = conn(this) {
        set_app(conn.0, protocol)?;
    }
    Ok(Ref::none())
});
noargs!(get_protocol, |this: TlsTransportObject| Ok(
    match conn(this) {
        Some((_held, conn)) => Ref::borrow_opt((*conn.0).app).unwrap_or_else(Ref::none),
        None => Ref::none(),
    }
));

static GET_EXTRA_INFO: Signature =
    Signature::required("get_extra_info", &["name"]).optional(&["default"]);

vectorcall!(get_extra_info, |slf, GET_EXTRA_INFO [name, default]| {
    match conn(slf.cast()) {
        Some((_held, conn)) => extra_info(conn.0, name, default),
        None => Ok(Ref::borrow_opt(default).unwrap_or_else(Ref::none)),
    }
});

static WRITE_LIMITS: Signature =
    Signature::required("set_write_buffer_limits", &[]).optional(&["high", "low"]);
static READ_LIMITS: Signature =
    Signature::required("set_read_buffer_limits", &[]).optional(&["high", "low"]);

vectorcall!(set_write_buffer_limits, |slf, WRITE_LIMITS [high, low]| {
    if let Some((_held, conn)) = conn(slf.cast()) {
        let state = TlsObject::state(conn.0);
        let set = state.set_write_limits(limit(high)?, limit(low)?);
        set.map_err(marks_error)?;
        state.control_writing(&conn)?;
    }
    Ok(Ref::none())
});
vectorcall!(set_read_buffer_limits, |slf, READ_LIMITS [high, low]| {
    if let Some((_held, conn)) = conn(slf.cast()) {
        let state = TlsObject::state(conn.0);
        let set = state.set_read_limits(limit(high)?, limit(low)?);
        set.map_err(marks_error)?;
        state.control_reading(&conn)?;
    }
    Ok(Ref::none())
});

fn marks((low, high): (usize, usize)) -> Res {
    let (low, high) = (Ref::int(low as i64)?, Ref::int(high as i64)?);
    Ref::tuple(&[low.ptr(), high.ptr()])
}

noargs!(get_write_buffer_limits, |this: TlsTransportObject| marks(
    on_state!(this, |state, _conn| state.write_limits(), else (0, 0))
));
noargs!(get_read_buffer_limits, |this: TlsTransportObject| marks(
    on_state!(this, |state, _conn| state.read_limits(), else (0, 0))
));
noargs!(get_write_buffer_size, |this: TlsTransportObject| Ref::int(
    on_state!(this, |state, conn| state.write_size(&conn)?, else 0) as i64
));
noargs!(get_read_buffer_size, |this: TlsTransportObject| Ref::int(
    on_state!(this, |state, conn| state.read_size(&conn)?, else 0) as i64
));

// CPython's own tests fill the backlog with it.
onearg!(append_write_backlog, |this, data| {
    let piece = Plain::of(data)?;
    on_state!(this, |state, _conn| state.queue([piece]), else ());
    Ok(Ref::none())
});

getter!(get_loop_attr, |this: TlsTransportObject| Ok(
    Ref::borrow_opt((*this).loop_).unwrap_or_else(Ref::none)
));
getter!(get_ssl_protocol, |this: TlsTransportObject| Ok(
    Ref::borrow_opt((*this).protocol).unwrap_or_else(Ref::none)
));
getter!(get_closed, |this: TlsTransportObject| Ok(Ref::bool(
    (*this).closed
)));
setter!(set_closed, |this: TlsTransportObject, value| {
    (*this).closed = value.is_null() || Ref::borrow(value).truth()?;
    Ok(())
});
getter!(get_protocol_paused, |this: TlsTransportObject| Ok(
    Ref::bool(on_state!(this, |state, _conn| state.is_writing_paused(), else false))
));

impl TlsTransportObject {
    unsafe fn slots(this: *mut TlsTransportObject) -> [*mut *mut PyObject; 7] {
        // SAFETY: addresses of fields of a live object.
        unsafe {
            [
                &raw mut (*this).extra,
                &raw mut (*this).mixin[0],
                &raw mut (*this).mixin[1],
                &raw mut (*this).mixin[2],
                &raw mut (*this).mixin[3],
                &raw mut (*this).loop_,
                &raw mut (*this).protocol,
            ]
        }
    }
}

collected_by_slots!(TlsTransportObject);

/// Makes `TlsTransport`; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: called once, before any reader, says the caller; the base is a class that
    // lives as long as the process.
    unsafe {
        let base = import(c"asyncio.transports")?.attr(Ref::str("_FlowControlMixin")?.ptr())?;
        let base = base.into_ptr().cast::<PyTypeObject>();
        if (*base).tp_basicsize as usize != core::mem::offset_of!(TlsTransportObject, loop_) {
            return Err(runtime_error("asyncio's transports have an unknown layout"));
        }
        let stock = import(c"asyncio.sslproto")?.attr(Ref::str("SSLProtocol")?.ptr())?;
        let asks_link = stock.attr_opt(Ref::str("_is_transport_closing")?.ptr())?;
        let class = builder().build(module, base)?;
        KNOWN.set(Known {
            class,
            asks_link: asks_link.is_some(),
        });
        check(ffi::PyModule_AddObjectRef(
            module,
            c"TlsTransport".as_ptr(),
            class.cast(),
        ))
    }
}

fn builder() -> TypeBuilder {
    TypeBuilder::new::<TlsTransportObject>(c"rasyncio._rasyncio.TlsTransport")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(c"The native part of the transport of a TLS connection.")
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .onearg(c"write", write)
        .onearg(c"writelines", writelines)
        .noargs(c"write_eof", write_eof)
        .noargs(c"can_write_eof", can_write_eof)
        .noargs(c"close", close)
        .noargs(c"abort", abort)
        .onearg(c"_force_close", force_close)
        .noargs(c"is_closing", is_closing)
        .noargs(c"is_reading", is_reading)
        .noargs(c"pause_reading", pause_reading)
        .noargs(c"resume_reading", resume_reading)
        .onearg(c"set_protocol", set_protocol)
        .noargs(c"get_protocol", get_protocol)
        .fastcall(c"get_extra_info", get_extra_info)
        .fastcall(c"set_write_buffer_limits", set_write_buffer_limits)
        .fastcall(c"set_read_buffer_limits", set_read_buffer_limits)
        .noargs(c"get_write_buffer_limits", get_write_buffer_limits)
        .noargs(c"get_read_buffer_limits", get_read_buffer_limits)
        .noargs(c"get_write_buffer_size", get_write_buffer_size)
        .noargs(c"get_read_buffer_size", get_read_buffer_size)
        .onearg(c"_test__append_write_backlog", append_write_backlog)
        .docs(docs::TRANSPORT)
        .docs(docs::TLS_TRANSPORT)
        .get(c"_loop", get_loop_attr)
        .get(c"_ssl_protocol", get_ssl_protocol)
        .property(c"_closed", get_closed, Some(set_closed))
        .get(c"_protocol_paused", get_protocol_paused)
}
