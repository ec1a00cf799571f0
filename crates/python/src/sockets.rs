//! `loop.sock_recv`, `sock_recv_into` and `sock_sendall` of plain sockets.
//!
//! Each tries at once. Where nothing has come yet, the descriptor is watched, and the job of the
//! watch wakes who waits, who reads when its turn comes: so what many wait for is not in memory at
//! once, and a cancelled wait takes nothing from the socket. The watch then stays: mostly the next
//! call waits for the same socket, and telling the kernel twice for each would cost two system calls.
//! It goes when it fires without a waiter.
//!
//! **A watch that stays must not be mistaken.** Numbers of descriptors are used again, and so are
//! addresses of objects. So it knows its socket by a weak reference, which a new socket in the
//! same place does not have.
//!
//! What is not the common case is left to the standard library's methods: other classes of
//! sockets, debug mode, a send that does not fit.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::transports::stream::{Descriptor, MAX_RECEIVE, Received, is_blocked};
use rasyncio_engine::Job;

use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, add_methods, await_future, await_object, coroutine_at_once,
    finally,
};
use crate::event_loop::{self, LoopCore};
use crate::futures;
use crate::global::Global;
use crate::jobs;
use crate::names::names;
use crate::object::{
    Ref, Res, import, raised_matches, runtime_error, saturating_int, set_slot, take_raised,
    take_slot,
};
use crate::transports::{Fd, View, bytes_of, plain_descriptor, receive};
use crate::types::{TypeBuilder, free_instance};

/// Who waits for a socket to be readable.
#[repr(C)]
pub(crate) struct SocketWatch {
    ob_base: PyObject,
    /// A weak reference.
    socket: *mut PyObject,
    /// The future that a coroutine awaits; NULL when nobody waits.
    waiter: *mut PyObject,
    loop_: *mut PyObject,
    fd: c_int,
    /// How much the last reading has brought that did not succeed at once.
    last: usize,
}

struct Known {
    class: *mut PyTypeObject,
    /// `socket.socket`
    plain: Ref,
    /// The standard library's loop, whose methods do what is rare.
    stock: Ref,
}

static KNOWN: Global<Known> = Global::new();

static RECV: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"sock_recv",
    c"BaseSelectorEventLoop.sock_recv",
);
static RECV_INTO: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"sock_recv_into",
    c"BaseSelectorEventLoop.sock_recv_into",
);
static SENDALL: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"sock_sendall",
    c"BaseSelectorEventLoop.sock_sendall",
);

static RECV_ARGUMENTS: Signature = Signature::required("sock_recv", &["sock", "n"]);
static RECV_INTO_ARGUMENTS: Signature = Signature::required("sock_recv_into", &["sock", "buf"]);
static SENDALL_ARGUMENTS: Signature = Signature::required("sock_sendall", &["sock", "data"]);

macro_rules! method {
    ($name:literal, $signature:literal, $doc:literal, $call:ident) => {
        &FunctionDef {
            name: $name,
            module: c"rasyncio.selector_events",
            doc: $doc,
            signature: $signature,
            call: $call,
        }
    };
}

static METHODS: [&FunctionDef; 3] = [
    method!(
        c"sock_recv",
        "(self, sock, n)",
        c"Return up to n bytes from a socket, as soon as there are some.",
        sock_recv
    ),
    method!(
        c"sock_recv_into",
        "(self, sock, buf)",
        c"Fill a buffer from a socket, as soon as something comes; return how many bytes that were.",
        sock_recv_into
    ),
    method!(
        c"sock_sendall",
        "(self, sock, data)",
        c"Send all of data to a socket.",
        sock_sendall
    ),
];

const LOOP: usize = 0;
const SOCKET: usize = 1;
const ARGUMENT: usize = 2;
/// What an attempt has done; then the watch, or the rare way's coroutine.
const WATCH: usize = 3;
const WAITER: usize = 4;

type SockSlots = Slots<5>;

