//! The protocol as Python, and the transport below, see it.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::host::Conn;
use super::object::{self, TlsObject, as_size};
use super::session::{self, encrypted, feed, feed_memory, rest_of};
use crate::args::Signature;
use crate::boundary;
use crate::global::Global;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, counts, import, isinstance, raise_instance, runtime_error, set_slot,
    value_error,
};
use crate::stdlib::stdlib;
use crate::types::TypeBuilder;
use rasyncio::tls::{Deadline, Host};

use super::scratch::SIZE;
use super::transport::mark_closed;

/// `asyncio.BufferedProtocol`
static BUFFERED_PROTOCOL: Global<Ref> = Global::new();

static INIT: Signature = Signature::required(
    "TlsProtocol",
    &[
        "loop",
        "app_protocol",
        "waiter",
        "call_connection_made",
        "handshake_timeout",
        "shutdown_timeout",
        "extra",
        "incoming",
        "outgoing",
        "sslobj",
        "worker",
        "server_side",
    ],
);

unsafe extern "C" fn tp_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        let this = slf.cast::<TlsObject>();
        // SAFETY: a live instance; the slots' contract.
        unsafe {
            let given = INIT.parse_tuple::<12>(args, kwargs)?;
            let [loop_, app, waiter, is_new, handshake, shutdown, extra, ..] = given;
            let [.., incoming, outgoing, sslobj, worker, server_side] = given;
            if !(*this).loop_.is_null() {
                return Err(runtime_error("the protocol is initialised already"));
            }
            if !Ref::borrow(is_new).truth()? {
                TlsObject::state(this).set_known();
            }
            if !ptr::eq(waiter, ffi::Py_None()) {
                set_slot(&raw mut (*this).waiter, counts::new_ref(waiter));
            }
            (*this).known = session::is_known(worker, [incoming, outgoing]);
            (*this).server_side = Ref::borrow(server_side).truth()?;
            for (slot, value) in [
                (&raw mut (*this).loop_, loop_),
                (&raw mut (*this).handshake_timeout, handshake),
                (&raw mut (*this).shutdown_timeout, shutdown),
                (&raw mut (*this).extra, extra),
                (&raw mut (*this).incoming, incoming),
                (&raw mut (*this).outgoing, outgoing),
                (&raw mut (*this).sslobj, sslobj),
                (&raw mut (*this).worker, worker),
            ] {
                set_slot(slot, counts::new_ref(value));
            }
            set_app(this, app)
        }
    })
}

/// Gives the connection to another protocol of the application's.
pub(super) unsafe fn set_app(this: *mut TlsObject, app: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        let buffered = isinstance(app, BUFFERED_PROTOCOL.get().ptr())?;
        (*this).app_is_buffered = buffered;
        set_slot(&raw mut (*this).app, counts::new_ref(app));
        Ok(())
    }
}

/// The transport below has received `len` bytes, which stay there until the session has them.
#[inline]
pub(crate) unsafe fn received(protocol: *mut PyObject, start: *mut u8, len: usize) -> Res<()> {
    let this = protocol.cast::<TlsObject>();
    // SAFETY: a live protocol of ours, and such memory, says the caller.
    unsafe {
        feed_memory(this, start, len)?;
        TlsObject::state(this).received(&Conn(this))
    }
}

macro_rules! onearg {
    ($name:ident, |$this:ident, $arg:ident| $body:expr) => {
        unsafe extern "C" fn $name(slf: *mut PyObject, $arg: *mut PyObject) -> *mut PyObject {
            let $this = slf.cast::<TlsObject>();
            // SAFETY: the interpreter passes a live instance and a live object.
            boundary::object(|| unsafe { $body })
        }
    };
}

onearg!(connection_made, |this, link| {
    set_slot(&raw mut (*this).link, counts::new_ref(link));
    TlsObject::state(this).connection_made(&Conn(this))?;
    Ok(Ref::none())
});

