//! The runtimes, and the rows.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use rustix::time::ClockId;

pub(crate) const LONG: Duration = Duration::from_secs(3600);

pub(crate) const MOMENT: Duration = Duration::from_millis(300);

pub(crate) const NAMES: [&str; 5] = ["rasyncio", "tokio", "tokio local", "smol", "compio"];

pub(crate) type Program = fn(&Runtimes, u32);

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) operations: u32,
    pub(crate) clock: ClockId,
    /// In the order of `NAMES`.
    pub(crate) programs: [Option<Program>; 5],
    /// The same without a runtime, where that can be: what nobody can be faster than.
    pub(crate) floor: Option<Program>,
}

pub(crate) struct Runtimes {
    rasyncio: rasyncio::Runner,
    tokio: tokio::runtime::Runtime,
    local: tokio::runtime::LocalRuntime,
    compio: compio::runtime::Runtime,
}

impl Runtimes {
    pub(crate) fn new() -> Runtimes {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all();
        Runtimes {
            rasyncio: rasyncio::Runner::new().expect("a loop"),
            tokio: builder.build().expect("a runtime"),
            local: builder.build_local(Default::default()).expect("a runtime"),
            compio: compio::runtime::Runtime::new().expect("a runtime"),
        }
    }
}

/// Lets all others go first, for runtimes whose own way is slower or not there.
async fn wake_self() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|cx: &mut Context<'_>| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

thread_local! {
    /// For those who poll all tasks once more in the end.
    pub(crate) static OVER: Cell<bool> = const { Cell::new(false) };
}

/// What does not come before all is over. It keeps the waker, as whatever a task waits for does.
#[derive(Default)]
pub(crate) struct Never {
    waker: Option<Waker>,
}

