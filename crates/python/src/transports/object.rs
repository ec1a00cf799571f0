//! The layout of a transport, and its life as an object: making, visiting, clearing, dying.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::transports::stream::{Closing, StreamState};
use rasyncio_engine::Job;

use super::chunk::Chunk;
use super::clients;
use super::described::{self, Untold};
use super::expected::LastReads;
use super::watching::Side;
use super::{pipes, pulling, reading, writing};
use crate::boundary;
use crate::direct::Direct;
use crate::event_loop::{self, LoopCore};
use crate::global::Global;
use crate::jobs;
use crate::names::names;
use crate::object::{Ref, Res, runtime_error, set_slot};
use crate::types::free_instance;

/// How the protocol takes what comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `data_received`
    Data,
    /// The protocol of a stream of ours, whose reader may receive itself.
    Stream,
    /// `get_buffer` and `buffer_updated`
    Buffered,
    /// Our own TLS, which is told without a call of Python's.
    Tls,
    /// It is no socket's transport, but that of a pipe that is read.
    ReadPipe,
    /// And here it is one that is written to.
    WritePipe,
}

/// What kinds of transports differ in: their state, and what readiness means.
pub(super) trait State: Sized + 'static {
    /// Of an open socket.
    fn new() -> Self;

    /// Whether a job that was queued at readiness still has something to do.
    unsafe fn wants(this: *mut TransportObject<Self>, side: Side) -> bool;

    /// Reads what was left unread, before something happens that would come after it.
    unsafe fn settle(_this: *mut TransportObject<Self>) -> Res<()> {
        Ok(())
    }

    /// Begins to close.
    fn close(&self) -> Closing;

    /// Closes at once. True: schedule `connection_lost`.
    fn abort(&self) -> bool;

    /// Drops what waits to be written.
    fn clear(&self);

    /// Shows the objects that it holds. `visit` must not call back.
    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject));

    /// The job of a descriptor that is ready.
    fn job(side: Side, transport: Ref) -> Job;

    /// The method that is called instead in debug mode.
    fn method(side: Side) -> *mut PyObject;

    /// Reads or writes.
    unsafe fn ready(this: *mut TransportObject<Self>, side: Side) -> Res<()>;
}

/// A transport's C layout. It begins with that of `asyncio.transports._FlowControlMixin`, which
/// `sendfile` asks for: its base's slot `extra`, and its own four, which stay empty, for the
/// attributes of the same names are ours.
///
/// All pointers are owned and nullable. No Rust reference to the struct is kept across a call
/// that may run Python code; the state has `&self` methods and keeps no borrow over one.
///
/// The state comes last: what is before it is in the same place for every kind, and functions that
/// look at nothing else serve them all.
#[repr(C)]
pub(crate) struct TransportObject<S = StreamState<Chunk>> {
    ob_base: PyObject,
    pub(super) extra: *mut PyObject,
    mixin: [*mut PyObject; 4],
    /// NULL before `__init__`, and after `connection_lost`.
    pub(super) loop_: *mut PyObject,
    pub(super) sock: *mut PyObject,
    pub(super) protocol: *mut PyObject,
    pub(super) server: *mut PyObject,
    /// The set of the server's clients that it is in (`clients.rs`).
    pub(super) clients: *mut PyObject,
    /// The context that the connection was given; NULL if each callback has a copy of the one it
    /// was registered in.
    pub(super) context: *mut PyObject,
    /// Those that the reader and the writer run in.
    pub(super) reader_context: *mut PyObject,
    pub(super) writer_context: *mut PyObject,
    /// What `sendfile` waits for: that nothing waits to be written.
    pub(super) empty_waiter: *mut PyObject,
    /// `_sock_fd`: the descriptor when the transport was made.
    pub(super) fd: c_int,
    /// `sock` is a `socket.socket`, which tells its descriptor without being called.
    pub(super) plain_socket: bool,
    /// What is open has no socket object yet (`described.rs`): `fd` is the transport's own.
    pub(super) bare: bool,
    /// What `get_extra_info` knows and `extra` has not been told.
    pub(super) untold: Untold,
    pub(super) protocol_connected: bool,
    /// A method of the object was replaced that others of ours call directly.
    altered: bool,
    pub(super) kind: Kind,
    /// What the last reads have brought; the next one prepares for as much.
    pub(super) last_reads: Cell<LastReads>,
    /// How often a pipe has refused to be written to (asyncio's `_conn_lost`).
    pub(super) lost_writes: Cell<u32>,
    /// Written by `__new__`, dropped by dealloc only.
    pub(super) state: S,
}

