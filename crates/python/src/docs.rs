//! What `help()` and `inspect.signature()` say of native functions and methods.
//!
//! Each text begins with the signature in the form that the interpreter takes apart.

use core::ffi::CStr;

/// Texts by name.
pub(crate) type Docs = &'static [(&'static CStr, &'static CStr)];

/// The text of one name.
pub(crate) fn find(docs: Docs, name: &CStr) -> Option<&'static CStr> {
    docs.iter()
        .find(|(known, _)| *known == name)
        .map(|&(_, text)| text)
}

macro_rules! docs {
    ($(#[$doc:meta])* $table:ident: $($name:literal $signature:literal $text:literal,)*) => {
        $(#[$doc])*
        pub(crate) const $table: Docs = &[$((
            match CStr::from_bytes_with_nul(concat!($name, "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => unreachable!(),
            },
            match CStr::from_bytes_with_nul(
                concat!($name, $signature, "\n--\n\n", $text, "\0").as_bytes(),
            ) {
                Ok(text) => text,
                Err(_) => unreachable!(),
            },
        ),)*];
    };
}

docs! {
    /// Functions of the module.
    FUNCTIONS:
    "create_task" "(coro, *, name=None, context=None, **kwargs)"
        "Wrap a coroutine in a task on the running loop, and return the task.",
    "ensure_future" "(coro_or_future, *, loop=None)"
        "Return a future as it is; wrap a coroutine or other awaitable in a task.",
    "current_task" "(loop=None)"
        "Return the task that is running in the loop, or None.",
    "gather" "(*coros_or_futures, return_exceptions=False)"
        "Run awaitables concurrently; the result is the list of theirs, in order.\n\nThe first \
         exception is passed on, unless return_exceptions is true: then exceptions are results.",
    "shield" "(arg, /)"
        "Await something that is not cancelled when the await is.",
    "isfuture" "(obj, /)"
        "Return True if the object is a future: asyncio's, or one that behaves like it.",
    "as_completed" "(fs, *, timeout=None)"
        "Iterate over awaitables in the order in which they are done.\n\nWith `async for`, \
         futures that were given come out themselves; with `for`, awaitables of the results. \
         TimeoutError if not all are done within timeout seconds.",
    "timeout" "(delay)"
        "Limit the time, in seconds, of an `async with` block: TimeoutError when it is over.\n\n\
         None for no limit, until the Timeout is rescheduled.",
    "timeout_at" "(when)"
        "Like timeout(), with a time of loop.time()'s clock.",
    "future_add_to_awaited_by" "(future, waiter, /)"
        "Note that a future waits for another, for call graphs.",
    "future_discard_from_awaited_by" "(future, waiter, /)"
        "Take back what future_add_to_awaited_by() noted.",
}

docs! {
    /// `BaseLoop`.
    LOOP:
    "run_forever" "($self, /)" "Run until stop() is called.",
    "stop" "($self, /)" "Leave run_forever() after the current turn.",
    "close" "($self, /)"
        "Drop all callbacks and timers, and release the loop's descriptors.",
    "is_running" "($self, /)" "Return True while the loop runs.",
    "is_closed" "($self, /)" "Return True after close().",
    "time" "($self, /)" "Return the loop's time in seconds: time.monotonic()'s clock.",
    "get_debug" "($self, /)" "Return True in debug mode.",
    "set_debug" "($self, enabled, /)" "Turn debug mode on or off.",
    "create_future" "($self, /)" "Make a future of this loop.",
    "get_task_factory" "($self, /)" "Return what set_task_factory() was given, or None.",
    "set_task_factory" "($self, factory, /)"
        "Let create_task() call factory(loop, coro, **kwargs); None for tasks of the usual kind.",
    "call_soon" "($self, callback, *args, context=None)"
        "Call a callback in the next turn, and return its handle.",
    "call_soon_threadsafe" "($self, callback, *args, context=None)"
        "Like call_soon(), from any thread.",
    "call_later" "($self, delay, callback, *args, context=None)"
        "Call a callback in delay seconds, and return its handle.",
    "call_at" "($self, when, callback, *args, context=None)"
        "Call a callback at a time of time()'s clock, and return its handle.",
    "create_task" "($self, coro, *, name=None, context=None, **kwargs)"
        "Wrap a coroutine in a task, and return the task.",
    "run_in_executor" "($self, executor, func, *args)"
        "Call a function in an executor (None: the default one), and return a future.",
}

docs! {
    /// `Handle` and `TimerHandle`.
    HANDLE:
    "cancel" "($self, /)" "Do not call the callback any more.",
    "cancelled" "($self, /)" "Return True after cancel().",
    "get_context" "($self, /)" "Return the context that the callback runs in.",
    "when" "($self, /)" "Return the time, of loop.time()'s clock, at which it is due.",
}

docs! {
    /// `Future`.
    FUTURE:
    "result" "($self, /)"
        "Return the result, or raise the exception; InvalidStateError if there is neither yet.",
    "exception" "($self, /)"
        "Return the exception, or None; InvalidStateError if the future is not done.",
    "done" "($self, /)" "Return True if there is a result or an exception, or if cancelled.",
    "cancelled" "($self, /)" "Return True if the future was cancelled.",
    "get_loop" "($self, /)" "Return the loop that the future belongs to.",
    "set_result" "($self, result, /)" "Finish the future with a result.",
    "set_exception" "($self, exception, /)" "Finish the future with an exception.",
    "add_done_callback" "($self, fn, /, *, context=None)"
        "Call fn(future) in a later turn when the future is done.",
    "remove_done_callback" "($self, fn, /)"
        "Remove a callback, and return how often it was there.",
    "cancel" "($self, msg=None)" "Cancel the future; False if it is done already.",
}

docs! {
    /// `Task`.
    TASK:
    "cancel" "($self, msg=None)"
        "Ask for cancellation: CancelledError is raised where the task waits. False if it is done.",
    "cancelling" "($self, /)" "Return how many cancellations are asked for and not taken back.",
    "uncancel" "($self, /)" "Take one cancellation back, and return how many are left.",
    "get_coro" "($self, /)" "Return the coroutine.",
    "get_context" "($self, /)" "Return the context that the task runs in.",
    "get_name" "($self, /)" "Return the name.",
    "set_name" "($self, value, /)" "Set the name; what is no str is converted.",
    "set_result" "($self, result, /)" "Not for tasks: RuntimeError.",
    "set_exception" "($self, exception, /)" "Not for tasks: RuntimeError.",
    "get_stack" "($self, *, limit=None)"
        "Return the frames where the task waits, or of its exception's traceback.",
    "print_stack" "($self, *, limit=None, file=None)"
        "Print what get_stack() returns, to sys.stderr unless a file is given.",
}

docs! {
    /// `TaskGroup`.
    TASK_GROUP:
    "create_task" "($self, coro, *, name=None, context=None, **kwargs)"
        "Make a task that the group waits for, and whose failure cancels the others.",
    "cancel" "($self, /)" "Cancel the tasks of the group, and leave its block quietly.",
}

docs! {
    /// `Timeout`.
    TIMEOUT:
    "when" "($self, /)" "Return the deadline, of loop.time()'s clock, or None.",
    "reschedule" "($self, when, /)" "Set another deadline, of loop.time()'s clock; None for none.",
    "expired" "($self, /)" "Return True if the time was over before the block was left.",
}

docs! {
    /// Methods of a socket's transport.
    TRANSPORT:
    "write" "($self, data, /)"
        "Send data, or queue what the socket does not take at once.",
    "writelines" "($self, list_of_data, /)"
        "Send several pieces of data as if they were one.",
    "write_eof" "($self, /)"
        "Close the writing half, after what is queued has been sent.",
    "can_write_eof" "($self, /)"
        "Return True: the writing half can be closed alone.",
    "close" "($self, /)"
        "Close the connection, after what is queued has been sent.",
    "abort" "($self, /)"
        "Close the connection at once. What is queued is lost.",
    "is_closing" "($self, /)"
        "Return True if the transport is closing or closed.",
    "is_reading" "($self, /)"
        "Return True if the protocol is to get data.",
    "pause_reading" "($self, /)"
        "Pass no data to the protocol until resume_reading() is called.",
    "resume_reading" "($self, /)"
        "Pass data to the protocol again.",
    "set_protocol" "($self, protocol, /)"
        "Let another protocol have the connection.",
    "get_protocol" "($self, /)"
        "Return the protocol.",
    "get_write_buffer_size" "($self, /)"
        "Return how many bytes are queued.",
    "get_write_buffer_limits" "($self, /)"
        "Return the water marks of the queue, (low, high).",
    "set_write_buffer_limits" "($self, high=None, low=None)"
        "Set the water marks at which the protocol is told to pause and to resume writing.",
    "get_extra_info" "($self, name, default=None)"
        "Return what is known about the connection under a name such as 'peername'.",
}

docs! {
    /// The transport of a datagram socket, in place of what streams have.
    DATAGRAM_TRANSPORT:
    "sendto" "($self, data, addr=None)"
        "Send a datagram, or queue it if the socket does not take it at once.\n\nWithout an \
         address it goes to where the endpoint is connected to.",
    "close" "($self, /)"
        "Close the socket, after what is queued has been sent.",
    "abort" "($self, /)"
        "Close the socket at once. What is queued is lost.",
    "is_closing" "($self, /)"
        "Return True if the transport is closing or closed.",
    "is_reading" "($self, /)"
        "Return True if the protocol is to get datagrams.",
    "pause_reading" "($self, /)"
        "Pass no datagrams to the protocol until resume_reading() is called.",
    "resume_reading" "($self, /)"
        "Pass datagrams to the protocol again.",
    "set_protocol" "($self, protocol, /)"
        "Let another protocol have the socket.",
    "get_protocol" "($self, /)"
        "Return the protocol.",
    "get_write_buffer_size" "($self, /)"
        "Return how many bytes wait to be sent, with the headers that this version counts.",
    "get_write_buffer_limits" "($self, /)"
        "Return the water marks of what waits to be sent, (low, high).",
    "set_write_buffer_limits" "($self, high=None, low=None)"
        "Set the water marks of what waits to be sent, in bytes.",
    "get_extra_info" "($self, name, default=None)"
        "Return what is known of the socket: 'socket', 'sockname', 'peername'.",
}

docs! {
    /// Methods of a TLS connection's transport that a socket's does not have, or has otherwise.
    TLS_TRANSPORT:
    "write" "($self, data, /)"
        "Encrypt and send data, or queue what the connection does not take at once.",
    "write_eof" "($self, /)"
        "Raise NotImplementedError: TLS has no half-closed connections.",
    "can_write_eof" "($self, /)"
        "Return False: the writing half cannot be closed alone.",
    "set_read_buffer_limits" "($self, high=None, low=None)"
        "Set the water marks of what was received and not read, at which the transport below is \
         paused and resumed.",
    "get_read_buffer_limits" "($self, /)"
        "Return the water marks of what was received and not read, (low, high).",
    "get_read_buffer_size" "($self, /)"
        "Return how many bytes were received and not read.",
}

docs! {
    /// Methods of the transport of a pipe that is read.
    READ_PIPE_TRANSPORT:
    "close" "($self, /)"
        "Close the pipe.",
    "is_closing" "($self, /)"
        "Return True if the transport is closing or closed.",
    "is_reading" "($self, /)"
        "Return True if the protocol is to get data.",
    "pause_reading" "($self, /)"
        "Pass no data to the protocol until resume_reading() is called.",
    "resume_reading" "($self, /)"
        "Pass data to the protocol again.",
    "set_protocol" "($self, protocol, /)"
        "Let another protocol have the pipe.",
    "get_protocol" "($self, /)"
        "Return the protocol.",
    "get_extra_info" "($self, name, default=None)"
        "Return what is known under a name: 'pipe' is the pipe.",
}

docs! {
    /// Methods of the transport of a pipe that is written to.
    WRITE_PIPE_TRANSPORT:
    "write" "($self, data, /)"
        "Write data, or queue what the pipe does not take at once.",
    "write_eof" "($self, /)"
        "Close the pipe, after what is queued has been written.",
    "can_write_eof" "($self, /)"
        "Return True: closing a pipe ends what its reader gets.",
    "close" "($self, /)"
        "Close the pipe, after what is queued has been written.",
    "abort" "($self, /)"
        "Close the pipe at once. What is queued is lost.",
    "is_closing" "($self, /)"
        "Return True if the transport is closing or closed.",
    "set_protocol" "($self, protocol, /)"
        "Let another protocol have the pipe.",
    "get_protocol" "($self, /)"
        "Return the protocol.",
    "get_write_buffer_size" "($self, /)"
        "Return how many bytes are queued.",
    "get_write_buffer_limits" "($self, /)"
        "Return the water marks of the queue, (low, high).",
    "set_write_buffer_limits" "($self, high=None, low=None)"
        "Set the water marks at which the protocol is told to pause and to resume writing.",
    "get_extra_info" "($self, name, default=None)"
        "Return what is known under a name: 'pipe' is the pipe.",
}

docs! {
    /// `Lock`.
    LOCK:
    "locked" "($self, /)" "Return True if the lock is locked.",
    "release" "($self, /)"
        "Release the lock, and wake the first task that waits for it.\n\nRuntimeError if it is not \
         locked.",
}

docs! {
    /// `Event`.
    EVENT:
    "is_set" "($self, /)" "Return True if the event is set.",
    "set" "($self, /)" "Set the event, and wake all tasks that wait for it.",
    "clear" "($self, /)" "Unset the event: from now on, wait() waits until the next set().",
}

docs! {
    /// `Semaphore`.
    SEMAPHORE:
    "locked" "($self, /)" "Return True if acquire() would have to wait.",
    "release" "($self, /)" "Give a permit back, and wake the first task that waits for one.",
}

docs! {
    /// `BoundedSemaphore`.
    BOUNDED_SEMAPHORE:
    "release" "($self, /)"
        "Give a permit back, and wake the first task that waits for one.\n\nValueError if there \
         would be more than in the beginning.",
}

docs! {
    /// `Condition`.
    CONDITION:
    "notify" "($self, /, n=1)"
        "Wake n of the tasks that wait, in the order in which they came.\n\nThey go on when they \
         get the lock. RuntimeError if it is not held.",
    "notify_all" "($self, /)" "Wake all tasks that wait. RuntimeError if the lock is not held.",
}

docs! {
    /// `Queue`.
    QUEUE:
    "put_nowait" "($self, /, item)"
        "Put an item into the queue.\n\nQueueFull if there is no room, QueueShutDown if the queue \
         was shut down.",
    "get_nowait" "($self, /)"
        "Take an item out of the queue and return it.\n\nQueueEmpty if there is none, QueueShutDown \
         if the queue was shut down besides.",
    "qsize" "($self, /)" "Return how many items there are.",
    "empty" "($self, /)" "Return True if there are no items.",
    "full" "($self, /)" "Return True if there are maxsize items; never if maxsize is 0.",
    "task_done" "($self, /)"
        "Say that an item, which was got, is done with.\n\njoin() ends when that was said of all. \
         ValueError if it is said too often.",
    "shutdown" "($self, /, immediate=False)"
        "Let put() raise QueueShutDown from now on, and get() when there are no items any more.\n\n\
         With immediate=True, the items are dropped, each as if it were done with.",
    "_init" "($self, /, maxsize)" "Make the container of the items. Subclasses may override it.",
    "_put" "($self, /, item)" "Put an item into the container. Subclasses may override it.",
    "_get" "($self, /)" "Take an item out of the container. Subclasses may override it.",
}

docs! {
    /// Methods of a stream reader.
    STREAM_READER:
    "feed_data" "($self, data, /)"
        "Add bytes, and wake who waits for them.",
    "feed_eof" "($self, /)"
        "The stream has ended.",
    "at_eof" "($self, /)"
        "Return True if the stream has ended and everything was read.",
    "exception" "($self, /)"
        "Return what the connection has failed with, or None.",
    "set_exception" "($self, exc, /)"
        "The connection has failed.",
    "set_transport" "($self, transport, /)"
        "Say which transport feeds the reader.",
}

docs! {
    /// Methods of a stream writer.
    STREAM_WRITER:
    "write" "($self, data, /)"
        "Send data, or queue what the socket does not take at once.",
    "writelines" "($self, data, /)"
        "Send several pieces of data as if they were one.",
    "write_eof" "($self, /)"
        "Close the writing half, after what is queued has been sent.",
    "can_write_eof" "($self, /)"
        "Return True if the writing half can be closed alone.",
    "close" "($self, /)"
        "Close the stream.",
    "is_closing" "($self, /)"
        "Return True if the stream is closing or closed.",
    "get_extra_info" "($self, name, default=None)"
        "Return what the transport knows under a name such as 'peername'.",
}

docs! {
    /// Methods of `Scheduler`, but for its coroutines.
    SCHEDULER:
    "shield" "($self, arg)"
        "Like asyncio.shield(); the scheduler waits for the shielded task before it closes.",
    "call_exception_handler" "($self, context)"
        "Tell the exception handler, or without one the loop's.",
}

docs! {
    /// Methods of `Job`, but for its coroutines.
    JOB:
    "get_name" "($self, /)"
        "Return the name of the job's task, or before it has one the job's name or None.",
    "set_name" "($self, name)"
        "Name the job and its task.",
}
