//! Callbacks for descriptors.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::Location;

use rasyncio_engine::Job;

use super::{Watch, quietly, with_running};
use crate::contextvars;

/// Calls `callback` in each turn in which there is something to read (asyncio's `loop.add_reader`), in
/// place of the one before. A panic in it goes to the exception handler.
///
/// The loop knows the descriptor by its number: take the callback back ([`remove_reader`]) before it is
/// closed. What should be awaited is better off as an [`AsyncFd`](crate::net::AsyncFd), which sees to that
/// itself; those and the sockets of this crate are not for this function.
///
/// # Errors
///
/// If it cannot be waited for, as a regular file, or the system gives no more.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::sync::Arc;
/// use rasyncio::{Event, events};
///
/// rasyncio::run(async {
///     let (reader, mut writer) = io::pipe()?;
///     let (reader, arrived) = (Arc::new(reader), std::rc::Rc::new(Event::new()));
///     events::add_reader(&reader, {
///         let (reader, arrived) = (reader.clone(), arrived.clone());
///         move || {
///             let mut buffer = [0; 10];
///             assert_eq!((&*reader).read(&mut buffer).unwrap(), 5);
///             arrived.set();
///         }
///     })?;
///     writer.write_all(b"hello")?;
///     arrived.wait().await?;
///     assert!(events::remove_reader(&reader));
///     Ok::<_, io::Error>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn add_reader(descriptor: &impl AsFd, callback: impl Fn() + 'static) -> io::Result<()> {
    let (descriptor, job) = (descriptor.as_fd().as_raw_fd(), job(callback));
    let old = with_running(|_, engine| engine.set_reader(descriptor, job))?;
    drop(old);
    Ok(())
}

/// Calls `callback` in each turn in which there is room to write (asyncio's `loop.add_writer`), in place of
/// the one before; mostly there is, so that it is to be taken back as soon as there is nothing to write.
/// For the rest as [`add_reader`].
///
/// # Errors
///
/// As there.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::io;
/// use std::sync::Arc;
/// use rasyncio::{Event, events};
///
/// rasyncio::run(async {
///     let (_reader, writer) = io::pipe()?;
///     let (writer, ready) = (Arc::new(writer), std::rc::Rc::new(Event::new()));
///     events::add_writer(&writer, {
///         let (writer, ready) = (writer.clone(), ready.clone());
///         move || {
///             events::remove_writer(&writer);
///             ready.set();
///         }
///     })?;
///     ready.wait().await?;
///     Ok::<_, io::Error>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn add_writer(descriptor: &impl AsFd, callback: impl Fn() + 'static) -> io::Result<()> {
    let (descriptor, job) = (descriptor.as_fd().as_raw_fd(), job(callback));
    let old = with_running(|_, engine| engine.set_writer(descriptor, job))?;
    drop(old);
    Ok(())
}

/// Takes the callback of [`add_reader`] back, and answers whether there was one (asyncio's
/// `loop.remove_reader`).
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     let (reader, _writer) = std::io::pipe()?;
///     events::add_reader(&reader, || ())?;
///     assert!(events::remove_reader(&reader));
///     assert!(!events::remove_reader(&reader));
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn remove_reader(descriptor: &impl AsFd) -> bool {
    let descriptor = descriptor.as_fd().as_raw_fd();
    with_running(|_, engine| engine.remove_reader(descriptor)).is_some()
}

/// Takes the callback of [`add_writer`] back, and answers whether there was one (asyncio's
/// `loop.remove_writer`).
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     let (_reader, writer) = std::io::pipe()?;
///     events::add_writer(&writer, || ())?;
///     assert!(events::remove_writer(&writer));
///     assert!(!events::remove_writer(&writer));
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn remove_writer(descriptor: &impl AsFd) -> bool {
    let descriptor = descriptor.as_fd().as_raw_fd();
    with_running(|_, engine| engine.remove_writer(descriptor)).is_some()
}

#[track_caller]
fn job(callback: impl Fn() + 'static) -> Job {
    let made = Location::caller();
    let context = contextvars::inherit();
    Job::from_fn_mut(move || {
        quietly("Panic in a callback", || {
            let watch = Watch::start_here();
            match &context {
                Some(context) => context.run(&callback),
                None => callback(),
            }
            watch.end(None, made);
        });
    })
}
