//! Signals of the system (asyncio's `loop.add_signal_handler`).
//!
//! A signal that somebody has asked for is caught from then on, until the loop ends: it does not
//! end the program any more. Several loops may catch the same one, and all are told.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_int;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::{Rc, Weak};

use rasyncio_engine::{EventLoop, Job, Signals};

use crate::events;
use crate::locks::Event;

/// The number of the signal that Ctrl-C sends.
pub(crate) const INTERRUPT: c_int = libc::SIGINT;

/// Calls `handler` in the loop's thread whenever the signal has arrived, several arrivals at once
/// perhaps as one (asyncio's `loop.add_signal_handler`). It takes the place of the one before. A panic
/// in it goes to the exception handler.
///
/// # Errors
///
/// `EINVAL` for what is no signal, or cannot be caught; and what the system says.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{Event, signals};
///
/// rasyncio::run(async {
///     let reload = Rc::new(Event::new());
///     let event = reload.clone();
///     signals::add_signal_handler(libc::SIGHUP, move || event.set())?;
///     # // SAFETY: plain system call.
///     unsafe { libc::raise(libc::SIGHUP) };
///     reload.wait().await?;
///     assert!(signals::remove_signal_handler(libc::SIGHUP));
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn add_signal_handler(signal: c_int, handler: impl Fn() + 'static) -> io::Result<()> {
    let handlers = SignalHandlers::of_running_loop()?;
    handlers.signals.add(signal)?;
    let old = handlers
        .handlers
        .borrow_mut()
        .insert(signal, Rc::new(handler));
    drop(old);
    Ok(())
}

/// Takes a handler away, and answers whether there was one (asyncio's `loop.remove_signal_handler`).
/// If nobody else catches the signal it is ignored from then on, for what it did before cannot be
/// brought back.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::signals::{add_signal_handler, remove_signal_handler};
///
/// rasyncio::run(async {
///     add_signal_handler(libc::SIGUSR2, || {})?;
///     assert!(remove_signal_handler(libc::SIGUSR2));
///     assert!(!remove_signal_handler(libc::SIGUSR2));
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn remove_signal_handler(signal: c_int) -> bool {
    let handlers = events::with_running(|state, _| state.signals.get().cloned());
    let Some(handlers) = handlers else {
        return false;
    };
    let handler = handlers.handlers.borrow_mut().remove(&signal);
    if !handlers.arrivals.borrow().contains_key(&signal) {
        handlers.signals.remove(signal);
    }
    handler.is_some()
}

/// Waits until the signal arrives. From the first call on the loop catches it.
///
/// # Errors
///
/// As [`add_signal_handler`], and a cancellation.
///
/// # Panics
///
/// When it is awaited and no loop is running.
///
/// ```no_run
/// use rasyncio::signals::wait_for_signal;
///
/// rasyncio::run(async {
///     wait_for_signal(libc::SIGTERM).await?;
///     println!("asked to end");
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn wait_for_signal(signal: c_int) -> io::Result<()> {
    let handlers = SignalHandlers::of_running_loop()?;
    handlers.signals.add(signal)?;
    let arrival = handlers
        .arrivals
        .borrow_mut()
        .entry(signal)
        .or_default()
        .clone();
    // It must not keep the descriptor, should the loop end meanwhile.
    drop(handlers);
    Ok(arrival.wait().await?)
}

/// Waits until the user presses Ctrl-C. From the first call on that does not end the program any more.
/// Where it should cancel the main task, as in Python, there is
/// [`run_interruptible`](crate::runners::run_interruptible).
///
/// # Errors
///
/// What the system says, and a cancellation.
///
/// # Panics
///
/// When it is awaited and no loop is running.
///
/// ```no_run
/// use rasyncio::ctrl_c;
///
/// #[rasyncio::main]
/// async fn main() -> std::io::Result<()> {
///     println!("press Ctrl-C");
///     ctrl_c().await?;
///     println!("good bye");
///     Ok(())
/// }
/// ```
pub async fn ctrl_c() -> io::Result<()> {
    wait_for_signal(INTERRUPT).await
}

/// What a loop does about signals.
pub(crate) struct SignalHandlers {
    signals: Signals,
    handlers: RefCell<HashMap<c_int, Rc<dyn Fn()>>>,
    /// Set for a moment, at each arrival.
    arrivals: RefCell<HashMap<c_int, Rc<Event>>>,
}

impl SignalHandlers {
    /// The running loop's, made if need be.
    #[track_caller]
    fn of_running_loop() -> io::Result<Rc<SignalHandlers>> {
        events::with_running(|state, engine| {
            if let Some(handlers) = state.signals.get() {
                return Ok(handlers.clone());
            }
            let handlers = SignalHandlers::new(engine)?;
            Ok(state.signals.get_or_init(|| handlers).clone())
        })
    }

    fn new(engine: &EventLoop) -> io::Result<Rc<SignalHandlers>> {
        let handlers = Rc::new(SignalHandlers {
            signals: Signals::new()?,
            handlers: RefCell::default(),
            arrivals: RefCell::default(),
        });
        let weak = Rc::downgrade(&handlers);
        let job = Job::from_fn_mut(move || {
            events::quietly("Panic in a signal's callback", || take(&weak))
        });
        let descriptor = handlers.signals.as_fd().as_raw_fd();
        drop(engine.set_reader(descriptor, job)?);
        Ok(handlers)
    }

    /// Whether anything is to be done at this signal.
    pub(crate) fn handles(&self, signal: c_int) -> bool {
        self.handlers.borrow().contains_key(&signal) || self.arrivals.borrow().contains_key(&signal)
    }

    fn arrived(&self, signal: c_int) {
        let arrival = self.arrivals.borrow().get(&signal).cloned();
        if let Some(arrival) = arrival {
            arrival.set();
            arrival.clear();
        }
        let handler = self.handlers.borrow().get(&signal).cloned();
        if let Some(handler) = handler {
            events::quietly("Panic in a signal handler", || handler());
        }
    }
}

fn take(handlers: &Weak<SignalHandlers>) {
    if let Some(handlers) = handlers.upgrade() {
        for signal in handlers.signals.take() {
            handlers.arrived(signal);
        }
    }
}

impl fmt::Debug for SignalHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.signals.fmt(f)
    }
}
