//! Tasks that resolve to a `Result`, whose errors count as asyncio's exceptions do.
//!
//! What a future resolves to may be anything, and [`create_task`](super::create_task) cannot ask whether
//! that is an error. Where the type is known, somebody can: the macro
//! [`create_task!`](macro@crate::create_task) does, and [`Builder::create_fallible_task`] insists.

#![allow(unsafe_code)]

use std::any::Any;
use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::num::{ParseFloatError, ParseIntError};
use std::str::Utf8Error;
use std::string::FromUtf8Error;

use super::stage::Kind;
use super::state::{FAILED, OUTPUT, PANICKED};
use super::{AnyTask, AsCompletedError, Builder, Task};
use crate::exceptions::{Cancelled, Panic, TaskError, TimeoutError};
use crate::locks::BarrierError;
use crate::queues::GetError;
use crate::scheduler::{JobError, SpawnError};
use crate::streams::ReadError;

impl Builder {
    /// Makes a task as [`create_task`](Builder::create_task) does, of a future that may fail. An `Err`
    /// that nobody ever gets to see is told to the
    /// [exception handler](crate::events::set_exception_handler), as soon as it is dropped (asyncio's
    /// "Task exception was never retrieved"), and it ends a wait for
    /// [`FirstException`](super::ReturnWhen::FirstException). Neither holds for a cancellation.
    ///
    /// # Panics
    ///
    /// If no loop is running.
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use rasyncio::tasks::Builder;
    /// use rasyncio::{events, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let told = Rc::new(RefCell::new(String::new()));
    ///     events::set_exception_handler({
    ///         let told = told.clone();
    ///         move |context| *told.borrow_mut() = context.to_string()
    ///     });
    ///     let task = Builder::new().name("saver").create_fallible_task(async { Err::<(), _>("no disk") });
    ///     drop(task);
    ///     yield_now().await.unwrap();
    ///     assert_eq!(*told.borrow(), r#"Task exception was never retrieved: task "saver": no disk"#);
    /// });
    /// ```
    #[track_caller]
    pub fn create_fallible_task<F, T, E>(self, future: F) -> Task<Result<T, E>>
    where
        F: Future<Output = Result<T, E>> + 'static,
        E: Display + 'static,
    {
        self.spawn::<F, ResultKind>(future)
    }
}

/// Runs a future as a task of the running loop, as the function [`create_task`](super::create_task) does,
/// with the keywords of asyncio's: `name` and `context`. If the future resolves to a `Result` whose error
/// can be displayed, an `Err` is treated as asyncio treats an exception; see
/// [`Builder::create_fallible_task`](crate::tasks::Builder::create_fallible_task).
///
/// In code that is generic over the output nothing is known of it, and an `Err` is an output like others.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::{ReturnWhen, create_task, wait};
///
/// async fn save(disk: bool) -> Result<(), &'static str> {
///     if disk { Ok(()) } else { Err("no disk") }
/// }
///
/// rasyncio::run(async {
///     let tasks = [create_task!(save(false), name = "saver"), create_task!(save(true))];
///     assert_eq!(tasks[0].name(), "saver");
///     let (done, _) = wait(tasks).return_when(ReturnWhen::FirstException).await.unwrap();
///     for task in done {
///         // Whoever looks has seen it. Otherwise the exception handler would be told.
///         let _ = task.await.unwrap();
///     }
///     let number = create_task!(async { 42 });
///     assert_eq!(number.await.unwrap(), 42);
/// });
/// ```
#[macro_export]
macro_rules! create_task {
    ($future:expr $(, $option:ident = $value:expr)* $(,)?) => {{
        #[allow(unused_imports, reason = "which one is used depends on the output")]
        use $crate::tasks::kinds::{OfAnything as _, OfResult as _};
        let future = $future;
        let builder = $crate::tasks::Builder::new()$(.$option($value))*;
        // The method of `Probe` is found before that of `&Probe`, if its bounds hold.
        (&$crate::tasks::kinds::Probe::of(&future)).kind().create(builder, future)
    }};
}

/// How [`create_task!`](macro@crate::create_task) finds out. Nobody else's.
#[allow(missing_docs)]
pub mod kinds {
    use std::fmt::Display;
    use std::marker::PhantomData;

    use super::super::{Builder, Task};

    /// The type of a future.
    pub struct Probe<F>(PhantomData<F>);

    impl<F> Probe<F> {
        pub fn of(_: &F) -> Probe<F> {
            Probe(PhantomData)
        }
    }

    pub struct Anything;

    pub struct AResult;

    pub trait OfAnything {
        fn kind(&self) -> Anything {
            Anything
        }
    }

    impl<F> OfAnything for &Probe<F> {}

    pub trait OfResult {
        fn kind(&self) -> AResult {
            AResult
        }
    }

    impl<F, T, E> OfResult for Probe<F>
    where
        F: Future<Output = Result<T, E>>,
        E: Display + 'static,
    {
    }

    impl Anything {
        #[track_caller]
        pub fn create<F: Future + 'static>(self, builder: Builder, future: F) -> Task<F::Output> {
            builder.create_task(future)
        }
    }

    impl AResult {
        #[track_caller]
        pub fn create<F, T, E>(self, builder: Builder, future: F) -> Task<Result<T, E>>
        where
            F: Future<Output = Result<T, E>> + 'static,
            E: Display + 'static,
        {
            builder.create_fallible_task(future)
        }
    }
}

struct ResultKind;

