//! Ctrl-C as asyncio's runners treat it.

use std::cell::{Cell, OnceCell};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::process;
use std::rc::Rc;

use rasyncio_engine::{Interrupts, Job};
use rustix::process::{Signal, getpid, kill_process};

use super::{Runner, output};
use crate::events;
use crate::exceptions::{RunError, TaskError};
use crate::signals;
use crate::tasks::AnyTask;

/// [`run`](super::run), where Ctrl-C cancels the main task, as in asyncio: it may clean up, then the other
/// tasks do, and the answer is [`RunError::Interrupted`].
///
/// Who presses Ctrl-C again ends the program at once. So it does while the other tasks clean up, and
/// afterwards: what it did before is back then. A main task that takes the request back
/// ([`uncancel`](crate::AnyTask::uncancel)) has its output answered all the same.
///
/// Nothing is caught where somebody else has seen to Ctrl-C: if the process has a handler for it, or
/// ignores it, or another thread has called this. A [handler of the
/// loop](crate::signals::add_signal_handler), or somebody who waits for [`ctrl_c`](crate::ctrl_c), comes
/// before the main task.
///
/// # Errors
///
/// [`RunError::Interrupted`], and those of [`try_run`](super::try_run).
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{RunError, runners::run_interruptible, sleep};
///
/// let interrupted = run_interruptible(async {
///     # // SAFETY: plain system call.
///     # unsafe { libc::raise(libc::SIGINT) }; // Ctrl-C
///     let slept = sleep(Duration::from_secs(3600)).await;
///     println!("cleaning up");
///     slept
/// });
/// assert!(matches!(interrupted, Err(RunError::Interrupted)));
/// ```
pub fn run_interruptible<F: Future>(main: F) -> Result<F::Output, RunError> {
    if events::is_running() {
        return Err(RunError::Nested);
    }
    let runner = Runner::new()?;
    let result = runner.run_to_end_or_interrupted(main);
    // First, so that the other tasks clean up even if this one has panicked.
    drop(runner);
    result.map(output)
}

/// [`run_interruptible`] for a whole program, which is what `#[rasyncio::main(interruptible)]` does: one that
/// was interrupted ends as Ctrl-C ends any other, once its tasks have cleaned up, so that a shell sees it.
///
/// # Panics
///
/// As [`run`](super::run).
///
/// ```
/// use rasyncio::{runners::run_or_end, sleep};
///
/// let slept = run_or_end(async { sleep(std::time::Duration::from_millis(1)).await });
/// assert_eq!(slept, Ok(()));
/// ```
#[track_caller]
pub fn run_or_end<F: Future>(main: F) -> F::Output {
    match run_interruptible(main) {
        Ok(output) => output,
        Err(RunError::Interrupted) => end_interrupted(),
        Err(error) => panic!("{error}"),
    }
}

fn end_interrupted() -> ! {
    // A signal leaves no time for it.
    let _ = io::stdout().flush();
    // What it does is the default again.
    let _ = kill_process(getpid(), Signal::INT);
    // It was blocked, or another thread has it: the number by which shells know of a death by this signal.
    process::exit(128 + libc::SIGINT)
}

impl Runner {
    /// [`run`](Runner::run), where Ctrl-C cancels the main task. See [`run_interruptible`], but that the
    /// other tasks go on with the next run.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use rasyncio::{Runner, runners};
    ///
    /// let runner = Runner::new()?;
    /// assert_eq!(runner.run_interruptible(async { 42 })?, 42);
    /// # Ok::<_, rasyncio::RunError>(())
    /// ```
    #[track_caller]
    pub fn run_interruptible<F: Future>(&self, main: F) -> Result<F::Output, RunError> {
        self.run_to_end_or_interrupted(main).map(output)
    }

    fn run_to_end_or_interrupted<F: Future>(
        &self,
        main: F,
    ) -> Result<Result<F::Output, TaskError>, RunError> {
        let Some(interrupts) = Interrupts::catch()? else {
            return self.run_to_end(main);
        };
        let descriptor = interrupts.as_fd().as_raw_fd();
        let listener = Rc::new(Listener {
            interrupts,
            task: OnceCell::new(),
            asked: Cell::new(false),
            late: Cell::new(false),
        });
        let job = Job::from_fn_mut({
            let listener = listener.clone();
            move || events::quietly("Panic when Ctrl-C was pressed", || listener.look())
        });
        drop(self.engine.set_reader(descriptor, job)?);
        let result = self.run_task(self.shared_context(), main, |task| {
            listener.task.get_or_init(|| task.clone());
            self.run_until_done(task);
            self.settle();
            listener.look();
        });
        drop(self.engine.remove_reader(descriptor));
        match listener.has_ended_the_run() {
            true => Err(RunError::Interrupted),
            false => result,
        }
    }
}

/// Passes Ctrl-C on to the main task.
struct Listener {
    interrupts: Interrupts,
    task: OnceCell<AnyTask>,
    asked: Cell<bool>,
    /// The task had ended already.
    late: Cell<bool>,
}

impl Listener {
    fn look(&self) {
        if self.interrupts.take() && !is_handled() {
            let asked = self.task.get().is_some_and(AnyTask::cancel);
            if asked { &self.asked } else { &self.late }.set(true);
        }
    }

    fn has_ended_the_run(&self) -> bool {
        let cancelled = self.task.get().is_some_and(AnyTask::cancelled);
        self.late.get() || self.asked.get() && cancelled
    }
}

/// Whether the running loop has something of its own to do at Ctrl-C.
fn is_handled() -> bool {
    events::with_running(|state, _| {
        let handlers = state.signals.get();
        handlers.is_some_and(|handlers| handlers.handles(signals::INTERRUPT))
    })
}
