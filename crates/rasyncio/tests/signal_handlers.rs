//! Signals. One test in a process of its own, for signals are the process's.

mod common;

use std::rc::Rc;
use std::time::Duration;

use common::Log;
use rasyncio::signals::{add_signal_handler, remove_signal_handler, wait_for_signal};
use rasyncio::{Event, create_task, ctrl_c, events, run, wait_for, yield_now};
use rustix::process::{Signal, getpid, kill_process};

fn raise(signal: Signal) {
    kill_process(getpid(), signal).unwrap();
}

#[test]
fn signals_reach_the_loop() {
    let log = Log::default();
    run(async {
        // A handler, and another in its place.
        let arrived = Rc::new(Event::new());
        add_signal_handler(libc::SIGUSR1, || unreachable!("it is replaced")).unwrap();
        let handler = (log.call("handler"), arrived.clone());
        let handler = std::cell::Cell::new(Some(handler));
        add_signal_handler(libc::SIGUSR1, move || {
            let (note, arrived) = handler.take().unwrap();
            note();
            arrived.set();
        })
        .unwrap();
        raise(Signal::USR1);
        arrived.wait().await.unwrap();
        assert_eq!(log.take(), ["handler"]);

        // Removed, the signal is ignored.
        assert!(remove_signal_handler(libc::SIGUSR1));
        assert!(!remove_signal_handler(libc::SIGUSR1));
        raise(Signal::USR1);

        // Waiting for one, twice at once and twice in a row.
        for _ in 0..2 {
            let first = create_task(ctrl_c());
            let second = create_task(wait_for_signal(libc::SIGINT));
            yield_now().await.unwrap();
            raise(Signal::INT);
            first.await.unwrap().unwrap();
            second.await.unwrap().unwrap();
        }

        // A wait can be cancelled.
        assert!(wait_for(ctrl_c(), Duration::from_millis(1)).await.is_err());

        // A panic in a handler is told, and the next ones are called.
        let told = Rc::new(Event::new());
        events::set_exception_handler({
            let told = told.clone();
            move |_| told.set()
        });
        add_signal_handler(libc::SIGUSR2, || panic!("in a handler")).unwrap();
        for _ in 0..2 {
            raise(Signal::USR2);
            told.wait().await.unwrap();
            told.clear();
        }

        // What is no signal, and what cannot be caught.
        for refused in [0, 65, libc::SIGKILL] {
            let error = add_signal_handler(refused, || ()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        }
    });
}
