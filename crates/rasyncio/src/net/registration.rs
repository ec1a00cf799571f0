//! How a leaf waits for a descriptor.

use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use rasyncio_engine::{Direction, EventLoop, Job, Source, WaitKey};

use crate::scope;
use crate::{events, tasks};

/// A descriptor's place in a loop, from the first time that it is waited for.
pub(crate) struct Registration {
    source: Rc<Source>,
    /// The loop that has been asked.
    home: Cell<Option<u64>>,
}

/// A descriptor that can be waited for.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    // Dropped first, for it wants the descriptor open.
    registration: Registration,
    io: T,
    /// Who waits through [`Watched::poll_stream`], which has no future to keep it.
    #[cfg(feature = "_poll-io")]
    polled: [Cell<Option<WaitKey>>; 2],
}

impl Registration {
    pub(crate) fn new(fd: RawFd) -> Registration {
        Registration {
            source: Rc::new(Source::new(fd)),
            home: Cell::new(None),
        }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Has `job` wait.
    ///
    /// # Errors
    ///
    /// If the descriptor is watched by another loop, or cannot be watched.
    pub(crate) fn wait(&self, direction: Direction, job: Job) -> io::Result<WaitKey> {
        self.on_home(|engine| engine.wait_ready(&self.source, direction, job))
    }

    /// Has `job` watch.
    ///
    /// # Errors
    ///
    /// As [`Registration::wait`].
    pub(crate) fn watch(&self, direction: Direction, job: Job) -> io::Result<()> {
        let old = self.on_home(|engine| engine.watch_ready(&self.source, direction, job))?;
        drop(old);
        Ok(())
    }

    fn on_home<R>(&self, f: impl FnOnce(&EventLoop) -> io::Result<R>) -> io::Result<R> {
        events::with_running(|state, engine| {
            if self.home.get() != Some(state.id) {
                if !self.source.is_idle() {
                    return Err(io::Error::other("the socket belongs to a different loop"));
                }
                self.home.set(Some(state.id));
            }
            f(engine)
        })
    }

    /// Tells the loop, if it can be told. If not, it finds out itself.
    pub(crate) fn forget(&self, closing: bool) {
        if let Some(home) = self.home.take() {
            events::try_with_running(|state, engine| {
                if state.id == home {
                    engine.forget_source(&self.source, closing);
                }
            });
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.forget(true);
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl<T: AsFd> Watched<T> {
    /// `io` must not block.
    pub(crate) fn new(io: T) -> Watched<T> {
        Watched {
            registration: Registration::new(io.as_fd().as_raw_fd()),
            io,
            #[cfg(feature = "_poll-io")]
            polled: Default::default(),
        }
    }

    pub(crate) fn get(&self) -> &T {
        &self.io
    }

    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }

    pub(crate) fn into_inner(self) -> T {
        self.registration.forget(false);
        self.io
    }

    /// Calls `operation` until it does not answer that it would block.
    pub(crate) fn when_ready<'a, R, F>(
        &'a self,
        direction: Direction,
        operation: F,
    ) -> WhenReady<'a, F>
    where
        F: FnMut() -> io::Result<R> + Unpin + 'a,
    {
        WhenReady {
            registration: &self.registration,
            direction,
            operation,
            key: None,
            suspended: false,
        }
    }

    /// Calls `operation`, which answers how much of `asked` bytes a stream has moved, until it does
    /// not answer that it would block.
    pub(crate) fn when_stream<'a, F>(
        &'a self,
        direction: Direction,
        asked: usize,
        mut operation: F,
    ) -> WhenReady<'a, impl FnMut() -> io::Result<usize> + Unpin + 'a>
    where
        F: FnMut(&T) -> io::Result<usize> + Unpin + 'a,
    {
        let source = self.registration.source();
        self.when_ready(direction, move || {
            let moved = operation(&self.io)?;
            if moved < asked && moved > 0 {
                source.drained(direction);
            }
            Ok(moved)
        })
    }
}

#[cfg(feature = "_poll-io")]
impl<T: AsFd> Watched<T> {
    /// [`Watched::when_stream`], polled once. Who polls last is woken.
    pub(crate) fn poll_stream(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        asked: usize,
        operation: impl FnMut(&T) -> io::Result<usize> + Unpin,
    ) -> Poll<io::Result<usize>> {
        let kept = &self.polled[usize::from(direction == Direction::Write)];
        let mut leaf = self.when_stream(direction, asked, operation);
        leaf.key = kept.take();
        leaf.suspended = leaf.key.is_some();
        let polled = Pin::new(&mut leaf).poll(cx);
        kept.set(leaf.key.take());
        polled
    }
}

/// A leaf: waits until an operation on a descriptor is done.
#[must_use = "futures do nothing unless awaited"]
pub(crate) struct WhenReady<'a, F> {
    registration: &'a Registration,
    direction: Direction,
    operation: F,
    key: Option<WaitKey>,
    suspended: bool,
}

impl<F> WhenReady<'_, F> {
    fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            drop(self.registration.source.leave(self.direction, key));
        }
    }
}

impl<R, F> Future for WhenReady<'_, F>
where
    F: FnMut() -> io::Result<R> + Unpin,
{
    type Output = io::Result<R>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<R>> {
        let this = self.get_mut();
        // Who woke us may have been somebody else, and the waker may be another one now.
        this.leave();
        if this.suspended
            && let Some(cancelled) = scope::take_cancellation()
        {
            return Poll::Ready(Err(cancelled.into()));
        }
        while this.registration.source.is_ready(this.direction) {
            match (this.operation)() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    this.registration.source.blocked(this.direction);
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
        let job = tasks::into_job(cx.waker().clone());
        this.key = Some(this.registration.wait(this.direction, job)?);
        this.suspended = true;
        scope::suspend(cx);
        Poll::Pending
    }
}

impl<F> Drop for WhenReady<'_, F> {
    fn drop(&mut self) {
        self.leave();
    }
}
