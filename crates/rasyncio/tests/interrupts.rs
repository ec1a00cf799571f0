//! Ctrl-C. The tests take turns, for signals are the process's.

mod common;

use std::cell::Cell;
use std::env;
use std::future::pending;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use common::Log;
use rasyncio::runners::run_interruptible;
use rasyncio::signals::{add_signal_handler, remove_signal_handler};
use rasyncio::{Cancelled, RunError, Runner, create_task, current_task, events, sleep, yield_now};

const HOUR: Duration = Duration::from_secs(3600);

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // Who runs this in the background of a shell has it ignored, and that would stay so.
    // SAFETY: a plain system call, and nobody else changes it during a turn.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    turn
}

/// In this thread, so that the handler has run when this returns.
fn press_ctrl_c() {
    // SAFETY: a plain system call.
    let result = unsafe { libc::raise(libc::SIGINT) };
    assert_eq!(result, 0);
}

fn is_as_before() -> bool {
    // SAFETY: it only asks, and all zero is an action.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGINT, std::ptr::null(), &mut action);
        action.sa_sigaction == libc::SIG_DFL
    }
}

#[test]
fn the_main_task_cleans_up_and_then_the_others() {
    let _turn = turn();
    let log = Log::default();
    let result = run_interruptible({
        let log = log.clone();
        async move {
            create_task({
                let log = log.clone();
                async move {
                    let _ = sleep(HOUR).await;
                    yield_now().await.unwrap();
                    log.note("background");
                }
            });
            events::call_soon(press_ctrl_c);
            let slept = sleep(HOUR).await;
            sleep(Duration::from_millis(1)).await.unwrap();
            log.note("main");
            slept
        }
    });
    assert!(matches!(result, Err(RunError::Interrupted)));
    assert_eq!(log.take(), ["main", "background"]);
    assert!(is_as_before());
}

#[test]
fn a_main_task_that_refuses_has_its_output_answered() {
    let _turn = turn();
    let result = run_interruptible(async {
        events::call_soon(press_ctrl_c);
        let asked = sleep(HOUR).await.is_err();
        current_task().unwrap().uncancel();
        asked
    });
    assert!(result.unwrap());
    assert!(is_as_before());
}

#[test]
fn a_request_of_somebody_else_is_no_interrupt() {
    let _turn = turn();
    let result = run_interruptible(async {
        let me = current_task().unwrap();
        events::call_soon(move || assert!(me.cancel_with("by a callback")));
        sleep(HOUR).await
    });
    assert_eq!(
        result.unwrap(),
        Err(Cancelled::with_message("by a callback"))
    );
}

#[test]
fn one_that_is_too_late_for_the_main_task_is_told() {
    let _turn = turn();
    let result = run_interruptible(async { press_ctrl_c() });
    assert!(matches!(result, Err(RunError::Interrupted)));
}

#[test]
fn a_runner_goes_on_with_the_next_run() {
    let _turn = turn();
    let runner = Runner::new().unwrap();
    for _ in 0..2 {
        let result = runner.run_interruptible(async {
            events::call_soon(press_ctrl_c);
            sleep(HOUR).await
        });
        assert!(matches!(result, Err(RunError::Interrupted)));
        assert!(is_as_before());
    }
    assert_eq!(runner.run_interruptible(async { 42 }).unwrap(), 42);
}

#[test]
fn of_two_that_run_at_once_the_first_is_told() {
    let _turn = turn();
    let result = run_interruptible(async {
        let other = thread::spawn(|| run_interruptible(async { 42 }));
        assert_eq!(other.join().unwrap().unwrap(), 42);
        assert!(!is_as_before());
        events::call_soon(press_ctrl_c);
        sleep(HOUR).await
    });
    assert!(matches!(result, Err(RunError::Interrupted)));
}

#[test]
fn a_panic_of_the_main_task_goes_on() {
    let _turn = turn();
    let log = Log::default();
    let main = {
        let log = log.clone();
        async move {
            create_task(async move {
                let _ = sleep(HOUR).await;
                log.note("cleaned up");
            });
            yield_now().await.unwrap();
            panic!("oops");
        }
    };
    let run = std::panic::AssertUnwindSafe(|| run_interruptible::<_>(main));
    let payload = std::panic::catch_unwind(run)
        .map(|_: Result<(), _>| ())
        .unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"oops"));
    assert_eq!(log.take(), ["cleaned up"]);
    assert!(is_as_before());
}

#[test]
fn a_run_inside_of_another_is_refused() {
    let _turn = turn();
    let nested = rasyncio::run(async { run_interruptible(async {}) });
    assert!(matches!(nested, Err(RunError::Nested)));
    let runner = Runner::new().unwrap();
    let nested = rasyncio::run(async { runner.run_interruptible(async {}) });
    assert!(matches!(nested, Err(RunError::Nested)));
    assert!(is_as_before());
}

/// What changes the process for good, or ends it, runs in a process of its own: this test again, told by
/// the variable what to do.
#[test]
fn in_a_process_of_its_own() {
    const WHAT: &str = "RASYNCIO_TEST_INTERRUPT";
    match env::var(WHAT).as_deref() {
        Ok("twice") => {
            let _ = run_interruptible(async {
                events::call_soon(press_ctrl_c);
                assert!(sleep(HOUR).await.is_err());
                press_ctrl_c();
                pending::<()>().await
            });
            unreachable!("the second one ends the process");
        }
        Ok("busy") => {
            let _ = run_interruptible(async {
                press_ctrl_c();
                press_ctrl_c();
            });
            unreachable!("the second one ends the process");
        }
        Ok("program") => {
            #[rasyncio::main(interruptible)]
            async fn main() {
                events::call_soon(press_ctrl_c);
                assert!(sleep(HOUR).await.is_err());
                // `print!` would show nothing in a test.
                write!(std::io::stdout(), "cleaned up").unwrap();
            }
            main();
            unreachable!("what was interrupted ends");
        }
        Ok("handled") => {
            let handled = Rc::new(Cell::new(0));
            let result = run_interruptible(async {
                let count = handled.clone();
                add_signal_handler(libc::SIGINT, move || count.set(count.get() + 1)).unwrap();
                events::call_soon(press_ctrl_c);
                let slept = sleep(Duration::from_millis(20)).await;
                assert!(remove_signal_handler(libc::SIGINT));
                slept
            });
            assert_eq!(result.unwrap(), Ok(()));
            assert_eq!(handled.get(), 1);
            // What the loop's handlers leave behind is no default, so nothing is caught any more.
            let result = run_interruptible(async {
                press_ctrl_c();
                sleep(Duration::from_millis(20)).await
            });
            assert_eq!(result.unwrap(), Ok(()));
        }
        Ok(other) => unreachable!("{other}"),
        Err(_) => {
            let name = "in_a_process_of_its_own";
            let run = |what| {
                let mut command = Command::new(env::current_exe().unwrap());
                command.env(WHAT, what).args([name, "--exact"]);
                command.output().unwrap()
            };
            assert_eq!(run("twice").status.signal(), Some(libc::SIGINT));
            assert_eq!(run("busy").status.signal(), Some(libc::SIGINT));
            let program = run("program");
            assert_eq!(program.status.signal(), Some(libc::SIGINT));
            assert!(program.stdout.ends_with(b"cleaned up"), "{program:?}");
            let handled = run("handled");
            assert!(handled.status.success(), "{handled:?}");
        }
    }
}