unsafe fn held(
    loop_: *mut PyObject,
    sock: *mut PyObject,
    argument: *mut PyObject,
) -> [Option<Ref>; 5] {
    // SAFETY: all alive, says the caller.
    let of = |object| Some(unsafe { Ref::borrow(object) });
    [of(loop_), of(sock), of(argument), None, None]
}

vectorcall!(sock_recv, |slf, RECV_ARGUMENTS [sock, n]| {
    coroutine_at_once(&RECV, held(slf, sock, n), recv_at_once, recv_body)
});
vectorcall!(sock_recv_into, |slf, RECV_INTO_ARGUMENTS [sock, buf]| {
    coroutine_at_once(&RECV_INTO, held(slf, sock, buf), recv_into_at_once, recv_into_body)
});
vectorcall!(sock_sendall, |slf, SENDALL_ARGUMENTS [sock, data]| {
    coroutine_at_once(&SENDALL, held(slf, sock, data), sendall_at_once, sendall_body)
});

/// The descriptor, if the call is the common case.
unsafe fn common(slots: SockSlots) -> Option<(&'static LoopCore, Fd)> {
    // SAFETY: the slots keep the loop and the socket alive.
    unsafe {
        let core = event_loop::any_native(slots.get(LOOP)).filter(|core| !core.debug())?;
        let sock = slots.get(SOCKET);
        if !ptr::eq(ffi::Py_TYPE(sock).cast(), KNOWN.get().plain.ptr()) {
            return None;
        }
        Some((core, plain_descriptor(sock)?))
    }
}

/// Notes, for the coroutine's body, that it was tried already, and how much that has done.
fn tried(slots: SockSlots, done: usize) -> Option<Res> {
    match Ref::int(done as i64) {
        Ok(done) => {
            slots.set(WATCH, done);
            None
        }
        Err(raised) => Some(Err(raised)),
    }
}

/// Whether it was the common case, and did not succeed at once.
fn was_tried(slots: SockSlots) -> bool {
    !slots.get(WATCH).is_null()
}

/// Awaits the standard library's method of that name.
async fn rarely(slots: SockSlots, method: *mut PyObject, argument: Ref) -> Res {
    let function = KNOWN.get().stock.attr(method)?;
    let made = function.call(&[slots.get(LOOP), slots.get(SOCKET), argument.ptr()])?;
    drop((function, argument));
    let made = slots.set(WATCH, made);
    await_object(made).await
}

fn argument(slots: SockSlots) -> Ref {
    // SAFETY: the slot keeps it alive, and it is never empty.
    unsafe { Ref::borrow(slots.get(ARGUMENT)) }
}

fn recv_at_once(slots: SockSlots) -> Option<Res> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let most = plain_size(slots.get(ARGUMENT))?;
        let (_, fd) = common(slots)?;
        match recv(fd, 0, most) {
            Ok(Some((data, _))) => Some(Ok(data)),
            Ok(None) => tried(slots, 0),
            Err(raised) => Some(Err(raised)),
        }
    }
}

async fn recv_body(slots: SockSlots) -> Res {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let most = plain_size(slots.get(ARGUMENT));
        let (Some((core, fd)), Some(most)) = (common(slots).filter(|_| was_tried(slots)), most)
        else {
            return rarely(slots, names().sock_recv, argument(slots)).await;
        };
        loop {
            let watch = wait(slots, core, fd).await?;
            let fd = descriptor(slots)?;
            if let Some((data, count)) = recv(fd, (*watch).last, most)? {
                (*watch).last = count;
                return Ok(data);
            }
        }
    }
}

fn recv_into_at_once(slots: SockSlots) -> Option<Res> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let (_, fd) = common(slots)?;
        match recv_into(fd, slots.get(ARGUMENT)) {
            Ok(Some(count)) => Some(Ok(count)),
            Ok(None) => tried(slots, 0),
            Err(raised) if raised_matches(&raised, ffi::PyExc_OSError) => Some(Err(raised)),
            Err(raised) => {
                // No buffer to write to: the socket's own method says why.
                drop(take_raised(raised));
                None
            }
        }
    }
}

