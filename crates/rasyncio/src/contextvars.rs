//! Variables that belong to a task and what it starts (Python's `contextvars`).
//!
//! A [`ContextVar`] has a value in each [`Context`]. Every task has a context: a copy of that of the
//! code that created it, or one that it was given ([`Builder::context`](crate::tasks::Builder::context)).
//! Callbacks, too, run in the context in which they were made. So what is set in a task is seen by the
//! tasks that it creates afterwards, and by nobody else.
//!
//! ```
//! use rasyncio::{ContextVar, create_task};
//!
//! static USER: ContextVar<&str> = ContextVar::new("user");
//!
//! async fn greet() -> String {
//!     format!("hello {}", USER.get().unwrap_or("stranger"))
//! }
//!
//! rasyncio::run(async {
//!     let token = USER.set("Ada");
//!     let task = create_task(greet());
//!     USER.reset(token).unwrap();
//!     assert_eq!(greet().await, "hello stranger");
//!     assert_eq!(task.await.unwrap(), "hello Ada");
//! });
//! ```

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::scoped::{Scoped, Slot};
use crate::tasks;

/// A variable with a value in each context (Python's `ContextVar`). Mostly a `static`.
///
/// ```
/// use rasyncio::ContextVar;
///
/// static USER: ContextVar<String> = ContextVar::new("user");
///
/// let token = USER.set("Ada".to_owned());
/// assert_eq!(USER.get().as_deref(), Some("Ada"));
/// USER.reset(token).unwrap();
/// assert_eq!(USER.get(), None);
/// ```
pub struct ContextVar<T: 'static> {
    name: &'static str,
    default: Option<fn() -> T>,
    /// Zero until it is needed.
    id: AtomicU64,
    values: PhantomData<fn() -> T>,
}

/// What variables have which values (Python's `Context`). Clones are the same context; for another one
/// with the same values see [`copy`](Context::copy).
///
/// ```
/// use rasyncio::ContextVar;
/// use rasyncio::contextvars::Context;
///
/// static LEVEL: ContextVar<u32> = ContextVar::new("level");
///
/// let context = Context::new();
/// context.run(|| drop(LEVEL.set(1)));
/// assert_eq!(context.clone().run(|| LEVEL.get()), Some(1));
/// ```
#[derive(Clone, Default)]
pub struct Context {
    variables: Rc<Cell<Option<Rc<Variables>>>>,
}

/// The values by the numbers of their variables. Shared until changed; few, so a list.
type Variables = Vec<(u64, Rc<dyn Any>)>;

/// The right to undo a [`ContextVar::set`] (Python's `Token`).
///
/// ```
/// use rasyncio::ContextVar;
///
/// static LEVEL: ContextVar<u32> = ContextVar::with_default("level", || 0);
///
/// let token = LEVEL.set(1);
/// LEVEL.reset(token).unwrap();
/// assert_eq!(LEVEL.get(), Some(0));
/// ```
#[must_use = "without it, the value cannot be taken back"]
pub struct Token<T: 'static> {
    context: Context,
    variable: u64,
    old: Option<Rc<dyn Any>>,
    values: PhantomData<fn() -> T>,
}

/// The context of whoever runs inside of [`Context::run`].
struct Entered {
    context: Context,
    /// The task that has called it. Another one that runs meanwhile has its own context.
    task: *const (),
}

thread_local! {
    static SLOT: Slot<Entered> = const { Cell::new(ptr::null()) };
    /// That of the code which is in no task.
    static OUTSIDE: RefCell<Context> = RefCell::default();
}

static ENTERED: Scoped<Entered> = Scoped::new(&SLOT);

/// A variable was set, some time, in some thread. Most programs never do.
static ANY_SET: AtomicBool = AtomicBool::new(false);

/// A copy of the current context (Python's `copy_context`).
///
/// ```
/// use rasyncio::{ContextVar, contextvars::copy_context};
///
/// static LEVEL: ContextVar<u32> = ContextVar::with_default("level", || 1);
///
/// let context = copy_context();
/// context.run(|| drop(LEVEL.set(2)));
/// assert_eq!(LEVEL.get(), Some(1));
/// assert_eq!(context.run(|| LEVEL.get()), Some(2));
/// ```
pub fn copy_context() -> Context {
    current().map_or_else(Context::default, |context| context.copy())
}

/// [`copy_context`] for a new task or callback: `None` if there are no values in it.
#[inline]
pub(crate) fn inherit() -> Option<Context> {
    // What was set in this thread was set before, so Relaxed tells the truth.
    if !ANY_SET.load(Ordering::Relaxed) {
        return None;
    }
    current()
        .filter(|context| !context.is_empty())
        .map(|context| context.copy())
}

