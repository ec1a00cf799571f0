//! Task groups and errors: one fails, the others are cancelled, all are reported.
//!
//! The errors come out together, in a `Vec`.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::taskgroups::{Failure, TaskGroupError};
use rasyncio::{Cancelled, TaskGroup, create_task, sleep, wait, yield_now};

/// Errors as in Python, by kind and argument.
enum Error {
    Raised(&'static str, &'static str),
    Cancelled,
}

impl From<Cancelled> for Error {
    fn from(_: Cancelled) -> Error {
        Error::Cancelled
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Raised(kind, argument) => write!(f, "{kind}({argument})"),
            Error::Cancelled => f.write_str("CancelledError()"),
        }
    }
}

impl Error {
    fn is(&self, kinds: &[&str]) -> bool {
        matches!(self, Error::Raised(kind, _) if kinds.contains(kind))
    }
}

type Names = Rc<RefCell<Vec<&'static str>>>;

async fn work(name: &'static str, cancelled: Names) -> Result<(), Error> {
    let slept = sleep(Duration::from_secs(3600)).await;
    if slept.is_err() {
        cancelled.borrow_mut().push(name);
    }
    Ok(slept?)
}

fn report(cancelled: &Names) {
    let mut names = cancelled.take();
    names.sort_unstable();
    println!("   cancelled: {names:?}");
}

async fn fail(kind: &'static str, argument: &'static str) -> Result<(), Error> {
    yield_now().await?;
    Err(Error::Raised(kind, argument))
}

async fn fail_at_clean_up() -> Result<(), Error> {
    let _ = sleep(Duration::from_secs(3600)).await;
    Err(Error::Raised("OSError", "'clean-up went wrong'"))
}

fn errors(ended: Result<(), TaskGroupError<Error>>) -> Vec<Error> {
    let failures = ended.err().map(TaskGroupError::into_failures);
    let errors = failures
        .into_iter()
        .flatten()
        .filter_map(|failure| match failure {
            Failure::Error(error) => Some(error),
            Failure::Panicked(_) => None,
        });
    errors.collect()
}

fn print_group(errors: &[Error]) {
    println!("   ExceptionGroup('unhandled errors in a TaskGroup', {errors:?})");
}

async fn one_of_three(cancelled: &Names) {
    println!("one fails:");
    let group = TaskGroup::new();
    let body = async {
        group.create_task(work("A", cancelled.clone()));
        group.create_task(fail("ValueError", "'bad value'"));
        group.create_task(work("B", cancelled.clone()));
        work("the block itself", cancelled.clone()).await
    };
    print_group(&errors(group.run(body).await));
    report(cancelled);
}

async fn several() {
    println!("several fail:");
    // It is told which errors say no more than that a task was cancelled.
    let group = TaskGroup::with_cancellation(|error| matches!(error, Error::Cancelled));
    let body = async {
        group.create_task(fail("KeyError", "'k'"));
        group.create_task(fail("IndexError", "7"));
        group.create_task(fail_at_clean_up());
        Ok(())
    };
    let errors = errors(group.run(body).await);
    let lookup = |error: &&Error| error.is(&["KeyError", "IndexError"]);
    let texts = |errors: Vec<&Error>| {
        errors
            .iter()
            .map(|it| format!("{it:?}"))
            .collect::<Vec<_>>()
    };
    let (lookups, others): (Vec<_>, Vec<_>) = errors.iter().partition(lookup);
    println!("   lookup errors: {:?}", texts(lookups));
    println!("   system errors: {:?}", texts(others));
}

async fn body(cancelled: &Names) {
    println!("the block fails:");
    let group = TaskGroup::new();
    let body = async {
        group.create_task(work("C", cancelled.clone()));
        yield_now().await?;
        Err(Error::Raised("RuntimeError", "'in the block'"))
    };
    print_group(&errors(group.run(body).await));
    report(cancelled);
}

async fn from_outside(cancelled: &Names) -> Result<(), Cancelled> {
    println!("the group is cancelled from outside:");
    let names = cancelled.clone();
    let task = create_task(async move {
        let group = TaskGroup::new();
        let body = async {
            group.create_task(work("D", names.clone()));
            group.create_task(work("E", names));
            Ok(())
        };
        group.run(body).await
    });
    sleep(Duration::from_millis(10)).await?;
    task.cancel();
    wait([&task]).await?;
    report(cancelled);
    println!("   and the task around it: {}", task.cancelled());
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), Cancelled> {
    let cancelled = Names::default();
    one_of_three(&cancelled).await;
    several().await;
    body(&cancelled).await;
    from_outside(&cancelled).await
}
