//! Lines, exact counts, separators and limits, without a socket.
//!
//! The state of a stream reader can be fed by hand, which shows what each way of reading waits for. It
//! neither waits nor calls anybody: whoever gives it a face does, here in `Reader::step`.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use rasyncio::streams::LimitOverrunError;
use rasyncio::streams::reader::{ReaderState, Step};
use rasyncio::streams::search::{Search, Separators};
use rasyncio::{create_task, yield_now};

type State = ReaderState<Vec<u8>, Waker, ()>;

struct Reader(State);

impl Reader {
    fn feed(&self, data: &[u8]) {
        if let Some(waker) = self.0.feed(data.to_vec()).wake {
            waker.wake();
        }
    }

    async fn step(&self, mut step: impl FnMut(&State) -> Step) -> Step {
        let stepping = poll_fn(|cx| match step(&self.0) {
            Step::Wait => {
                // There is no transport that would have to resume.
                let _resume = self.0.wait(cx.waker().clone());
                Poll::Pending
            }
            step => Poll::Ready(step),
        });
        stepping.await
    }

    /// What a step was ready with, as text.
    fn taken(&self, step: Step) -> String {
        let (Step::Ready(count) | Step::Incomplete(count)) = step else {
            return format!("{step:?}");
        };
        let mut bytes = Vec::new();
        self.0.take(count, |slice| bytes.extend_from_slice(slice));
        format!("b\"{}\"", bytes.escape_ascii())
    }

    async fn readuntil(&self, separators: &Separators<'_>) -> Step {
        let mut search = Search::new();
        self.step(|state| state.readuntil(separators, &mut search))
            .await
    }
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reader = Rc::new(Reader(State::new(16)));

    println!("a line comes in two pieces:");
    let task = create_task({
        let reader = reader.clone();
        async move {
            let step = reader.readuntil(&Separators::newline()).await;
            reader.taken(step)
        }
    });
    yield_now().await?;
    reader.feed(b"first ");
    yield_now().await?;
    println!("  done: {}", task.done());
    reader.feed(b"line\nand more");
    println!("  {}", task.await?);

    let step = reader.step(|state| state.readexactly(4)).await;
    println!("exactly so many bytes: {}", reader.taken(step));
    let step = reader.step(|state| state.read(100)).await;
    println!("whatever there is:     {}", reader.taken(step));

    reader.feed(b"key=value;");
    let step = reader.readuntil(&Separators::new([&b";"[..]])?).await;
    println!("up to a separator:     {}", reader.taken(step));

    reader.feed(&[&[b'x'; 20][..], b"\n"].concat());
    if let Step::Overrun(overrun) = reader.readuntil(&Separators::newline()).await {
        println!(
            "longer than the limit: {}",
            LimitOverrunError::from(overrun)
        );
        reader.0.skip_line(overrun);
    }

    reader.feed(b"tail");
    drop(reader.0.feed_eof());
    let step = reader.step(|state| state.readexactly(10)).await;
    println!("ended too early:       {} of 10", reader.taken(step));
    let at_eof = reader.0.at_eof();
    let step = reader.step(State::read_to_end).await;
    println!("at the end:            {at_eof} {}", reader.taken(step));
    Ok(())
}
