//! What is told of jobs that nobody waits for.

use std::fmt;
use std::rc::Rc;

use super::{AnyJob, Scheduler};
use crate::events::{self, ExceptionContext};
use crate::exceptions::Panic;

pub(super) type Handler = Rc<dyn Fn(&Scheduler, &JobContext<'_>)>;

/// What a scheduler's exception handler is told.
///
/// ```
/// use rasyncio::scheduler::Builder;
///
/// let _scheduler = Builder::new()
///     .exception_handler(|_, context| eprintln!("{}: {:?}", context.message, context.job.name()))
///     .build();
/// ```
#[non_exhaustive]
pub struct JobContext<'a> {
    /// What has happened.
    pub message: &'a str,
    /// The job that it has happened to.
    pub job: &'a AnyJob,
    /// What the job panicked with, if that is what has happened.
    pub panic: Option<&'a Panic>,
}

impl fmt::Display for JobContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)?;
        if let Some(name) = self.job.name() {
            write!(f, ": job {name:?}")?;
        }
        match self.panic {
            Some(panic) => write!(f, ": {panic}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for JobContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobContext")
            .field("message", &self.message)
            .field("job", &self.job)
            .field("panic", &self.panic)
            .finish()
    }
}

impl Scheduler {
    /// Tells the scheduler's exception handler; without one, the running loop's, or stderr.
    pub(super) fn report(&self, message: &str, job: &AnyJob, panic: Option<&Panic>) {
        match &self.shared.handler {
            Some(handler) => {
                let context = JobContext {
                    message,
                    job,
                    panic,
                };
                events::quietly("Panic in the exception handler", || handler(self, &context));
            }
            None => {
                let late = Panic::of_error("the job did not end in time".to_owned());
                events::report(&ExceptionContext {
                    message,
                    task: job.task().as_ref(),
                    panic: panic.unwrap_or(&late),
                });
            }
        }
    }
}
