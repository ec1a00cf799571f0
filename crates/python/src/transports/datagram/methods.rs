//! `DatagramTransport` as Python sees it.
//!
//! Where the state has no part in a method, it is that of streams: the layout is the same up to there.

use core::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::datagram::DatagramState;

use super::sending;
use super::{DatagramObject, Datagrams, receiving};
use crate::args::Signature;
use crate::boundary;
use crate::docs;
use crate::names::names;
use crate::object::{
    Ref, Res, check, counts, import, runtime_error, saturating_int, set_slot, value_error,
};
use crate::transports::methods::{
    call_connection_lost, get_extra, get_extra_info, get_loop_attr, get_protocol,
    get_protocol_attr, get_protocol_connected, get_server, get_sock, get_sock_fd, limit,
    set_protocol_method,
};
use crate::transports::object::{self, TransportObject};
use crate::transports::watching::{Side, unwatch, watch};
use crate::transports::{closing, described, making, writing};
use crate::types::TypeBuilder;

static INIT: Signature = Signature::required("DatagramTransport", &["loop", "sock", "protocol"])
    .optional(&["address", "waiter", "extra"]);

/// `__init__(loop, sock, protocol, address=None, waiter=None, extra=None)`
///
/// The rest is as for streams. What the version of asyncio does with empty datagrams, and counts a
/// waiting one for, is told by `_sends_empty` and `_header_size` of the class.
unsafe extern "C" fn tp_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        // SAFETY: a live instance; the slots' contract. None lives for ever.
        unsafe {
            let [loop_, sock, protocol, rest @ ..] = INIT.parse_tuple::<6>(args, kwargs)?;
            let [address, waiter, extra] = rest.map(|value| making::given(value));
            let this = slf.cast::<DatagramObject>();
            let none = core::ptr::null_mut();
            making::start(this, [loop_, sock, protocol], extra, none, none)?;
            let class = Ref::borrow(slf);
            let header = saturating_int(class.attr(names()._header_size)?.ptr())?;
            let sends_empty = class.attr(names()._sends_empty)?.truth()?;
            let family = saturating_int(Ref::borrow(sock).attr(names().family)?.ptr())?;
            let extra = described::with(this, names().peername)?;
            let peer = Ref::checked(ffi::PyObject_GetItem(extra.ptr(), names().peername))?;
            let connected = peer.truth()?;
            // Nothing waits yet.
            (*this).state.queue =
                DatagramState::with_header(usize::try_from(header).unwrap_or_default());
            let state = TransportObject::state(this);
            state.sends_empty.set(sends_empty);
            state
                .family
                .set(c_int::try_from(family).unwrap_or(libc::AF_UNSPEC));
            state.connected.set(connected);
            set_slot(state.address.as_ptr(), counts::new_ref_opt(address));
            making::announce(this, waiter, true)
        }
    })
}

static SENDTO: Signature =
    Signature::required("_SelectorDatagramTransport.sendto", &["data"]).optional(&["addr"]);

vectorcall!(sendto, |slf, SENDTO [data, addr]| {
    let addr = if addr.is_null() { ffi::Py_None() } else { addr };
    sending::sendto(slf.cast(), data, addr)?;
    Ok(Ref::none())
});

noargs!(close, |this: DatagramObject| {
    closing::close(this)?;
    Ok(Ref::none())
});
noargs!(abort, |this: DatagramObject| {
    closing::force_close(this, ffi::Py_None())?;
    Ok(Ref::none())
});
noargs!(is_closing, |this: DatagramObject| Ok(Ref::bool(
    TransportObject::state(this).queue.is_closing()
)));
noargs!(is_reading, |this: DatagramObject| Ok(Ref::bool(
    TransportObject::state(this).queue.is_reading()
)));
noargs!(pause_reading, |this: DatagramObject| {
    if TransportObject::state(this).queue.pause_reading() {
        unwatch(this, Side::Read)?;
        closing::log_debug(this, "%r pauses reading")?;
    }
    Ok(Ref::none())
});
noargs!(resume_reading, |this: DatagramObject| {
    if TransportObject::state(this).queue.resume_reading() {
        watch(this, Side::Read)?;
        closing::log_debug(this, "%r resumes reading")?;
    }
    Ok(Ref::none())
});
noargs!(start_reading, |this: DatagramObject| {
    if TransportObject::state(this).queue.is_reading() {
        watch(this, Side::Read)?;
    }
    Ok(Ref::none())
});
noargs!(read_ready, |this: DatagramObject| {
    if !TransportObject::state(this).queue.is_lost() {
        receiving::read_ready(this)?;
    }
    Ok(Ref::none())
});
noargs!(sendto_ready, |this: DatagramObject| {
    sending::write_ready(this)?;
    Ok(Ref::none())
});

unsafe extern "C" fn force_close(slf: *mut PyObject, exception: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance and a live object.
    boundary::object(|| unsafe {
        closing::force_close(slf.cast::<DatagramObject>(), exception)?;
        Ok(Ref::none())
    })
}