/// The current context, unless it is a task's that has set nothing yet.
#[inline]
fn current() -> Option<Context> {
    let task = tasks::current_address();
    let entered = ENTERED.with(|entered| {
        let entered = entered.filter(|entered| ptr::eq(entered.task, task))?;
        Some(entered.context.clone())
    });
    match entered {
        Some(context) => Some(context),
        None if task.is_null() => OUTSIDE.try_with(|context| context.borrow().clone()).ok(),
        None => tasks::current_context(),
    }
}

/// The current context, to be changed.
fn current_to_change() -> Context {
    current().unwrap_or_else(|| {
        let context = Context::default();
        tasks::set_current_context(context.clone());
        context
    })
}

impl Context {
    /// A context without values.
    ///
    /// ```
    /// use rasyncio::contextvars::Context;
    ///
    /// assert_ne!(Context::new(), Context::new());
    /// ```
    pub fn new() -> Context {
        Context::default()
    }

    /// Another context with the same values (Python's `Context.copy`). It costs the same however many
    /// there are.
    ///
    /// ```
    /// use rasyncio::ContextVar;
    /// use rasyncio::contextvars::Context;
    ///
    /// static LEVEL: ContextVar<u32> = ContextVar::new("level");
    ///
    /// let context = Context::new();
    /// context.run(|| drop(LEVEL.set(1)));
    /// let copy = context.copy();
    /// copy.run(|| drop(LEVEL.set(2)));
    /// assert_eq!(context.run(|| LEVEL.get()), Some(1));
    /// ```
    pub fn copy(&self) -> Context {
        Context {
            variables: Rc::new(Cell::new(self.variables())),
        }
    }

    /// Calls `function` with this as the current context (Python's `Context.run`). What it sets stays
    /// set here.
    ///
    /// ```
    /// use rasyncio::contextvars::Context;
    ///
    /// assert_eq!(Context::new().run(|| 6 * 7), 42);
    /// ```
    pub fn run<R>(&self, function: impl FnOnce() -> R) -> R {
        let entered = Entered {
            context: self.clone(),
            task: tasks::current_address(),
        };
        ENTERED.set(Some(&entered), function)
    }

    fn is_empty(&self) -> bool {
        self.variables().is_none()
    }

    fn variables(&self) -> Option<Rc<Variables>> {
        let variables = self.variables.take();
        self.variables.set(variables.clone());
        variables
    }

    fn get(&self, variable: u64) -> Option<Rc<dyn Any>> {
        let variables = self.variables()?;
        let found = variables.iter().find(|(id, _)| *id == variable)?;
        Some(found.1.clone())
    }

    /// Sets a value, or takes it away, and answers the one before.
    fn set(&self, variable: u64, value: Option<Rc<dyn Any>>) -> Option<Rc<dyn Any>> {
        let mut variables = self.variables.take().unwrap_or_default();
        let list = Rc::make_mut(&mut variables);
        let old = list
            .iter()
            .position(|(id, _)| *id == variable)
            .map(|index| list.swap_remove(index).1);
        list.extend(value.map(|value| (variable, value)));
        self.variables.set((!list.is_empty()).then_some(variables));
        old
    }
}

