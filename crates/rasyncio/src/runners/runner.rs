//! A loop that runs several programs.

use std::cell::OnceCell;
use std::fmt;
use std::thread::panicking;

use rasyncio_engine::{Clock, EventLoop, Flow, PlainDriver};

#[cfg(doc)]
use super::run;
use super::{Host, output};
use crate::contextvars::{Context, copy_context};
use crate::events::{self, Loop};
use crate::exceptions::{RunError, TaskError};
use crate::tasks::{self, AnyTask};
use crate::threads;

/// A loop that runs several programs, one after the other (asyncio's `Runner`).
///
/// Tasks that one of them leaves behind go on with the next, and what one sets in its [context](Context)
/// is set in the next. Dropping the runner cancels the tasks, waits until they have cleaned up, and closes
/// the loop.
///
/// ```
/// use rasyncio::{Runner, create_task};
///
/// let runner = Runner::new()?;
/// let task = runner.run(async { create_task(async { 1 }) });
/// assert_eq!(runner.run(async { task.await.unwrap() }), 1);
/// # Ok::<_, rasyncio::RunError>(())
/// ```
pub struct Runner {
    /// That of all runs, from the first one on.
    context: OnceCell<Context>,
    // Dropped before the engine.
    pub(super) host: Host,
    pub(super) engine: EventLoop,
}

impl Runner {
    /// A runner on real time.
    ///
    /// # Errors
    ///
    /// If the system gives no loop.
    ///
    /// ```
    /// let runner = rasyncio::Runner::new()?;
    /// assert_eq!(runner.run(async { 42 }), 42);
    /// # Ok::<_, rasyncio::RunError>(())
    /// ```
    pub fn new() -> Result<Runner, RunError> {
        Runner::with_clock(Clock::Monotonic)
    }

    /// A runner on a clock of your choice.
    ///
    /// # Errors
    ///
    /// If the system gives no loop.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{Runner, sleep};
    /// use rasyncio_engine::{Clock, VirtualClock};
    ///
    /// let runner = Runner::with_clock(Clock::Virtual(VirtualClock::new()))?;
    /// runner.run(sleep(Duration::from_secs(86_400))).unwrap();
    /// # Ok::<_, rasyncio::RunError>(())
    /// ```
    pub fn with_clock(clock: Clock) -> Result<Runner, RunError> {
        let engine = EventLoop::with_clock(clock)?;
        Ok(Runner {
            context: OnceCell::new(),
            host: Host::new(&engine),
            engine,
        })
    }

    /// Runs `main` as a task, and answers what it resolves to (asyncio's `Runner.run`). Should
    /// it panic, so does this.
    ///
    /// # Panics
    ///
    /// If a loop is running in this thread already.
    ///
    /// ```
    /// let runner = rasyncio::Runner::new()?;
    /// let numbers = vec![1, 2, 3];
    /// // What runs may borrow.
    /// assert_eq!(runner.run(async { numbers.iter().sum::<i32>() }), 6);
    /// # Ok::<_, rasyncio::RunError>(())
    /// ```
    #[track_caller]
    pub fn run<F: Future>(&self, main: F) -> F::Output {
        match self.run_to_end(main) {
            Ok(result) => output(result),
            Err(error) => panic!("{error}"),
        }
    }

