//! `await` of a plain Rust future inside a body: how the algorithms of crates/rasyncio (locks,
//! queues...) become coroutines.
//!
//! A cancellation reaches such a future as a request in a [`Scope`], which the leaf that it
//! waits in takes. So it may clean up, awaiting, before it ends, or refuse. Anything else that
//! is thrown (`GeneratorExit` above all) drops the future.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use pyo3::ffi::{self, PyObject};
use rasyncio::Cancelled;
use rasyncio::scope::Scope;

use super::object::Input;
use super::waker::Turn;
use crate::object::{Ref, Res, raise, raise_instance};
use crate::stdlib::cancelled_error;

/// Awaits a Rust future, woken from any thread.
pub(crate) async fn await_rust<T>(future: impl Future<Output = Result<T, Cancelled>>) -> Res<T> {
    let scope = Scope::new();
    let mut future = pin!(future);
    // What the request stands for. Hidden from the collector, for as long as a clean-up takes.
    let mut thrown = None;
    poll_fn(move |cx| {
        if let Some(Input::Throw(exception)) = Turn::of(cx).take_input() {
            if !is_cancellation(&exception) {
                return Poll::Ready(Err(raise_instance(exception)));
            }
            thrown = Some(exception);
            let _ = scope.request(Cancelled::new());
        }
        match scope.enter(|| future.as_mut().poll(cx)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(value)) => Poll::Ready(Ok(value)),
            Poll::Ready(Err(cancelled)) => Poll::Ready(Err(match thrown.take() {
                Some(exception) => raise_instance(exception),
                // SAFETY: an exception class.
                None => unsafe { raise(cancelled_error(), cancelled.message().unwrap_or("")) },
            })),
        }
    })
    .await
}

fn is_cancellation(exception: &Ref) -> bool {
    // SAFETY: an exception instance, alive, and a class.
    unsafe { ffi::PyErr_GivenExceptionMatches(exception.ptr(), cancelled_error()) != 0 }
}

/// Adds nothing to a release build.
#[cfg(not(debug_assertions))]
pub(super) unsafe fn init(_module: *mut PyObject) -> Res<()> {
    drop(await_rust(async { Ok::<(), Cancelled>(()) }));
    Ok(())
}

#[cfg(debug_assertions)]
pub(super) use for_tests::init;

/// A coroutine function for the tests of this file and `waker.rs`, in debug builds.
#[cfg(debug_assertions)]
mod for_tests {
    use std::sync::{Arc, Mutex, PoisonError};
    use std::task::Waker;
    use std::time::Duration;

    use rasyncio::scope;

    use super::*;
    use crate::args::Signature;
    use crate::coroutine::{CoroutineDef, FunctionDef, Slots, add_function, coroutine};
    use crate::timer::as_f64;

    static DEF: CoroutineDef = CoroutineDef::new(c"<rasyncio.coroutine>", c"_woken_by_a_thread");

    static FUNCTION: FunctionDef = FunctionDef {
        name: c"_woken_by_a_thread",
        module: c"rasyncio._rasyncio",
        doc: c"Completes when a thread, which knows no Python, has slept.",
        signature: "(seconds)",
        call: woken_by_a_thread,
    };

    static PARAMETERS: Signature = Signature::required("_woken_by_a_thread", &["seconds"]);

    vectorcall!(woken_by_a_thread, |_this, PARAMETERS [seconds]| {
        coroutine(&DEF, [Some(Ref::borrow(seconds))], |slots: Slots<1>| async move {
            let seconds = as_f64(slots.get(0))?;
            await_rust(thread_sleep(Duration::from_secs_f64(seconds))).await?;
            Ok(Ref::none())
        })
    });

    #[derive(Default)]
    struct Shared {
        done: bool,
        waker: Option<Waker>,
    }

    async fn thread_sleep(duration: Duration) -> Result<(), Cancelled> {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            std::thread::sleep(duration);
            let waker = {
                let mut shared = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                shared.done = true;
                shared.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        poll_fn(|cx| {
            if let Some(cancelled) = scope::take_cancellation() {
                return Poll::Ready(Err(cancelled));
            }
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.done {
                return Poll::Ready(Ok(()));
            }
            shared.waker = Some(cx.waker().clone());
            scope::suspend(cx);
            Poll::Pending
        })
        .await
    }

    pub(in crate::coroutine) unsafe fn init(module: *mut PyObject) -> Res<()> {
        // SAFETY: `module` is being initialised, says the caller.
        unsafe { add_function(module, &FUNCTION) }
    }
}