onearg!(connection_lost, |this, exception| {
    let exception = Ref::borrow(exception);
    let conn = Conn(this);
    let (tell, backlog) = TlsObject::state(this).connection_lost();
    drop(backlog);
    drop(encrypted(this)?);
    mark_closed((*this).app_transport);
    let app = Ref::borrow_opt((*this).app);
    if let (true, Some(app)) = (tell, &app) {
        conn.call_soon(&app.attr(names().connection_lost)?, &[exception.ptr()])?;
    }
    for slot in [
        &raw mut (*this).link,
        &raw mut (*this).app_transport,
        &raw mut (*this).app,
    ] {
        set_slot(slot, ptr::null_mut());
    }
    conn.wake(Some(&exception))?;
    conn.cancel_timer(Deadline::Shutdown)?;
    conn.cancel_timer(Deadline::Handshake)?;
    Ok(Ref::none())
});

// A transport below that is not ours asks for memory.
onearg!(get_buffer, |this, _hint| {
    if (*this).buffer.is_null() {
        let fresh = ffi::PyByteArray_FromStringAndSize(ptr::null(), SIZE as ffi::Py_ssize_t);
        set_slot(&raw mut (*this).buffer, Ref::checked(fresh)?.into_ptr());
    }
    Ref::checked(ffi::PyMemoryView_FromObject((*this).buffer))
});

onearg!(buffer_updated, |this, count| {
    let count = as_size(&Ref::borrow(count))?;
    let Some(buffer) = Ref::borrow_opt((*this).buffer) else {
        return Err(runtime_error("get_buffer() was not called"));
    };
    let all = rest_of(buffer.ptr(), 0)?;
    let end = count as ffi::Py_ssize_t;
    let data = Ref::checked(ffi::PySequence_GetSlice(all.ptr(), 0, end))?;
    feed(this, data.ptr(), count)?;
    TlsObject::state(this).received(&Conn(this))?;
    Ok(Ref::none())
});

noargs!(eof_received, |this: TlsObject| {
    let conn = Conn(this);
    conn.log_debug("%r received EOF")?;
    match TlsObject::state(this).eof_received(&conn) {
        Ok(keep_open) => Ok(Ref::bool(keep_open)),
        Err(raised) => {
            let exception = crate::object::take_raised(raised);
            conn.close_now()?;
            Err(raise_instance(exception))
        }
    }
});
noargs!(pause_writing, |this: TlsObject| {
    TlsObject::state(this).link_full();
    Ok(Ref::none())
});
noargs!(resume_writing, |this: TlsObject| {
    TlsObject::state(this).link_free(&Conn(this))?;
    Ok(Ref::none())
});
onearg!(wakeup_waiter, |this, error| {
    Conn(this).wake(Some(&Ref::borrow(error)))?;
    Ok(Ref::none())
});
onearg!(abort, |this, error| {
    let error = (!ptr::eq(error, ffi::Py_None())).then(|| raise_instance(Ref::borrow(error)));
    TlsObject::state(this).abort(&Conn(this), error)?;
    Ok(Ref::none())
});

static GET_EXTRA_INFO: Signature =
    Signature::required("_get_extra_info", &["name"]).optional(&["default"]);

vectorcall!(get_extra_info, |slf, GET_EXTRA_INFO [name, default]| {
    extra_info(slf.cast(), name, default)
});

/// What the session knows, or else the transport below.
pub(super) unsafe fn extra_info(
    this: *mut TlsObject,
    name: *mut PyObject,
    default: *mut PyObject,
) -> Res {
    // SAFETY: all alive, or NULL for no default, says the caller.
    unsafe {
        let default = Ref::borrow_opt(default).unwrap_or_else(Ref::none);
        if !(*this).extra.is_null() {
            let found = ffi::PyDict_GetItemWithError((*this).extra, name);
            match Ref::borrow_opt(found) {
                Some(found) => return Ok(found),
                None if !ffi::PyErr_Occurred().is_null() => return Err(Raised::set()),
                None => {}
            }
        }
        match Ref::borrow_opt((*this).link) {
            Some(link) => link.call_method(names().get_extra_info, &[name, default.ptr()]),
            None => Ok(default),
        }
    }
}

impl Conn {
    /// In debug mode, a line in the log about the protocol.
    fn log_debug(self, format: &str) -> Res<()> {
        // SAFETY: the object is alive.
        unsafe {
            let Some(core) = crate::event_loop::any_native((*self.0).loop_) else {
                return Ok(());
            };
            if !core.debug() {
                return Ok(());
            }
            let format = Ref::str(format)?;
            stdlib()
                .logger
                .call_method(names().debug, &[format.ptr(), self.0.cast()])
                .map(drop)
        }
    }

