//! What can go wrong with jobs.

use std::error::Error;
use std::fmt;

use crate::exceptions::{Cancelled, Panic, TaskError};

/// Why a job was not spawned. Its future was dropped.
///
/// ```
/// use rasyncio::scheduler::{Scheduler, SpawnError};
///
/// rasyncio::run(async {
///     let scheduler = Scheduler::new();
///     scheduler.close().await?;
///     assert_eq!(scheduler.spawn(async {}).await.unwrap_err(), SpawnError::Closed);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// The scheduler is closed, or was while `spawn` waited.
    Closed,
    /// Whoever spawns was cancelled while it waited.
    Cancelled(Cancelled),
}

impl From<Cancelled> for SpawnError {
    fn from(cancelled: Cancelled) -> SpawnError {
        SpawnError::Cancelled(cancelled)
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::Closed => f.write_str("Scheduling a new job after closing"),
            SpawnError::Cancelled(cancelled) => cancelled.fmt(f),
        }
    }
}

impl Error for SpawnError {}

/// Why waiting for a job gave no output, or closing it has failed.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::scheduler::{JobError, Scheduler};
/// use rasyncio::sleep;
///
/// rasyncio::run(async {
///     let scheduler = Scheduler::new();
///     let mut job = scheduler.spawn(sleep(Duration::from_secs(3600))).await?;
///     let late = job.wait(Duration::from_millis(1)).await;
///     assert!(matches!(late, Err(JobError::TimedOut)));
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub enum JobError {
    /// The job was cancelled, or who waits for it was.
    Cancelled(Cancelled),
    /// The job's code panicked.
    Panicked(Panic),
    /// The time was over.
    TimedOut,
}

impl From<Cancelled> for JobError {
    fn from(cancelled: Cancelled) -> JobError {
        JobError::Cancelled(cancelled)
    }
}

impl From<TaskError> for JobError {
    fn from(error: TaskError) -> JobError {
        match error {
            TaskError::Cancelled(cancelled) => JobError::Cancelled(cancelled),
            TaskError::Panicked(panic) => JobError::Panicked(panic),
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobError::Cancelled(cancelled) => cancelled.fmt(f),
            JobError::Panicked(panic) => panic.fmt(f),
            JobError::TimedOut => f.write_str("timed out"),
        }
    }
}

impl Error for JobError {}