impl<T, E: Display + 'static> Kind<Result<T, E>> for ResultKind {
    fn is_error(output: &Result<T, E>) -> bool {
        is_error(output)
    }

    fn dropped(output: Result<T, E>) -> Option<Panic> {
        match output {
            Err(error) if !is_cancellation(&error) => Some(Panic::of_error(format!("{error:#}"))),
            _ => None,
        }
    }
}

fn is_error<T, E: 'static>(output: &Result<T, E>) -> bool {
    output.as_ref().is_err_and(|error| !is_cancellation(error))
}

/// Whether an error is a cancellation on its way up, in one of the types that carry it.
fn is_cancellation(error: &dyn Any) -> bool {
    known_as_cancellation(error).unwrap_or(false)
}

/// Whether an error is a cancellation on its way up; `None` if its type is none of those that are known.
pub(crate) fn known_as_cancellation(error: &dyn Any) -> Option<bool> {
    macro_rules! known {
        ($($type:ty),+ $(,)?) => {
            $(if let Some(error) = error.downcast_ref::<$type>() {
                return Some(cancellation_in(error).is_some());
            })+
        };
    }
    known!(Cancelled, TaskError, io::Error, ReadError, TimeoutError);
    known!(
        AsCompletedError,
        BarrierError,
        GetError,
        JobError,
        SpawnError
    );
    known!(
        Infallible,
        fmt::Error,
        ParseIntError,
        ParseFloatError,
        Utf8Error,
        FromUtf8Error
    );
    if let Some(error) = error.downcast_ref::<Box<dyn Error>>() {
        return Some(cancellation_in(&**error).is_some());
    }
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send>>() {
        return Some(cancellation_in(&**error).is_some());
    }
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(cancellation_in(&**error).is_some());
    }
    let is_text = error.is::<String>() || error.is::<&str>() || error.is::<Cow<'static, str>>();
    is_text.then_some(false)
}

/// The cancellation that an error is, or one of its sources.
pub(crate) fn cancellation_in<'a>(mut error: &'a (dyn Error + 'static)) -> Option<&'a Cancelled> {
    loop {
        if let Some(cancelled) = own_cancellation(error) {
            return Some(cancelled);
        }
        error = error.source()?;
    }
}

/// Of errors that show what they carry as if they were it, and so do not call it their source.
fn own_cancellation<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Cancelled> {
    if let Some(cancelled) = error.downcast_ref::<Cancelled>() {
        return Some(cancelled);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return cancellation_in(error.get_ref()?);
    }
    if let Some(ReadError::Io(error)) = error.downcast_ref() {
        return cancellation_in(error);
    }
    macro_rules! carried_by {
        ($($type:ident),+) => {
            $(if let Some($type::Cancelled(cancelled)) = error.downcast_ref() {
                return Some(cancelled);
            })+
        };
    }
    carried_by!(
        TaskError,
        AsCompletedError,
        BarrierError,
        GetError,
        JobError,
        SpawnError
    );
    None
}

impl AnyTask {
    /// Whether the task has ended with a panic, or with an error if it is of a kind that looks.
    pub(super) fn has_raised(&self) -> bool {
        self.header().state.has(PANICKED | FAILED)
    }
}

/// Tasks, and references to tasks, that resolve to a `Result`.
///
/// ```
/// use rasyncio::tasks::Fallible;
/// use rasyncio::{create_task, wait};
///
/// rasyncio::run(async {
///     async fn all_well<T: Fallible>(tasks: Vec<T>) -> bool {
///         wait(tasks).first_exception().await.is_ok_and(|(_, pending)| pending.is_empty())
///     }
///     let task = create_task(async { Ok::<_, std::io::Error>(()) });
///     assert!(all_well(vec![task]).await);
/// });
/// ```
pub trait Fallible: AsRef<AnyTask> + sealed::Fallible {}

impl<T, E: 'static> Fallible for Task<Result<T, E>> {}

impl<T, E: 'static> Fallible for &Task<Result<T, E>> {}

pub(super) mod sealed {
    use super::*;

    pub trait Fallible {
        /// Whether the task, which is the `AnyTask` of a value of this type, has ended with a panic or
        /// an error.
        ///
        /// # Safety
        ///
        /// It is.
        unsafe fn has_failed(task: &AnyTask) -> bool;
    }

    impl<T, E: 'static> Fallible for Task<Result<T, E>> {
        unsafe fn has_failed(task: &AnyTask) -> bool {
            // SAFETY: as the caller says.
            task.has_raised() || unsafe { output::<T, E>(task) }.is_some_and(is_error)
        }
    }

    impl<T, E: 'static> Fallible for &Task<Result<T, E>> {
        unsafe fn has_failed(task: &AnyTask) -> bool {
            // SAFETY: as the caller says.
            unsafe { <Task<Result<T, E>> as Fallible>::has_failed(task) }
        }
    }
}

impl AnyTask {
    /// Where the output is, as long as `OUTPUT`.
    pub(super) fn output_place(&self) -> *const () {
        let header = self.header();
        // SAFETY: it only computes a place in the live cell.
        unsafe { (header.vtable.output)(self.raw).cast_const() }
    }
}

/// The output of a task, if it is there. Whoever looks at it must call nobody who could take it out.
///
/// # Safety
///
/// The task is one that resolves to a `Result<T, E>`.
pub(super) unsafe fn output<T, E>(task: &AnyTask) -> Option<&Result<T, E>> {
    if !task.header().state.has(OUTPUT) {
        return None;
    }
    let place = task.output_place();
    // SAFETY: `OUTPUT` says that it is there, and the caller that it is of this type.
    let output = unsafe { &*place.cast::<Result<Result<T, E>, TaskError>>() };
    output.as_ref().ok()
}