    fn close_now(self) -> Res<()> {
        // SAFETY: the object is alive.
        match unsafe { Ref::borrow_opt((*self.0).link) } {
            Some(link) => link.call_method(names().close, &[]).map(drop),
            None => Ok(()),
        }
    }
}

/// `transport.set_write_buffer_limits` and `set_read_buffer_limits`: a number, or None.
pub(super) unsafe fn limit(given: *mut PyObject) -> Res<Option<i64>> {
    // SAFETY: alive or NULL, says the caller.
    if given.is_null() || unsafe { ptr::eq(given, ffi::Py_None()) } {
        return Ok(None);
    }
    crate::object::saturating_int(given).map(Some)
}

pub(super) fn marks_error(error: rasyncio::transports::flow::LimitsError) -> Raised {
    value_error(&error.to_string())
}

macro_rules! slot_getter {
    ($name:ident, $field:ident) => {
        getter!($name, |this: TlsObject| Ok(
            Ref::borrow_opt((*this).$field).unwrap_or_else(Ref::none)
        ));
    };
}

slot_getter!(get_loop_attr, loop_);
slot_getter!(get_extra, extra);
slot_getter!(get_waiter, waiter);
slot_getter!(get_app, app);
slot_getter!(get_app_transport, app_transport);
slot_getter!(get_link, link);
slot_getter!(get_incoming, incoming);
slot_getter!(get_outgoing, outgoing);
slot_getter!(get_sslobj, sslobj);
slot_getter!(get_shutdown_timeout, shutdown_timeout);
slot_getter!(get_handshake_timeout, handshake_timeout);
getter!(get_app_reading_paused, |this: TlsObject| Ok(Ref::bool(
    !TlsObject::state(this).is_reading()
)));
setter!(set_app_transport, |this: TlsObject, value| {
    let value = if value.is_null() || ptr::eq(value, ffi::Py_None()) {
        ptr::null_mut()
    } else {
        counts::new_ref(value)
    };
    set_slot(&raw mut (*this).app_transport, value);
    Ok(())
});

/// Makes `TlsProtocol`; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: called once, before any reader, says the caller.
    unsafe {
        let buffered = import(c"asyncio.protocols")?.attr(Ref::str("BufferedProtocol")?.ptr())?;
        BUFFERED_PROTOCOL.set(buffered);
        let class = builder().build(module, ptr::null_mut())?;
        object::set_type(class);
        check(ffi::PyModule_AddObjectRef(
            module,
            c"TlsProtocol".as_ptr(),
            class.cast(),
        ))
    }
}

fn builder() -> TypeBuilder {
    TypeBuilder::new::<TlsObject>(c"rasyncio._rasyncio.TlsProtocol")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(c"The native part of the protocol between a transport and a TLS session.")
        .slot(ffi::Py_tp_new, object::tp_new as *mut c_void)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, object::dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, object::traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, object::clear as *mut c_void)
        .onearg(c"connection_made", connection_made)
        .onearg(c"connection_lost", connection_lost)
        .onearg(c"get_buffer", get_buffer)
        .onearg(c"buffer_updated", buffer_updated)
        .noargs(c"eof_received", eof_received)
        .noargs(c"pause_writing", pause_writing)
        .noargs(c"resume_writing", resume_writing)
        .onearg(c"_wakeup_waiter", wakeup_waiter)
        .onearg(c"_abort", abort)
        .fastcall(c"_get_extra_info", get_extra_info)
        .get(c"_loop", get_loop_attr)
        .get(c"_extra", get_extra)
        .get(c"_waiter", get_waiter)
        .get(c"_app_protocol", get_app)
        .property(
            c"_app_transport",
            get_app_transport,
            Some(set_app_transport),
        )
        .get(c"_app_reading_paused", get_app_reading_paused)
        .get(c"_transport", get_link)
        .get(c"_incoming", get_incoming)
        .get(c"_outgoing", get_outgoing)
        .get(c"_sslobj", get_sslobj)
        .get(c"_ssl_handshake_timeout", get_handshake_timeout)
        .get(c"_ssl_shutdown_timeout", get_shutdown_timeout)
}
