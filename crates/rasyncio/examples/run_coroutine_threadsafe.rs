//! From another thread into the loop.
//!
//! Nothing else of a loop may be used from outside its thread.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rasyncio::events::{Loop, get_running_loop};
use rasyncio::{Cancelled, Event, sleep};

const TEN_SECONDS: Duration = Duration::from_secs(10);

async fn divide(a: f64, b: f64) -> Result<f64, &'static str> {
    let slept = sleep(Duration::from_millis(10)).await;
    slept.map_err(|_| "cancelled")?;
    if b == 0.0 {
        return Err("ZeroDivisionError('division by zero')");
    }
    Ok(a / b)
}

/// Asks the loop for work and blocks for the answers.
fn other_thread(home: &Loop) {
    let future = home.run_coroutine_threadsafe(|| divide(22.0, 7.0));
    let answer = future.result_within(TEN_SECONDS).ok().unwrap().unwrap();
    println!("a result:      {:.2}", answer.unwrap());

    let future = home.run_coroutine_threadsafe(|| divide(1.0, 0.0));
    let answer = future.result_within(TEN_SECONDS).ok().unwrap().unwrap();
    println!("an error:      {}", answer.unwrap_err());

    let (tell, told) = channel();
    let future = home.run_coroutine_threadsafe(|| async move {
        let slept = sleep(Duration::from_secs(3600)).await;
        tell.send(()).ok();
        slept
    });
    if let Err(future) = future.result_within(Duration::from_millis(50)) {
        println!("a timeout:     still running: {}", !future.done());
        future.cancel();
    }
    println!("cancelled:     {}", told.recv_timeout(TEN_SECONDS).is_ok());

    let numbers = Arc::new(Mutex::new(Vec::new()));
    let (full, filled) = channel();
    for number in 0..5 {
        let numbers = numbers.clone();
        home.call_soon_threadsafe(move || numbers.lock().unwrap().push(number))
            .unwrap();
    }
    home.call_soon_threadsafe(move || full.send(()).unwrap())
        .unwrap();
    filled.recv_timeout(TEN_SECONDS).unwrap();
    println!("callbacks:     {:?}", numbers.lock().unwrap());
}

fn main() {
    let (tell, told) = channel();
    let thread = thread::spawn(move || {
        rasyncio::run(async move {
            // Until somebody says stop.
            let stop = std::rc::Rc::new(Event::new());
            tell.send(get_running_loop()).unwrap();
            STOP.with(|place| place.replace(Some(stop.clone())));
            stop.wait().await
        })
    });
    let home = told.recv().unwrap();
    other_thread(&home);
    home.call_soon_threadsafe(|| STOP.with(|stop| stop.borrow().as_ref().unwrap().set()))
        .unwrap();
    let ended: Result<(), Cancelled> = thread.join().unwrap();
    println!("loop closed:   {}", ended.is_ok());
}

thread_local! {
    /// What ends the loop of this thread.
    static STOP: std::cell::RefCell<Option<std::rc::Rc<Event>>> = const { std::cell::RefCell::new(None) };
}