impl<S> TransportObject<S> {
    /// The loop's core. RuntimeError without a loop of ours: before `__init__` or after the end.
    #[inline]
    pub(super) unsafe fn core<'a>(this: *mut TransportObject<S>) -> Res<&'a LoopCore> {
        // SAFETY: `this` is alive, says the caller, and keeps the loop alive; whoever calls
        // something that may end the connection asks again afterwards.
        match unsafe { event_loop::any_native((*this).loop_) } {
            Some(core) => Ok(core),
            None => Err(runtime_error("the transport has no event loop")),
        }
    }

    /// The loop need not know of it any more, which is about to be let go of.
    pub(super) unsafe fn forget_number(this: *mut TransportObject<S>) {
        // SAFETY: `this` is alive, says the caller, and keeps the loop alive.
        unsafe {
            if let Some(core) = event_loop::any_native((*this).loop_) {
                core.numbers().forget((*this).fd, this.cast());
            }
        }
    }

    /// The state. It is part of the object: the caller keeps that alive.
    #[inline]
    pub(super) unsafe fn state<'a>(this: *mut TransportObject<S>) -> &'a S {
        // SAFETY: written by `__new__`; all its methods take `&self`.
        unsafe { &(*this).state }
    }

    unsafe fn slots(this: *mut TransportObject<S>) -> [*mut *mut PyObject; 14] {
        // SAFETY: addresses of fields of a live object.
        unsafe {
            [
                &raw mut (*this).extra,
                &raw mut (*this).mixin[0],
                &raw mut (*this).mixin[1],
                &raw mut (*this).mixin[2],
                &raw mut (*this).mixin[3],
                &raw mut (*this).loop_,
                &raw mut (*this).sock,
                &raw mut (*this).protocol,
                &raw mut (*this).server,
                &raw mut (*this).clients,
                &raw mut (*this).context,
                &raw mut (*this).reader_context,
                &raw mut (*this).writer_context,
                &raw mut (*this).empty_waiter,
            ]
        }
    }
}

impl TransportObject {
    /// `transport.is_closing()`
    #[inline]
    pub(crate) unsafe fn is_closing(this: *mut TransportObject) -> bool {
        // SAFETY: alive, says the caller.
        unsafe { TransportObject::state(this).is_closing() }
    }
}

pub(super) unsafe extern "C" fn tp_new<S: State>(
    class: *mut PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: tp_alloc gives zeroed memory of the class's size.
        unsafe {
            let alloc = (*class).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
            let made = Ref::checked(alloc(class, 0))?;
            let this = made.ptr().cast::<TransportObject<S>>();
            ptr::addr_of_mut!((*this).state).write(S::new());
            (*this).fd = -1;
            (*this).kind = Kind::Data;
            Ok(made)
        }
    })
}

impl State for StreamState<Chunk> {
    fn new() -> Self {
        StreamState::new()
    }

    #[inline]
    unsafe fn wants(this: *mut TransportObject, side: Side) -> bool {
        // SAFETY: `this` is alive, says the caller.
        unsafe {
            let state = TransportObject::state(this);
            match side {
                Side::Read => state.may_receive() || pipes::may_hear_of_peer(this),
                Side::Write => state.wants_write(),
            }
        }
    }

    #[inline]
    unsafe fn settle(this: *mut TransportObject) -> Res<()> {
        // SAFETY: passed on.
        unsafe { pulling::settle(this) }
    }

    fn close(&self) -> Closing {
        self.close()
    }

    fn abort(&self) -> bool {
        self.abort()
    }

