//! Interned strings: attribute names, so that a lookup compares pointers.

use pyo3::ffi::{self, PyObject};

use crate::global::Global;
use crate::object::{Raised, Res};

macro_rules! names {
    ($($field:ident = $text:literal),* $(,)?) => {
        /// One interned `str` for each attribute name that the crate looks up.
        #[allow(non_snake_case, reason = "a field is called exactly as the Python name it holds")]
        pub(crate) struct Names { $(pub(crate) $field: *mut PyObject,)* }

        impl Names {
            fn new() -> Res<Names> {
                Ok(Names { $($field: intern($text)?,)* })
            }
        }
    };
}

names! {
    FINISHED = "FINISHED",
    __class__ = "__class__",
    __dict__ = "__dict__",
    __self__ = "__self__",
    __qualname__ = "__qualname__",
    __module__ = "__module__",
    __name__ = "__name__",
    _asyncio_future_blocking = "_asyncio_future_blocking",
    _cancel_message = "_cancel_message",
    _add_reader = "_add_reader",
    _add_writer = "_add_writer",
    _app_transport = "_app_transport",
    _attach_to = "_attach_to",
    add = "add",
    discard = "discard",
    _clients = "_clients",
    _sockets = "_sockets",
    _transports = "_transports",
    _start_reading = "_start_reading",
    connection_made = "connection_made",
    getpeername = "getpeername",
    getsockname = "getsockname",
    peername = "peername",
    sockname = "sockname",
    socket = "socket",
    _accept_connection = "_accept_connection",
    _listen = "_listen",
    fileno = "fileno",
    logger = "logger",
    type_ = "type",
    family = "family",
    proto = "proto",
    ACCEPT_RETRY_DELAY = "ACCEPT_RETRY_DELAY",
    data = "data",
    _call_connection_lost = "_call_connection_lost",
    _clock_resolution = "_clock_resolution",
    _selector = "_selector",
    select = "select",
    waitpid = "waitpid",
    waitstatus_to_exitcode = "waitstatus_to_exitcode",
    _check_callback = "_check_callback",
    _detach_from = "_detach_from",
    _ensure_fd_no_transport = "_ensure_fd_no_transport",
    _drain_helper = "_drain_helper",
    _established = "_established",
    _refused = "_refused",
    _force_close = "_force_close",
    do_handshake = "do_handshake",
    pending = "pending",
    read = "read",
    unwrap = "unwrap",
    _fatal_error = "_fatal_error",
    _over_ssl = "_over_ssl",
    _read_ready = "_read_ready",
    _write_ready = "_write_ready",
    _loop = "_loop",
    _make_cancelled_error = "_make_cancelled_error",
    _exception = "_exception",
    _result = "_result",
    _log_destroy_pending = "_log_destroy_pending",
    _state = "_state",
    _timer_handle_cancelled = "_timer_handle_cancelled",
    acquire = "acquire",
    append = "append",
    pipe = "pipe",
    pop = "pop",
    popleft = "popleft",
    qsize = "qsize",
    empty = "empty",
    full = "full",
    put_nowait = "put_nowait",
    get_nowait = "get_nowait",
    _init = "_init",
    _put = "_put",
    _get = "_get",
    _format = "_format",
    locked = "locked",
    notify = "notify",
    wait = "wait",
    release = "release",
    add_done_callback = "add_done_callback",
    buffer_updated = "buffer_updated",
    call_at = "call_at",
    call_exception_handler = "call_exception_handler",
    call_later = "call_later",
    call_soon = "call_soon",
    call_soon_threadsafe = "call_soon_threadsafe",
    can_write_eof = "can_write_eof",
    cancel = "cancel",
    cancelled = "cancelled",
    cancelling = "cancelling",
    close = "close",
    setblocking = "setblocking",
    detach = "detach",
    co_flags = "co_flags",
    connection_lost = "connection_lost",
    context = "context",
    cr_await = "cr_await",
    create_future = "create_future",
    create_task = "create_task",
    data_received = "data_received",
    datagram_received = "datagram_received",
    error_received = "error_received",
    sendto = "sendto",
    send = "send",
    _sendto_ready = "_sendto_ready",
    _header_size = "_header_size",
    _sends_empty = "_sends_empty",
    debug = "debug",
    done = "done",
    eager_start = "eager_start",
    eof_received = "eof_received",
    exception = "exception",
    feed_data = "feed_data",
    feed_eof = "feed_eof",
    future = "future",
    get = "get",
    get_buffer = "get_buffer",
    get_debug = "get_debug",
    get_extra_info = "get_extra_info",
    get_loop = "get_loop",
    get_name = "get_name",
    gi_code = "gi_code",
    handle = "handle",
    is_closed = "is_closed",
    is_closing = "is_closing",
    info = "info",
    is_running = "is_running",
    message = "message",
    msg = "msg",
    name = "name",
    pause_reading = "pause_reading",
    pause_writing = "pause_writing",
    protocol = "protocol",
    recv_into = "recv_into",
    remove_done_callback = "remove_done_callback",
    result = "result",
    resume_reading = "resume_reading",
    resume_writing = "resume_writing",
    run = "run",
    run_in_executor = "run_in_executor",
    set_exception = "set_exception",
    set_name = "set_name",
    set_result = "set_result",
    _connect_sock = "_connect_sock",
    _create_connection_transport = "_create_connection_transport",
    _ensure_resolved = "_ensure_resolved",
    _make_socket_transport = "_make_socket_transport",
    create_connection = "create_connection",
    create_unix_connection = "create_unix_connection",
    host = "host",
    path = "path",
    port = "port",
    protocol_factory = "protocol_factory",
    gettimeout = "gettimeout",
    sock_accept = "sock_accept",
    sock_connect = "sock_connect",
    sock_recvfrom = "sock_recvfrom",
    sock_recvfrom_into = "sock_recvfrom_into",
    sock_sendto = "sock_sendto",
    sock_recv = "sock_recv",
    sock_recv_into = "sock_recv_into",
    sock_sendall = "sock_sendall",
    source_traceback = "source_traceback",
    submit = "submit",
    task = "task",
    throw_ = "throw",
    time = "time",
    transport = "transport",
    uncancel = "uncancel",
    value = "value",
    wait_and_close = "wait_and_close",
    write = "write",
    write_eof = "write_eof",
    writelines = "writelines",
    isawaitable = "isawaitable",
    _convert_future_exc = "_convert_future_exc",
    thread_name_prefix = "thread_name_prefix",
    ThreadPoolExecutor = "ThreadPoolExecutor",
    _executor_shutdown_called = "_executor_shutdown_called",
    _is_debug_mode = "_is_debug_mode",
    warning = "warning",
    set_asyncgen_hooks = "set_asyncgen_hooks",
    get_asyncgen_hooks = "get_asyncgen_hooks",
    _asyncgen_finalizer_hook = "_asyncgen_finalizer_hook",
    _asyncgen_firstiter_hook = "_asyncgen_firstiter_hook",
    _set_coroutine_origin_tracking = "_set_coroutine_origin_tracking",
    _set_running_loop = "_set_running_loop",
    _virtual_time = "_virtual_time",
}

static NAMES: Global<Names> = Global::new();

/// The interned names.
#[inline]
pub(crate) fn names() -> &'static Names {
    NAMES.get()
}

fn intern(text: &str) -> Res<*mut PyObject> {
    // SAFETY: pointer and length describe valid UTF-8; interned in place, kept for ever.
    unsafe {
        let mut name =
            ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as ffi::Py_ssize_t);
        if name.is_null() {
            return Err(Raised::set());
        }
        ffi::PyUnicode_InternInPlace(&mut name);
        Ok(name)
    }
}

/// Interns all names; called once by the module's initialisation.
pub(crate) unsafe fn init() -> Res<()> {
    // SAFETY: called once, before any reader, says the caller.
    unsafe { NAMES.set(Names::new()?) };
    Ok(())
}
