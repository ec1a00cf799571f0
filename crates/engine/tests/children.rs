//! Child processes as events.
#![expect(clippy::zombie_processes, reason = "what reaps them is under test")]

mod common;

use std::cell::Cell;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::rc::Rc;

use common::{Bench, tracked};
use rasyncio_engine::Child;

fn shell(script: &str) -> std::process::Child {
    Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Watches a child and turns the loop until it has ended.
fn end_of(child: io::Result<Child>) -> io::Result<ExitStatus> {
    let bench = Bench::new();
    let status = Rc::new(Cell::new(None));
    let (result, event_loop) = (Rc::clone(&status), Rc::clone(&bench.event_loop));
    let watch = bench.event_loop.watch(child?, move |status| {
        result.set(Some(status));
        event_loop.stop();
    });
    bench.run();
    watch?.cancel(&bench.event_loop);
    status.take().unwrap()
}

#[test]
fn an_exit_code_arrives() {
    let child = shell("exit 7");
    assert_eq!(end_of(Child::open(child.id())).unwrap().code(), Some(7));
}

#[test]
fn a_deadly_signal_arrives() {
    let child = shell("kill -TERM $$");
    let status = end_of(Child::open(child.id())).unwrap();
    assert_eq!(
        (status.signal(), status.core_dumped()),
        (Some(libc::SIGTERM), false)
    );
}

#[test]
fn a_thread_does_as_well_as_a_pidfd() {
    let child = shell("exit 7");
    let status = end_of(Child::open_with_thread(child.id())).unwrap();
    assert_eq!(status.code(), Some(7));
    let child = shell("kill -KILL $$");
    let status = end_of(Child::open_with_thread(child.id())).unwrap();
    assert_eq!(status.signal(), Some(libc::SIGKILL));
}

#[test]
fn a_running_child_has_no_status_yet() {
    let mut process = shell("read line");
    let child = Child::open(process.id()).unwrap();
    assert!(child.try_wait().unwrap().is_none());
    drop(process.stdin.take());
    process.wait().unwrap();
}

#[test]
fn a_child_that_somebody_else_reaped_is_reported() {
    let mut process = shell("read line");
    let child = Child::open(process.id()).unwrap();
    drop(process.stdin.take());
    process.wait().unwrap();
    let error = end_of(Ok(child)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
}

#[test]
fn no_process_is_an_error() {
    for pid in [0, u32::MAX] {
        let error = Child::open(pid).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }
}

#[test]
fn a_watch_can_be_given_up() {
    let mut process = shell("read line");
    let bench = Bench::new();
    let (token, _) = tracked();
    let kept = Rc::clone(&token);
    let watch = bench
        .event_loop
        .watch_child(process.id(), move |_| {
            let _keep = &kept;
            panic!("nobody asked");
        })
        .unwrap();
    watch.cancel(&bench.event_loop);
    drop(process.stdin.take());
    // Not reaped by the watch.
    assert!(process.wait().unwrap().code().is_some());
    bench.poll();
}

#[test]
fn a_watch_knows_when_it_has_ended() {
    let bench = Bench::new();
    let mut process = shell("read line");
    let watch = bench
        .event_loop
        .watch_child(process.id(), |_| panic!("cleared"))
        .unwrap();
    assert!(format!("{watch:?}").contains("watched: true"));
    bench.event_loop.clear();
    // From here on the descriptor's number may be somebody else's.
    assert!(format!("{watch:?}").contains("watched: false"));
    watch.cancel(&bench.event_loop);
    process.wait().unwrap();
}
