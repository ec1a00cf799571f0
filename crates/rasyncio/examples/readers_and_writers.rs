//! `add_reader` and `add_writer`: callbacks when a descriptor is ready.
//!
//! The lowest level of input and output: one socket pair, no streams, no transports. Where a task should
//! wait rather than a callback be called, there is `net::AsyncFd`.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::events::{add_reader, add_writer, remove_reader, remove_writer};
use rasyncio::futures::{Promise, create_future};
use rasyncio::sleep;

#[derive(Default)]
struct Received(RefCell<Vec<Vec<u8>>>);

impl Received {
    fn show(&self) -> Vec<String> {
        let parts = self.0.borrow();
        parts.iter().map(|part| show(part)).collect()
    }
}

fn show(data: &[u8]) -> String {
    format!("b'{}'", data.escape_ascii())
}

fn readable(left: &Rc<UnixStream>, received: &Received, complete: &Cell<Option<Promise<Vec<u8>>>>) {
    let mut buffer = [0; 4];
    match (&**left).read(&mut buffer) {
        Ok(count @ 1..) => received.0.borrow_mut().push(buffer[..count].to_vec()),
        Ok(0) => {
            remove_reader(left);
            if let Some(complete) = complete.take() {
                let _ = complete.set_result(received.0.borrow().concat());
            }
        }
        Err(_) => {}
    }
}

fn writable(right: &Rc<UnixStream>) {
    // Writable at once and always, so take it back or be called for ever.
    remove_writer(right);
    (&**right).write_all(b"the end").expect("there is room");
    right.shutdown(Shutdown::Write).expect("it is connected");
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (left, right) = UnixStream::pair()?;
    left.set_nonblocking(true)?;
    right.set_nonblocking(true)?;
    let (left, right) = (Rc::new(left), Rc::new(right));

    let received = Rc::new(Received::default());
    let (promise, complete) = create_future();
    let promise = Cell::new(Some(promise));
    add_reader(&left, {
        let (left, received) = (left.clone(), received.clone());
        move || readable(&left, &received, &promise)
    })?;

    println!("ready as long as there is something to read:");
    (&*right).write_all(b"0123456789")?;
    sleep(Duration::from_millis(20)).await?;
    println!("   [{}]", received.show().join(", "));

    add_writer(&right, {
        let right = right.clone();
        move || writable(&right)
    })?;
    println!("all: {}", show(&complete.await?));
    println!("already removed: {}", remove_reader(&left));
    Ok(())
}