impl Future for Never {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if OVER.get() {
            return Poll::Ready(());
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Another thread that wakes whoever asks it to.
pub(crate) struct Far {
    sender: mpsc::Sender<Arc<Call>>,
}

#[derive(Default)]
struct Call {
    done: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Far {
    pub(crate) fn new() -> Far {
        let (sender, receiver) = mpsc::channel::<Arc<Call>>();
        thread::spawn(move || {
            for call in receiver {
                call.done.store(true, Ordering::Release);
                let waker = call.waker.lock().expect("no panic").take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        });
        Far { sender }
    }

    pub(crate) async fn call(&self) {
        let call = Arc::new(Call::default());
        let mut sent = false;
        poll_fn(|cx| {
            if call.done.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            *call.waker.lock().expect("no panic") = Some(cx.waker().clone());
            if !std::mem::replace(&mut sent, true) {
                self.sender.send(call.clone()).expect("the thread lives");
            }
            // It may have been done before the waker was there.
            match call.done.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

mod ours {
    async fn join<T>(task: rasyncio::Task<T>) -> Option<T> {
        task.await.ok()
    }

    programs!(
        rasyncio::create_task,
        join,
        rasyncio::yield_now,
        rasyncio::sleep
    );

    pub(crate) async fn gather(operations: u32) {
        for _ in 0..operations / 100 {
            black_box(
                rasyncio::gather_iter((0..100).map(|number| async move { number }))
                    .await
                    .ok(),
            );
        }
    }

    pub(crate) async fn blocking(operations: u32) {
        for _ in 0..operations {
            black_box(rasyncio::to_thread(|| 1).await.ok());
        }
    }
}

mod tokio_send {
    async fn join<T>(task: tokio::task::JoinHandle<T>) -> Option<T> {
        task.await.ok()
    }

    programs!(tokio::spawn, join, super::wake_self, tokio::time::sleep);

    pub(crate) async fn gather(operations: u32) {
        for _ in 0..operations / 100 {
            let tasks = (0..100).map(|number| tokio::spawn(async move { number }));
            let mut outputs = Vec::with_capacity(100);
            for task in tasks.collect::<Vec<_>>() {
                outputs.push(task.await.ok());
            }
            black_box(outputs);
        }
    }

    pub(crate) async fn blocking(operations: u32) {
        for _ in 0..operations {
            black_box(tokio::task::spawn_blocking(|| 1).await.ok());
        }
    }
}

mod tokio_local {
    async fn join<T>(task: tokio::task::JoinHandle<T>) -> Option<T> {
        task.await.ok()
    }

    programs!(
        tokio::task::spawn_local,
        join,
        super::wake_self,
        tokio::time::sleep
    );

    pub(crate) async fn gather(operations: u32) {
        for _ in 0..operations / 100 {
            let tasks = (0..100).map(|number| tokio::task::spawn_local(async move { number }));
            let mut outputs = Vec::with_capacity(100);
            for task in tasks.collect::<Vec<_>>() {
                outputs.push(task.await.ok());
            }
            black_box(outputs);
        }
    }

    pub(crate) async fn blocking(operations: u32) {
        for _ in 0..operations {
            black_box(tokio::task::spawn_blocking(|| 1).await.ok());
        }
    }
}

mod with_smol {
    thread_local! {
        pub(crate) static EXECUTOR: &'static smol::LocalExecutor<'static> =
            Box::leak(Box::new(smol::LocalExecutor::new()));
    }

    fn spawn<F: Future + 'static>(future: F) -> smol::Task<F::Output> {
        EXECUTOR.with(|executor| executor.spawn(future))
    }

    async fn join<T>(task: smol::Task<T>) -> T {
        task.await
    }

    async fn sleep(duration: Duration) {
        smol::Timer::after(duration).await;
    }

    programs!(spawn, join, smol::future::yield_now, sleep);

    pub(crate) async fn gather(operations: u32) {
        for _ in 0..operations / 100 {
            let tasks = (0..100).map(|number| spawn(async move { number }));
            let mut outputs = Vec::with_capacity(100);
            for task in tasks.collect::<Vec<_>>() {
                outputs.push(task.await);
            }
            black_box(outputs);
        }
    }

    pub(crate) async fn blocking(operations: u32) {
        for _ in 0..operations {
            black_box(smol::unblock(|| 1).await);
        }
    }

    pub(crate) fn run(future: impl Future<Output = ()>) {
        EXECUTOR.with(|executor| smol::block_on(executor.run(future)));
    }
}

mod with_compio {
    async fn join<T>(task: compio::runtime::JoinHandle<T>) -> Option<T> {
        task.await.ok()
    }

    programs!(
        compio::runtime::spawn,
        join,
        super::wake_self,
        compio::time::sleep
    );

    pub(crate) async fn gather(operations: u32) {
        for _ in 0..operations / 100 {
            let tasks = (0..100).map(|number| compio::runtime::spawn(async move { number }));
            let mut outputs = Vec::with_capacity(100);
            for task in tasks.collect::<Vec<_>>() {
                outputs.push(task.await.ok());
            }
            black_box(outputs);
        }
    }

    pub(crate) async fn blocking(operations: u32) {
        for _ in 0..operations {
            black_box(compio::runtime::spawn_blocking(|| 1).await.ok());
        }
    }
}

/// A thread that sleeps until it is woken, and no more than that.
mod no_runtime {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};
    use std::thread::{self, Thread};

    use super::{Far, Runtimes};

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn run(future: impl Future<Output = ()>) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = pin!(future);
        while future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            thread::park();
        }
    }

    pub(crate) fn cross_thread(_: &Runtimes, operations: u32) {
        run(async {
            let far = Far::new();
            for _ in 0..operations {
                far.call().await;
            }
        });
    }
}

macro_rules! each {
    ($program:ident) => {
        [
            |it, operations| it.rasyncio.run(ours::$program(operations)),
            |it, operations| it.tokio.block_on(tokio_send::$program(operations)),
            |it, operations| it.local.block_on(tokio_local::$program(operations)),
            |_, operations| with_smol::run(with_smol::$program(operations)),
            |it, operations| it.compio.block_on(with_compio::$program(operations)),
        ]
    };
}

pub(crate) const WAITING: [Program; 5] = each!(waiting);

pub(crate) const SLEEPING: [Program; 5] = each!(sleeping);

pub(crate) fn rows() -> Vec<Row> {
    let row = |name, operations, clock, programs: [Program; 5]| Row {
        name,
        operations,
        clock,
        programs: programs.map(Some),
        floor: None,
    };
    let (here, all) = (ClockId::ThreadCPUTime, ClockId::ProcessCPUTime);
    vec![
        row("spawn and await", 100_000, here, each!(spawn_and_await)),
        row("yield, 1 task", 500_000, here, each!(yield_1)),
        row("yield, 1000 tasks", 500_000, here, each!(yield_1000)),
        row("gather of 100, per future", 100_000, here, each!(gather)),
        row(
            "timer made and dropped",
            100_000,
            here,
            each!(timers_dropped),
        ),
        row("timers due, 1000 at once", 50_000, all, each!(timers_due)),
        Row {
            floor: Some(no_runtime::cross_thread),
            ..row("woken by another thread", 2_000, all, each!(cross_thread))
        },
        row("blocking call by a thread", 2_000, all, each!(blocking)),
    ]
}