impl<T: 'static> ContextVar<T> {
    /// A variable without a default. The name is for people.
    ///
    /// ```
    /// use rasyncio::ContextVar;
    ///
    /// static USER: ContextVar<String> = ContextVar::new("user");
    ///
    /// assert_eq!(USER.get(), None);
    /// ```
    pub const fn new(name: &'static str) -> ContextVar<T> {
        ContextVar {
            name,
            default: None,
            id: AtomicU64::new(0),
            values: PhantomData,
        }
    }

    /// A variable that has the value of `default()` where it was not set.
    ///
    /// ```
    /// use rasyncio::ContextVar;
    ///
    /// static LEVEL: ContextVar<u32> = ContextVar::with_default("level", || 3);
    ///
    /// assert_eq!(LEVEL.get(), Some(3));
    /// ```
    pub const fn with_default(name: &'static str, default: fn() -> T) -> ContextVar<T> {
        ContextVar {
            default: Some(default),
            ..ContextVar::new(name)
        }
    }

    /// What it is called (Python's `ContextVar.name`).
    ///
    /// ```
    /// use rasyncio::ContextVar;
    ///
    /// static USER: ContextVar<String> = ContextVar::new("user");
    ///
    /// assert_eq!(USER.name(), "user");
    /// ```
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The value in the current context (Python's `ContextVar.get`); if it was not set there, the
    /// default, if there is one.
    ///
    /// ```
    /// use rasyncio::ContextVar;
    ///
    /// static LEVEL: ContextVar<u32> = ContextVar::new("level");
    ///
    /// assert_eq!(LEVEL.get(), None);
    /// let _token = LEVEL.set(1);
    /// assert_eq!(LEVEL.get(), Some(1));
    /// ```
    pub fn get(&self) -> Option<T>
    where
        T: Clone,
    {
        self.with(|value| value.cloned())
            .or_else(|| self.default.map(|default| default()))
    }

    /// Calls `look` with the value that was set in the current context, without a default.
    ///
    /// ```
    /// use rasyncio::ContextVar;
    ///
    /// static NAMES: ContextVar<Vec<String>> = ContextVar::new("names");
    ///
    /// let _token = NAMES.set(vec!["Ada".to_owned()]);
    /// assert_eq!(NAMES.with(|names| names.map(Vec::len)), Some(1));
    /// ```
    pub fn with<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> R {
        let value = current().and_then(|context| context.get(self.id()));
        look(value.as_deref().and_then(|value| value.downcast_ref()))
    }

    /// Sets the value in the current context (Python's `ContextVar.set`).
    ///
    /// ```
    /// use rasyncio::ContextVar;
    ///
    /// static LEVEL: ContextVar<u32> = ContextVar::new("level");
    ///
    /// let _token = LEVEL.set(5);
    /// assert_eq!(LEVEL.get(), Some(5));
    /// ```
    pub fn set(&self, value: T) -> Token<T> {
        ANY_SET.store(true, Ordering::Relaxed);
        let (context, variable) = (current_to_change(), self.id());
        let old = context.set(variable, Some(Rc::new(value)));
        Token {
            context,
            variable,
            old,
            values: PhantomData,
        }
    }

    /// Undoes a `set` (Python's `ContextVar.reset`).
    ///
    /// # Errors
    ///
    /// If that was made in another context, or to another variable.
    ///
    /// ```
    /// use rasyncio::ContextVar;
    ///
    /// static LEVEL: ContextVar<u32> = ContextVar::new("level");
    ///
    /// let first = LEVEL.set(1);
    /// let second = LEVEL.set(2);
    /// LEVEL.reset(second).unwrap();
    /// assert_eq!(LEVEL.get(), Some(1));
    /// LEVEL.reset(first).unwrap();
    /// ```
    pub fn reset(&self, token: Token<T>) -> Result<(), ResetError> {
        if token.variable != self.id() {
            return Err(ResetError::OtherVariable);
        }
        let here = current().is_some_and(|context| context == token.context);
        if !here {
            return Err(ResetError::OtherContext);
        }
        drop(token.context.set(token.variable, token.old));
        Ok(())
    }

    /// Unlike an address, a number is never used again.
    fn id(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = self.id.load(Ordering::Relaxed);
        if id != 0 {
            return id;
        }
        let new = NEXT.fetch_add(1, Ordering::Relaxed);
        match self
            .id
            .compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed)
        {
            Ok(_) => new,
            Err(others) => others,
        }
    }
}

/// Whether they are the same context.
impl PartialEq for Context {
    fn eq(&self, other: &Context) -> bool {
        Rc::ptr_eq(&self.variables, &other.variables)
    }
}

impl Eq for Context {}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables = self.variables().map_or(0, |variables| variables.len());
        f.debug_struct("Context")
            .field("variables", &variables)
            .finish()
    }
}

impl<T> fmt::Debug for ContextVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<ContextVar name={:?}>", self.name)
    }
}

impl<T> fmt::Debug for Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// Why [`ContextVar::reset`] did nothing (Python's `ValueError`).
///
/// ```
/// use rasyncio::ContextVar;
/// use rasyncio::contextvars::{Context, ResetError};
///
/// static LEVEL: ContextVar<u32> = ContextVar::new("level");
///
/// let token = Context::new().run(|| LEVEL.set(1));
/// assert!(matches!(LEVEL.reset(token), Err(ResetError::OtherContext)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetError {
    /// The value was set in another context.
    OtherContext,
    /// The value of another variable was set.
    OtherVariable,
}

impl fmt::Display for ResetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResetError::OtherContext => "the token was created in a different Context",
            ResetError::OtherVariable => "the token was created by a different ContextVar",
        })
    }
}

impl Error for ResetError {}
