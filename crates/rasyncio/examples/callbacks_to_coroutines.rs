//! From callbacks to `await`.
//!
//! A library that says "give me a function and I call it back" becomes awaitable with one future
//! per request.

use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::events::call_later;
use rasyncio::futures::{FutureError, Promise, create_future};

#[derive(Debug)]
struct KeyError(String);

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyError('{}')", self.0)
    }
}

impl Error for KeyError {}

/// Answers through callbacks, as libraries did before `await`.
struct OldClient;

impl OldClient {
    fn ask(&self, question: &str, on_answer: impl FnOnce(Result<u32, KeyError>) + 'static) {
        let answer = match question {
            "meaning" => Ok(42),
            other => Err(KeyError(other.to_owned())),
        };
        call_later(Duration::from_millis(10), move || on_answer(answer));
    }
}

/// Each step nests in the one before.
fn with_callbacks(client: Rc<OldClient>, done: Promise<(), KeyError>) {
    client.clone().ask("meaning", move |answer| {
        println!("  callback, first answer: {}", answer.unwrap());
        client.ask("meaning", move |answer| {
            println!("  callback, second answer: {}", answer.unwrap());
            done.set_result(()).unwrap();
        });
    });
}

/// The bridge: one request as a coroutine.
async fn ask(client: &OldClient, question: &str) -> Result<u32, FutureError<KeyError>> {
    let (promise, answer) = create_future();
    client.ask(question, move |outcome| match outcome {
        Ok(number) => promise.set_result(number).unwrap(),
        Err(error) => promise.set_exception(error).unwrap(),
    });
    answer.await
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Rc::new(OldClient);

    println!("callbacks:");
    let (done, finished) = create_future();
    with_callbacks(client.clone(), done);
    finished.await?;

    println!("coroutine:");
    println!("  first answer: {}", ask(&client, "meaning").await?);
    println!("  second answer: {}", ask(&client, "meaning").await?);
    if let Err(FutureError::Exception(error)) = ask(&client, "the weather").await {
        println!("  errors are exceptions again: {error}");
    }
    Ok(())
}
