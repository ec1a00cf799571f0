//! The kinds of job that this floor puts on the engine's queue.
//!
//! **Invariant**: the data of each is one owned reference to a Python object. So dropping
//! a job is a decref, cloning one an incref, and the collector can visit them all.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject};
use rasyncio_engine::{Flow, Job, JobVTable};

use crate::boundary;
use crate::children;
use crate::event_loop::{self, LoopCore};
use crate::futures::{self, FutureObject};
use crate::handles;
use crate::object::{Raised, Ref, Res, counts};
use crate::servers;
use crate::sockets;
use crate::tasks;
use crate::transports;

unsafe extern "C" fn drop_data(data: *mut ()) {
    // SAFETY: the job owned one reference; jobs of ours are dropped attached only.
    boundary::quiet(|| unsafe { counts::decrement(data.cast()) });
}

unsafe extern "C" fn clone_data(data: *mut ()) {
    // SAFETY: the job that is cloned keeps the object alive.
    unsafe { counts::increment(data.cast()) };
}

/// The job of a transport is cloned for an event, along with those of the poll's other events, and runs
/// after that.
unsafe extern "C" fn clone_readable(data: *mut ()) {
    // SAFETY: the job that is cloned keeps the transport alive.
    unsafe {
        clone_data(data);
        transports::fetch_ahead(data.cast());
    }
}