async fn recv_into_body(slots: SockSlots) -> Res {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let Some((core, fd)) = common(slots).filter(|_| was_tried(slots)) else {
            return rarely(slots, names().sock_recv_into, argument(slots)).await;
        };
        loop {
            wait(slots, core, fd).await?;
            if let Some(count) = recv_into(descriptor(slots)?, slots.get(ARGUMENT))? {
                return Ok(count);
            }
        }
    }
}

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

/// How much to read at most, if it is a number that needs no thought.
unsafe fn plain_size(given: *mut PyObject) -> Option<usize> {
    // SAFETY: alive, says the caller.
    unsafe {
        if ffi::PyLong_CheckExact(given) == 0 {
            return None;
        }
        let mut overflow = 0;
        let number = ffi::PyLong_AsLongLongAndOverflow(given, &mut overflow);
        usize::try_from(number)
            .ok()
            .filter(|&number| overflow == 0 && number <= MAX_RECEIVE)
    }
}

/// One `recv`, and how much it brought; `None` if nothing has come yet.
unsafe fn recv(fd: Fd, last: usize, most: usize) -> Res<Option<(Ref, usize)>> {
    // SAFETY: as for `receive`.
    match unsafe { receive(fd, last, most)? } {
        (Received::Data(count), Some(data)) => Ok(Some((data, count))),
        (Received::Eof, _) => {
            // SAFETY: attached.
            let nothing = unsafe { ffi::PyBytes_FromStringAndSize(ptr::null(), 0) };
            // SAFETY: a new reference, or NULL.
            Ok(Some((unsafe { Ref::checked(nothing)? }, 0)))
        }
        (Received::Failed(error), _) => Err(event_loop::os_error(&error)),
        _ => Ok(None),
    }
}

/// One `recv` into a buffer: how much it brought.
unsafe fn recv_into(fd: Fd, buffer: *mut PyObject) -> Res<Option<Ref>> {
    // SAFETY: alive, says the caller.
    unsafe {
        let view = View::of(buffer, ffi::PyBUF_WRITABLE)?;
        match fd.receive(view.start(), view.len()) {
            Ok(count) => Ok(Some(Ref::int(count as i64)?)),
            Err(error) if is_blocked(&error) => Ok(None),
            Err(error) => Err(event_loop::os_error(&error)),
        }
    }
}

/// The descriptor as it is after a wait.
unsafe fn descriptor(slots: SockSlots) -> Res<Fd> {
    // SAFETY: the slot keeps the socket alive, which is a plain one.
    unsafe { plain_descriptor(slots.get(SOCKET)) }
        .ok_or_else(|| runtime_error("the socket has no descriptor"))
}

/// Waits until there is something to read, and answers the watch, which a slot keeps.
async unsafe fn wait(slots: SockSlots, core: &'static LoopCore, fd: Fd) -> Res<*mut SocketWatch> {
    // SAFETY: alive, says the caller; the slots keep the watch and the waiter alive.
    unsafe {
        let watch = slots.set(WATCH, watched(core, fd, slots.get(SOCKET))?);
        let watch = watch.cast::<SocketWatch>();
        let waiter = slots.set(WAITER, futures::new_future(slots.get(LOOP))?);
        set_slot(&raw mut (*watch).waiter, ffi::Py_NewRef(waiter));
        let woken = await_future(waiter).await;
        finally(woken, || {
            // Somebody else may have begun to wait in our place.
            if ptr::eq((*watch).waiter, waiter) {
                set_slot(&raw mut (*watch).waiter, ptr::null_mut());
            }
            Ok(())
        })?;
        Ok(watch)
    }
}

