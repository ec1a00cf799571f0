//! `loop.sock_sendall`.

use pyo3::ffi;
use rasyncio::transports::stream::{Descriptor, is_blocked};

use super::{ARGUMENT, SockSlots, WATCH, argument, common, held, rarely, tried, was_tried};
use crate::args::Signature;
use crate::coroutine::{CoroutineDef, coroutine_at_once};
use crate::event_loop;
use crate::names::names;
use crate::object::{Ref, Res, saturating_int};
use crate::transports::bytes_of;

static SENDALL: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"sock_sendall",
    c"BaseSelectorEventLoop.sock_sendall",
);

static SENDALL_ARGUMENTS: Signature = Signature::required("sock_sendall", &["sock", "data"]);

vectorcall!(sock_sendall, |slf, SENDALL_ARGUMENTS [sock, data]| {
    coroutine_at_once(&SENDALL, held(slf, sock, data), sendall_at_once, sendall_body)
});

fn sendall_at_once(slots: SockSlots) -> Option<Res> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let data = slots.get(ARGUMENT);
        let (_, fd) = common(slots).filter(|_| ffi::PyBytes_Check(data) != 0)?;
        let bytes = bytes_of(data);
        match fd.send(bytes) {
            Ok(sent) if sent == bytes.len() => Some(Ok(Ref::none())),
            Ok(sent) => tried(slots, sent),
            Err(error) if is_blocked(&error) => tried(slots, 0),
            Err(error) => Some(Err(event_loop::os_error(&error))),
        }
    }
}

async fn sendall_body(slots: SockSlots) -> Res {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let data = slots.get(ARGUMENT);
        if !was_tried(slots) {
            return rarely(slots, names().sock_sendall, argument(slots)).await;
        }
        let sent = saturating_int(slots.get(WATCH))? as ffi::Py_ssize_t;
        let whole = Ref::checked(ffi::PyMemoryView_FromObject(data))?;
        let rest = ffi::PySequence_GetSlice(whole.ptr(), sent, ffi::Py_SIZE(data));
        let rest = Ref::checked(rest)?;
        drop(whole);
        rarely(slots, names().sock_sendall, rest).await
    }
}
