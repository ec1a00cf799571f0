//! HTTP on this loop, by hyper (with the feature `hyper`).
//!
//! hyper speaks HTTP and leaves the rest to others, who give it connections, tasks and time. Here a
//! connection is a [`TcpStream`], a [`UnixStream`] or a [`Duplex`] (for TLS, say), which have hyper's
//! `Read` and `Write` themselves; tasks are those of [`Executor`], time is [`Timer`]'s. Nothing need be
//! `Send`.
//!
//! ```no_run
//! use std::convert::Infallible;
//! use hyper::body::Incoming;
//! use hyper::server::conn::http1;
//! use hyper::{Request, Response, service::service_fn};
//! use rasyncio::net::TcpListener;
//! use rasyncio::{create_task, hyper::Timer};
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("hello\n".to_owned()))
//! }
//!
//! #[rasyncio::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:8080").await?;
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         let mut builder = http1::Builder::new();
//!         let connection = builder.timer(Timer).serve_connection(stream, service_fn(hello));
//!         create_task(connection).report_error();
//!     }
//! }
//! ```
//!
//! Cancelling the task of a connection ends it: what it waits for fails with the cancellation. The example
//! `hyper_server.rs` shows the way that lets requests finish first.

#![allow(unsafe_code)]

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use hyper::rt::{self, Read, ReadBufCursor, Write};

use super::{Reads, Writes};
use crate::net::{TcpStream, UnixStream};
use crate::streams::{Duplex, StreamReader, StreamWriter};
use crate::{create_task, timer};

/// Runs what hyper wants run beside a connection (of HTTP/2, mostly) as tasks of the running loop, by
/// [`create_task`](fn@crate::create_task).
///
/// ```
/// use hyper::rt::Executor as _;
/// use rasyncio::{hyper::Executor, yield_now};
///
/// rasyncio::run(async {
///     let local = std::rc::Rc::new(std::cell::Cell::new(false));
///     let task = { let local = local.clone(); async move { local.set(true) } };
///     Executor.execute(task);
///     yield_now().await?;
///     assert!(local.get());
///     Ok::<_, rasyncio::Cancelled>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F: Future + 'static> rt::Executor<F> for Executor {
    #[track_caller]
    fn execute(&self, future: F) {
        drop(create_task(future));
    }
}

/// hyper's time limits by the running loop's timers; on virtual time, too.
///
/// ```
/// use std::time::Duration;
/// use hyper::rt::Timer as _;
/// use rasyncio::{events, hyper::Timer, runners::run_virtual};
///
/// run_virtual(async {
///     let start = events::time();
///     Timer.sleep(Duration::from_secs(30)).await;
///     assert_eq!(events::time() - start, Duration::from_secs(30));
/// });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer;

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep::new(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        *sleep = self.sleep_until(deadline);
    }
}

/// hyper wants to be able to send it elsewhere. There it can be awaited, but not be taken back.
struct Sleep {
    state: Arc<Mutex<State>>,
    timer: timer::Timer,
}

#[derive(Default)]
struct State {
    is_over: bool,
    waker: Option<Waker>,
}

impl Sleep {
    #[track_caller]
    fn new(duration: Duration) -> Sleep {
        let state = Arc::<Mutex<State>>::default();
        let at_end = Arc::clone(&state);
        let timer = timer::Timer::after(duration, move || {
            let waker = {
                let mut state = at_end.lock().unwrap_or_else(PoisonError::into_inner);
                state.is_over = true;
                state.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        Sleep { state, timer }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let old = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.is_over {
                return Poll::Ready(());
            }
            state.waker.replace(cx.waker().clone())
        };
        drop(old);
        Poll::Pending
    }
}

impl rt::Sleep for Sleep {}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.timer.cancel();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

macro_rules! reads {
    ($($name:ident),+) => {$(
        impl Read for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut buffer: ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                // SAFETY: `Reads` writes only what has been read.
                let room = unsafe { buffer.as_mut() };
                let count = ready!(Reads::poll_read(self.get_mut(), cx, room))?;
                // SAFETY: so many bytes were read to there.
                unsafe { buffer.advance(count) };
                Poll::Ready(Ok(()))
            }
        }
    )+};
}

reads!(TcpStream, UnixStream, StreamReader, Duplex);
writes_by_trait!(Write: TcpStream, UnixStream, StreamWriter, Duplex);
