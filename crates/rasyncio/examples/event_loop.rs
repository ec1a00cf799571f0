//! The event loop by hand: make it, run it, stop it, close it.
//!
//! `rasyncio::run` does all of this for you. Knowing the steps helps when a program has to live with
//! another framework that owns the main thread.

use std::cell::RefCell;
use std::rc::Rc;

use rasyncio::events::{self, Loop, call_soon};
use rasyncio::{Cancelled, RunError, Runner, yield_now};

async fn add(a: u32, b: u32) -> Result<u32, Cancelled> {
    yield_now().await?;
    Ok(a + b)
}

fn state(event_loop: &Loop) -> String {
    let (running, closed) = (event_loop.is_running(), event_loop.is_closed());
    format!("running={running} closed={closed}")
}

fn tick(ticks: Rc<RefCell<Vec<String>>>) {
    ticks.borrow_mut().push(state(&events::get_running_loop()));
    if ticks.borrow().len() == 3 {
        events::stop();
    } else {
        call_soon(move || tick(ticks));
    }
}

fn main() -> Result<(), RunError> {
    let runner = Runner::new()?;
    let event_loop = runner.get_loop();
    println!("new:          {}", state(&event_loop));

    // Finite work: run until one future is done and hand back its result.
    println!("2 + 3 =       {}", runner.run(add(2, 3)).unwrap());

    // Open-ended work: run until somebody says stop.
    let ticks = Rc::new(RefCell::new(Vec::new()));
    runner.enter(|| {
        let ticks = ticks.clone();
        call_soon(move || tick(ticks))
    });
    runner.run_forever();
    println!("in a callback: {}", ticks.borrow()[0]);
    println!("ticks:        {}", ticks.borrow().len());

    // A stopped loop can go on later; a closed one cannot.
    println!("10 + 20 =     {}", runner.run(add(10, 20)).unwrap());
    drop(runner);
    println!("closed:       {}", state(&event_loop));

    if let Err(error) = event_loop.call_soon_threadsafe(|| ()) {
        println!("afterwards:   {error}");
    }
    Ok(())
}