    /// [`run`](Runner::run) in a context (the `context` of asyncio's `Runner.run`), in place of the one that
    /// the runs share.
    ///
    /// # Panics
    ///
    /// If a loop is running in this thread already.
    ///
    /// ```
    /// use rasyncio::{ContextVar, Runner, contextvars::Context};
    ///
    /// static VISITS: ContextVar<u32> = ContextVar::with_default("visits", || 0);
    ///
    /// let runner = Runner::new()?;
    /// let visit = || async {
    ///     let _token = VISITS.set(VISITS.get().unwrap() + 1);
    ///     VISITS.get()
    /// };
    /// assert_eq!((runner.run(visit()), runner.run(visit())), (Some(1), Some(2)));
    /// assert_eq!(runner.run_in(&Context::new(), visit()), Some(1));
    /// # Ok::<_, rasyncio::RunError>(())
    /// ```
    #[track_caller]
    pub fn run_in<F: Future>(&self, context: &Context, main: F) -> F::Output {
        match self.run_to_end_in(context.clone(), main) {
            Ok(result) => output(result),
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs until [`events::stop`] is called (asyncio's `loop.run_forever`). A stopped loop can go on
    /// later.
    ///
    /// # Panics
    ///
    /// If a loop is running in this thread already.
    ///
    /// ```
    /// use rasyncio::{Runner, create_task, events, yield_now};
    ///
    /// let runner = Runner::new()?;
    /// runner.enter(|| {
    ///     create_task(async {
    ///         yield_now().await.unwrap();
    ///         events::stop();
    ///     })
    /// });
    /// runner.run_forever();
    /// # Ok::<_, rasyncio::RunError>(())
    /// ```
    #[track_caller]
    pub fn run_forever(&self) {
        assert!(!events::is_running(), "{}", RunError::Nested);
        self.enter(|| {
            let state = &self.host.state;
            if state.stopped.take() {
                self.engine.stop();
            }
            state.forever.set(true);
            let Ok(Flow::Continue | Flow::Stop) = self.engine.run(&mut PlainDriver);
            state.forever.set(false);
        });
    }

    /// Calls `f` with the loop as the running one, between two runs: to make callbacks and tasks for the
    /// next.
    ///
    /// ```
    /// use rasyncio::{Runner, create_task};
    ///
    /// let runner = Runner::new()?;
    /// let task = runner.enter(|| create_task(async { 1 }));
    /// assert_eq!(runner.run(task.into_future()).unwrap(), 1);
    /// # Ok::<_, rasyncio::RunError>(())
    /// ```
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        self.host.enter(&self.engine, f)
    }

    /// The loop, for other threads, and to be asked (asyncio's `Runner.get_loop`). It outlives the runner
    /// harmlessly.
    ///
    /// ```
    /// use rasyncio::{Runner, events};
    ///
    /// let runner = Runner::new()?;
    /// let here = runner.get_loop();
    /// assert_eq!(runner.run(async { events::get_running_loop() }), here);
    /// drop(runner);
    /// assert!(here.is_closed());
    /// # Ok::<_, rasyncio::RunError>(())
    /// ```
    pub fn get_loop(&self) -> Loop {
        Loop::of(&self.host.state.home)
    }

    pub(super) fn run_to_end<F: Future>(
        &self,
        main: F,
    ) -> Result<Result<F::Output, TaskError>, RunError> {
        self.run_to_end_in(self.shared_context(), main)
    }

    pub(super) fn shared_context(&self) -> Context {
        self.context.get_or_init(copy_context).clone()
    }

    fn run_to_end_in<F: Future>(
        &self,
        context: Context,
        main: F,
    ) -> Result<Result<F::Output, TaskError>, RunError> {
        self.run_task(context, main, |task| {
            self.run_until_done(task);
            self.settle();
        })
    }

    pub(super) fn run_task<F: Future>(
        &self,
        context: Context,
        main: F,
        drive: impl FnOnce(&AnyTask),
    ) -> Result<Result<F::Output, TaskError>, RunError> {
        if events::is_running() {
            return Err(RunError::Nested);
        }
        Ok(self.enter(|| tasks::run_main(main, Some(context), drive)))
    }

    /// As in asyncio, what was scheduled by then has its turn.
    pub(super) fn settle(&self) {
        self.engine.stop();
        let Ok(Flow::Continue | Flow::Stop) = self.engine.run(&mut PlainDriver);
    }

    // Once for all programs, and not for each type of a main future.
    #[inline(never)]
    pub(super) fn run_until_done(&self, task: &AnyTask) {
        let Ok(()) = self.engine.run_until(&mut PlainDriver, || task.done());
    }

    fn turn(&self) {
        let Ok(Flow::Continue | Flow::Stop) = self.engine.turn(&mut PlainDriver);
    }

    fn shut_down_executor(&self) {
        if self.host.state.executor.borrow().is_pool() {
            let ended = tasks::run_main(threads::shutdown_default_executor(), None, |task| {
                self.run_until_done(task);
            });
            // Nobody cancels it: all tasks have ended.
            drop(ended);
        }
    }

    fn cancel_all_tasks(&self) {
        /// The turns after which every task has been polled that was asked to end.
        const HEARD: u32 = 2;
        let mut turns = 0;
        let mut tasks = tasks::all_tasks();
        for task in &tasks {
            task.cancel();
        }
        while let Some(task) = tasks.last() {
            if task.done() {
                tasks.pop();
            } else {
                self.turn();
                turns += 1;
                if turns == HEARD {
                    // What waits in a foreign future would wait for ever.
                    tasks.iter().for_each(AnyTask::abandon_if_deaf);
                } else if let Some(task) = tasks.last() {
                    task.abandon_if_deaf();
                }
            }
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.host.enter(&self.engine, || {
            // Unwinding is no time to run tasks.
            if !panicking() {
                self.cancel_all_tasks();
                self.shut_down_executor();
                // Those who are told of the last task's end.
                if self.engine.ready_len() > 0 {
                    self.settle();
                }
            }
            self.host.close();
        });
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