/// A kind of job: its table, and the function that makes one. Its function takes a live
/// object, and an error of it leaves the loop.
macro_rules! job_kind {
    ($(#[$doc:meta])* $make:ident, $table:ident, $run:ident, $function:path) => {
        job_kind!($(#[$doc])* $make, $table, $run, $function, clone_data);
    };
    ($(#[$doc:meta])* $make:ident, $table:ident, $run:ident, $function:path, $clone:path) => {
        unsafe extern "C" fn $run(data: *mut ()) -> Flow {
            // SAFETY: the job owned one reference, which is ours now.
            let data = unsafe { Ref::own(data.cast::<PyObject>()) };
            // SAFETY: `data` keeps the object alive, and `$make` was given what the function
            // takes.
            flow(boundary::result(|| unsafe { $function(data.ptr().cast()) }))
        }

        job_table!($(#[$doc])* $make, $table, $run, $clone);
    };
}

/// A kind of job that enters a context of its own. Its function takes the loop that runs it,
/// and the job's reference.
macro_rules! context_job_kind {
    ($(#[$doc:meta])* $make:ident, $table:ident, $run:ident, $function:path) => {
        unsafe extern "C" fn $run(data: *mut ()) -> Flow {
            // SAFETY: the job owned one reference, which is ours now; `$make` was given what
            // the function takes.
            flow(boundary::result(|| unsafe {
                let data = Ref::own(data.cast::<PyObject>());
                $function(event_loop::running_core()?, data)
            }))
        }

        job_table!($(#[$doc])* $make, $table, $run, clone_data);
    };
}

macro_rules! job_table {
    ($(#[$doc:meta])* $make:ident, $table:ident, $run:ident, $clone:path) => {
        static $table: JobVTable = JobVTable { run: $run, drop: drop_data, clone: $clone };

        $(#[$doc])*
        #[inline]
        pub(crate) fn $make(data: Ref) -> Job {
            // SAFETY: the table's functions expect exactly one owned reference.
            unsafe { Job::new(data.into_ptr().cast(), &$table) }
        }
    };
}

#[inline]
fn flow(outcome: Res<()>) -> Flow {
    match outcome {
        Ok(()) => Flow::Continue,
        Err(raised) => stop(raised),
    }
}

/// What runs in a job deals with its own errors; those that arrive here (KeyboardInterrupt,
/// SystemExit, a failing exception handler) leave `run_forever`, as in asyncio. The pending
/// exception carries them.
#[cold]
fn stop(raised: Raised) -> Flow {
    raised.leave_set();
    Flow::Stop
}

context_job_kind!(
    /// A task's first step, or one after a bare yield.
    step, STEP, run_step, tasks::run_step
);
context_job_kind!(
    /// A task's step after the future that it awaited is done.
    wakeup, WAKEUP, run_wakeup, tasks::run_wakeup
);
context_job_kind!(
    /// A Handle or a TimerHandle.
    handle, HANDLE, run_handle, handles::run
);
job_kind!(
    /// A native function with its data: `handles::native_call`.
    native_call, NATIVE_CALL, run_native_call, handles::run_native_call
);
job_kind!(
    /// A future that is done and whose only callback, a native one, is due.
    lone_callback, LONE_CALLBACK, run_lone_callback, run_lone
);

job_kind!(
    /// A transport whose descriptor is readable.
    transport_readable, READABLE, run_readable, transports::readable, clone_readable
);
job_kind!(
    /// A transport whose descriptor is writable.
    transport_writable, WRITABLE, run_writable, transports::writable
);

job_kind!(
    /// A datagram transport whose descriptor is readable.
    datagram_readable, DATAGRAM_READABLE, run_datagram_readable, transports::datagram_readable
);
job_kind!(
    /// A datagram transport that looks for another datagram by itself.
    datagram_again, DATAGRAM_AGAIN, run_datagram_again, transports::datagram_again
);
job_kind!(
    /// A datagram transport whose descriptor is writable.
    datagram_writable, DATAGRAM_WRITABLE, run_datagram_writable, transports::datagram_writable
);

job_kind!(
    /// A socket that `sock_recv` waits for is readable.
    socket_readable, SOCKET, run_socket, sockets::readable
);

job_kind!(
    /// A socket that `sock_connect` waits for is writable.
    socket_writable, SOCKET_WRITABLE, run_socket_writable, sockets::writable
);

job_kind!(
    /// A server's socket has connections to accept.
    connections, LISTENER, run_listener, servers::connections
);

job_kind!(
    /// A child process has ended.
    child_ended, CHILD, run_child, children::ended
);

/// Whether the job was made by [`socket_readable`].
pub(crate) fn is_socket_watch(job: &Job) -> bool {
    ptr::eq(job.vtable(), &SOCKET)
}

/// Whether the job was made by [`handle`].
pub(crate) fn is_handle(job: &Job) -> bool {
    ptr::eq(job.vtable(), &HANDLE)
}

static TRANSPORTS: [&JobVTable; 4] = [&READABLE, &WRITABLE, &DATAGRAM_READABLE, &DATAGRAM_WRITABLE];

/// Whether the job is a transport's.
pub(crate) fn is_transport(job: &Job) -> bool {
    TRANSPORTS.iter().any(|&known| ptr::eq(job.vtable(), known))
}

/// Runs a job of the loop of `core`: those with a context at once, all others (Rust tasks of
/// the floor below among them) when no context is left entered.
#[inline]
pub(crate) fn run(core: &LoopCore, job: Job) -> Flow {
    let table: *const JobVTable = job.vtable();
    // SAFETY: the data of such a job is one owned reference to what its function takes.
    unsafe {
        let data = |job: Job| Ref::own(job.into_raw().0.cast());
        if ptr::eq(table, &STEP) {
            flow(boundary::result(|| tasks::run_step(core, data(job))))
        } else if ptr::eq(table, &WAKEUP) {
            flow(boundary::result(|| tasks::run_wakeup(core, data(job))))
        } else if ptr::eq(table, &HANDLE) {
            flow(boundary::result(|| handles::run(core, data(job))))
        } else if let Err(raised) = core.contexts().leave() {
            stop(raised)
        } else {
            job.run()
        }
    }
}

unsafe fn run_lone(future: *mut FutureObject) -> Res<()> {
    // SAFETY: the job keeps the future alive.
    let outcome = boundary::result(|| unsafe { futures::run_lone(future) });
    event_loop::report_callback_error(outcome, future.cast())
}

/// Shows the collector what a queued job holds.
pub(crate) unsafe fn visit(job: &Job, visit: ffi::visitproc, arg: *mut c_void) -> c_int {
    let table: *const JobVTable = job.vtable();
    let ours = [
        &STEP,
        &WAKEUP,
        &HANDLE,
        &NATIVE_CALL,
        &LONE_CALLBACK,
        &READABLE,
        &WRITABLE,
        &DATAGRAM_READABLE,
        &DATAGRAM_AGAIN,
        &DATAGRAM_WRITABLE,
        &SOCKET,
        &SOCKET_WRITABLE,
        &LISTENER,
        &CHILD,
    ];
    if !ours.iter().any(|known| ptr::eq(*known, table)) {
        // A Rust task of the floor below: it holds no Python object that we could see.
        return 0;
    }
    let data = job.data().cast::<PyObject>();
    // SAFETY: the data of our jobs is a live object; called by the collector.
    unsafe {
        visit_opt!(data, visit, arg);
        handles::visit_through(data, visit, arg)
    }
}