    fn clear(&self) {
        self.clear();
    }

    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject)) {
        self.for_each_chunk(|chunk| {
            if let Some(object) = chunk.object() {
                visit(object);
            }
        });
    }

    fn job(side: Side, transport: Ref) -> Job {
        match side {
            Side::Read => jobs::transport_readable(transport),
            Side::Write => jobs::transport_writable(transport),
        }
    }

    fn method(side: Side) -> *mut PyObject {
        match side {
            Side::Read => names()._read_ready,
            Side::Write => names()._write_ready,
        }
    }

    #[inline]
    unsafe fn ready(this: *mut TransportObject, side: Side) -> Res<()> {
        // SAFETY: `this` is alive, says the caller.
        unsafe {
            match side {
                Side::Read => reading::read_ready(this),
                Side::Write => writing::write_ready(this),
            }
        }
    }
}

static CLASS: Global<*mut PyTypeObject> = Global::new();

static DIRECT: Direct = Direct::new();

/// The methods that others of ours call directly.
pub(super) fn direct_methods() -> [*mut PyObject; 3] {
    let names = names();
    [names.write, names.is_closing, names._start_reading]
}

/// Whether such a method of the object was replaced.
pub(super) unsafe fn is_altered(this: *mut TransportObject) -> bool {
    // SAFETY: alive, says the caller.
    unsafe { (*this).altered }
}

/// A socket's transport whose methods may be called directly.
#[inline]
pub(crate) unsafe fn as_direct(object: *mut PyObject) -> Option<*mut TransportObject> {
    // SAFETY: alive, says the caller; an instance of our class has our layout.
    unsafe {
        if !DIRECT.has(object, *CLASS.get(), direct_methods) {
            return None;
        }
        let this = object.cast::<TransportObject>();
        (!(*this).altered).then_some(this)
    }
}

pub(super) unsafe extern "C" fn setattro(
    slf: *mut PyObject,
    name: *mut PyObject,
    value: *mut PyObject,
) -> c_int {
    // SAFETY: the interpreter passes an instance, a str, and a value or NULL.
    unsafe {
        if direct_methods().contains(&name) {
            (*slf.cast::<TransportObject>()).altered = true;
        }
        ffi::PyObject_GenericSetAttr(slf, name, value)
    }
}

/// A transport of ours, whatever its methods are.
#[inline]
pub(super) unsafe fn as_transport(object: *mut PyObject) -> Option<*mut TransportObject> {
    // SAFETY: alive, says the caller; an instance of our class has our layout.
    unsafe {
        let (class, ours) = (ffi::Py_TYPE(object), *CLASS.get());
        (ptr::eq(class, ours) || ffi::PyType_IsSubtype(class, ours) != 0).then(|| object.cast())
    }
}

/// Says which class it is; called once by the module's initialisation.
pub(super) unsafe fn init(class: *mut PyTypeObject) {
    // SAFETY: called once, before any reader, says the caller.
    unsafe { CLASS.set(class) };
}

pub(super) unsafe extern "C" fn traverse<S: State>(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let this = slf.cast::<TransportObject<S>>();
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        for slot in TransportObject::slots(this) {
            visit_opt!(*slot, visit, arg);
        }
        let mut answer = 0;
        TransportObject::state(this).visit(&mut |object| {
            if answer == 0 {
                answer = visit(object, arg);
            }
        });
        answer
    }
}

pub(super) unsafe extern "C" fn clear<S: State>(slf: *mut PyObject) -> c_int {
    boundary::quiet(|| {
        let this = slf.cast::<TransportObject<S>>();
        // SAFETY: called by the collector on a live instance, or by dealloc.
        unsafe {
            described::abandon(this);
            TransportObject::forget_number(this);
            drop(clients::leave(this));
            TransportObject::state(this).clear();
            for slot in TransportObject::slots(this) {
                set_slot(slot, ptr::null_mut());
            }
        }
    });
    0
}

pub(super) unsafe extern "C" fn dealloc<S: State>(slf: *mut PyObject) {
    // SAFETY: the object is dead; untracked before its fields go.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        clear::<S>(slf);
        ptr::drop_in_place(&raw mut (*slf.cast::<TransportObject<S>>()).state);
        free_instance(slf);
    }
}
