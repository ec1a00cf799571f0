//! Signals that arrive as callbacks of the loop.
//!
//! What a signal interrupts may be anywhere. A handler of the loop runs as a callback and may use
//! everything that belongs to the loop.

use std::rc::Rc;
use std::time::Duration;

use rasyncio::signals::{add_signal_handler, remove_signal_handler};
use rasyncio::{Event, events};
use rustix::process::{Signal, getpid, kill_process};

fn on_signal(name: &'static str, event: &Rc<Event>) -> impl Fn() + 'static {
    let event = event.clone();
    move || {
        println!("  got {name}");
        event.set();
    }
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reloaded = Rc::new(Event::new());
    let stop = Rc::new(Event::new());
    add_signal_handler(libc::SIGHUP, on_signal("SIGHUP", &reloaded))?;
    add_signal_handler(libc::SIGTERM, on_signal("SIGTERM", &stop))?;

    println!("reload:");
    kill_process(getpid(), Signal::HUP)?;
    reloaded.wait().await?;

    println!("stop:");
    events::call_later(Duration::from_millis(10), || {
        kill_process(getpid(), Signal::TERM).expect("one may signal oneself");
    });
    stop.wait().await?;

    println!("removed: {}", remove_signal_handler(libc::SIGHUP));
    println!("again:   {}", remove_signal_handler(libc::SIGHUP));
    if add_signal_handler(libc::SIGKILL, || ()).is_err() {
        println!("refused: sig 9 cannot be caught");
    }
    Ok(())
}