/// The watch of a socket: the one that has stayed, or a new one.
unsafe fn watched(core: &LoopCore, fd: Fd, sock: *mut PyObject) -> Res {
    core.check_closed()?;
    // SAFETY: all alive, says the caller.
    unsafe {
        let stayed = core.engine().with_reader(fd.0, |job| {
            jobs::is_socket_watch(job).then(|| Ref::borrow(job.data().cast()))
        });
        if let Some(Some(stayed)) = stayed {
            let reference = Ref::borrow((*stayed.ptr().cast::<SocketWatch>()).socket);
            if reference.call0()?.is(sock) {
                return Ok(stayed);
            }
        }
        let owner = Ref::borrow(core.owner());
        owner.call_method(names()._ensure_fd_no_transport, &[sock])?;
        let made = Ref::checked(ffi::PyType_GenericAlloc(KNOWN.get().class, 0))?;
        let this = made.ptr().cast::<SocketWatch>();
        (*this).socket = Ref::checked(ffi::PyWeakref_NewRef(sock, ptr::null_mut()))?.into_ptr();
        (*this).loop_ = owner.into_ptr();
        (*this).fd = fd.0;
        let replaced = core
            .engine()
            .set_reader(fd.0, jobs::socket_readable(made.clone()));
        event_loop::forget_watcher(replaced.map_err(|error| event_loop::os_error(&error))?)?;
        Ok(made)
    }
}

/// The job of a watch: wakes who waits.
pub(crate) unsafe fn readable(this: *mut SocketWatch) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        match take_slot(&raw mut (*this).waiter) {
            Some(waiter) if !futures::is_done(waiter.ptr())? => {
                futures::set_result(waiter.ptr(), ffi::Py_None())
            }
            _ => stop(this),
        }
    }
}

/// It has fired for nobody.
unsafe fn stop(this: *mut SocketWatch) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        let Some(core) = event_loop::any_native((*this).loop_) else {
            return Ok(());
        };
        let fd = (*this).fd;
        let ours = core
            .engine()
            .with_reader(fd, |job| ptr::eq(job.data().cast(), this));
        if ours == Some(true) {
            drop(core.engine().remove_reader(fd));
        }
        Ok(())
    }
}

/// Whether the job is a watch that has stayed although nobody waits.
pub(crate) fn is_idle_watch(job: &Job) -> bool {
    // SAFETY: the job keeps its watch alive.
    jobs::is_socket_watch(job) && unsafe { (*job.data().cast::<SocketWatch>()).waiter.is_null() }
}

impl SocketWatch {
    unsafe fn slots(this: *mut SocketWatch) -> [*mut *mut PyObject; 3] {
        // SAFETY: addresses of fields of a live object.
        unsafe {
            [
                &raw mut (*this).socket,
                &raw mut (*this).waiter,
                &raw mut (*this).loop_,
            ]
        }
    }
}

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        for slot in SocketWatch::slots(slf.cast()) {
            visit_opt!(*slot, visit, arg);
        }
    }
    0
}

unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    boundary::quiet(|| {
        // SAFETY: called by the collector on a live instance, or by dealloc. The weak reference
        // stays: the job looks at it.
        unsafe {
            for slot in SocketWatch::slots(slf.cast()).into_iter().skip(1) {
                set_slot(slot, ptr::null_mut());
            }
        }
    });
    0
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    // SAFETY: the object is dead; untracked before its fields go.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        clear(slf);
        set_slot(
            &raw mut (*slf.cast::<SocketWatch>()).socket,
            ptr::null_mut(),
        );
        free_instance(slf);
    }
}

/// Makes the type; called once by the module's initialisation, after the transports'.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<SocketWatch>(c"rasyncio.SocketWatch")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void);
    let plain = import(c"socket")?.attr(Ref::str("socket")?.ptr())?;
    let stock =
        import(c"asyncio.selector_events")?.attr(Ref::str("BaseSelectorEventLoop")?.ptr())?;
    // SAFETY: called once, before any reader, says the caller.
    unsafe {
        let class = builder.build(module, ptr::null_mut())?;
        KNOWN.set(Known {
            class,
            plain,
            stock,
        });
        add_methods(event_loop::base_class(), &METHODS)
    }
}