noargs!(get_write_buffer_size, |this: DatagramObject| Ref::int(
    TransportObject::state(this).queue.buffered() as i64
));
noargs!(get_write_buffer_limits, |this: DatagramObject| {
    let (low, high) = TransportObject::state(this).queue.limits();
    let (low, high) = (Ref::int(low as i64)?, Ref::int(high as i64)?);
    Ref::tuple(&[low.ptr(), high.ptr()])
});

static LIMITS: Signature =
    Signature::required("set_write_buffer_limits", &[]).optional(&["high", "low"]);

vectorcall!(set_write_buffer_limits, |slf, LIMITS [high, low]| {
    let this = slf.cast::<DatagramObject>();
    let pause = TransportObject::state(this)
        .queue
        .set_limits(limit(high)?, limit(low)?)
        .map_err(|error| value_error(&error.to_string()))?;
    if pause {
        writing::tell_protocol(this, names().pause_writing, "pause_writing")?;
    }
    Ok(Ref::none())
});

getter!(get_address, |this: DatagramObject| Ok(Ref::borrow_opt(
    TransportObject::state(this).address.get()
)
.unwrap_or_else(Ref::none)));
getter!(get_buffer_size, |this: DatagramObject| Ref::int(
    TransportObject::state(this).queue.buffered() as i64
));
getter!(get_closing, |this: DatagramObject| Ok(Ref::bool(
    TransportObject::state(this).queue.is_closing()
)));
getter!(get_paused, |this: DatagramObject| {
    let queue = &TransportObject::state(this).queue;
    Ok(Ref::bool(!queue.is_closing() && !queue.is_reading()))
});
getter!(get_conn_lost, |this: DatagramObject| Ref::int(i64::from(
    TransportObject::state(this).queue.is_lost()
)));
getter!(get_low_water, |this: DatagramObject| Ref::int(
    TransportObject::state(this).queue.limits().0 as i64
));
getter!(get_high_water, |this: DatagramObject| Ref::int(
    TransportObject::state(this).queue.limits().1 as i64
));
getter!(get_protocol_paused, |this: DatagramObject| Ok(Ref::bool(
    TransportObject::state(this).queue.is_writing_paused()
)));

/// Makes `DatagramTransport`; called once by the module's initialisation, after streams'.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: called once, says the caller; the base is a class that lives as long as the process.
    unsafe {
        let base = import(c"asyncio.transports")?.attr(Ref::str("_FlowControlMixin")?.ptr())?;
        let base = base.into_ptr().cast::<ffi::PyTypeObject>();
        if (*base).tp_basicsize as usize != core::mem::offset_of!(DatagramObject, loop_) {
            return Err(runtime_error("asyncio's transports have an unknown layout"));
        }
        let class = builder().build(module, base)?;
        check(ffi::PyModule_AddObjectRef(
            module,
            c"DatagramTransport".as_ptr(),
            class.cast(),
        ))
    }
}

fn builder() -> TypeBuilder {
    TypeBuilder::new::<DatagramObject>(c"rasyncio._rasyncio.DatagramTransport")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(c"The native part of the transport of a datagram socket: receiving, sending, closing.")
        .slot(ffi::Py_tp_new, object::tp_new::<Datagrams> as *mut c_void)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(
            ffi::Py_tp_dealloc,
            object::dealloc::<Datagrams> as *mut c_void,
        )
        .slot(
            ffi::Py_tp_traverse,
            object::traverse::<Datagrams> as *mut c_void,
        )
        .slot(ffi::Py_tp_clear, object::clear::<Datagrams> as *mut c_void)
        .fastcall(c"sendto", sendto)
        .noargs(c"close", close)
        .noargs(c"abort", abort)
        .noargs(c"is_closing", is_closing)
        .noargs(c"is_reading", is_reading)
        .noargs(c"pause_reading", pause_reading)
        .noargs(c"resume_reading", resume_reading)
        .onearg(c"set_protocol", set_protocol_method)
        .noargs(c"get_protocol", get_protocol)
        .noargs(c"get_write_buffer_size", get_write_buffer_size)
        .noargs(c"get_write_buffer_limits", get_write_buffer_limits)
        .fastcall(c"set_write_buffer_limits", set_write_buffer_limits)
        .fastcall(c"get_extra_info", get_extra_info)
        .noargs(c"_start_reading", start_reading)
        .noargs(c"_read_ready", read_ready)
        .noargs(c"_sendto_ready", sendto_ready)
        .onearg(c"_force_close", force_close)
        .onearg(c"_call_connection_lost", call_connection_lost)
        .docs(docs::DATAGRAM_TRANSPORT)
        .get(c"_loop", get_loop_attr)
        .get(c"_extra", get_extra)
        .get(c"_sock", get_sock)
        .get(c"_sock_fd", get_sock_fd)
        .get(c"_protocol", get_protocol_attr)
        .get(c"_server", get_server)
        .get(c"_address", get_address)
        .get(c"_buffer_size", get_buffer_size)
        .get(c"_closing", get_closing)
        .get(c"_paused", get_paused)
        .get(c"_conn_lost", get_conn_lost)
        .get(c"_low_water", get_low_water)
        .get(c"_high_water", get_high_water)
        .get(c"_protocol_paused", get_protocol_paused)
        .get(c"_protocol_connected", get_protocol_connected)
}
