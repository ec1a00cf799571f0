//! The line: who is found, woken and shown, whatever foreign code does meanwhile.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;

/// A waiter that runs foreign code when it is asked and when it is woken.
#[derive(Clone, Default)]
struct Mock(Rc<Inner>);

#[derive(Default)]
struct Inner {
    woken: Cell<bool>,
    cancelled: Cell<bool>,
    fails: Cell<bool>,
    on_ask: RefCell<Option<Box<dyn FnOnce()>>>,
    on_wake: RefCell<Option<Box<dyn FnOnce()>>>,
}

impl Waiter for Mock {
    type Error = &'static str;

    fn wake(at: Place<'_, Mock>, first: impl FnOnce()) -> Result<bool, Self::Error> {
        at.get().wake_with(first)
    }

    fn wake_left(self) -> Result<bool, Self::Error> {
        self.wake_with(|| ())
    }

    fn is_cancelled(at: Place<'_, Mock>) -> Result<bool, Self::Error> {
        Ok(at.get().0.cancelled.get())
    }
}

impl Mock {
    fn wake_with(&self, first: impl FnOnce()) -> Result<bool, &'static str> {
        let it = &self.0;
        let on_ask = it.on_ask.take();
        if let Some(on_ask) = on_ask {
            on_ask();
        }
        if it.woken.get() || it.cancelled.get() {
            return Ok(false);
        }
        first();
        if it.fails.get() {
            return Err("closed");
        }
        it.woken.set(true);
        let on_wake = it.on_wake.take();
        if let Some(on_wake) = on_wake {
            on_wake();
        }
        Ok(true)
    }

    fn on_wake(&self, f: impl FnOnce() + 'static) {
        self.0.on_wake.replace(Some(Box::new(f)));
    }

    fn is_woken(&self) -> bool {
        self.0.woken.get()
    }
}

fn mocks<const N: usize>() -> [Mock; N] {
    std::array::from_fn(|_| Mock::default())
}

fn line_of(mocks: &[Mock]) -> (Rc<Line<Mock>>, Vec<Ticket>) {
    let line = Rc::new(Line::new());
    let tickets = mocks.iter().map(|it| line.join(it.clone())).collect();
    (line, tickets)
}

#[test]
fn leaving_the_middle_does_not_let_the_line_grow() {
    let line = Line::new();
    let first = line.join(0);
    let mut last = line.join(0);
    for number in 1..1000 {
        let next = line.join(number);
        assert_eq!(line.leave(last), Some(number - 1));
        last = next;
    }
    assert_eq!(line.len(), 2);
    assert!(line.entries.borrow().len() <= 2 * MIN_GAPS);
    assert!(line.contains(first) && line.contains(last));
}

#[test]
fn one_leaves_once() {
    let line = Line::new();
    let tickets: Vec<_> = (0..5).map(|number| line.join(number)).collect();
    for which in [2, 0, 4, 3, 1] {
        assert_eq!(line.leave(tickets[which]), Some(which));
        assert_eq!(line.leave(tickets[which]), None);
    }
    assert!(line.is_empty());
    assert_eq!(line.gaps.get(), 0);
}

#[test]
fn the_ends_are_never_gaps() {
    let line = Line::new();
    let tickets: Vec<_> = (0..6).map(|number| line.join(number)).collect();
    for which in [1, 2, 4] {
        line.leave(tickets[which]);
    }
    line.leave(tickets[0]);
    assert_eq!(line.place(0).unwrap().get(), 3);
    assert_eq!(line.pop_first(), Some(3));
    line.leave(tickets[5]);
    assert!(line.is_empty());
    assert_eq!(line.len(), 0);
}

#[test]
fn places_are_counted_without_gaps() {
    let line = Line::new();
    let tickets: Vec<_> = (0..5).map(|number| line.join(number)).collect();
    line.leave(tickets[2]);
    let shown: Vec<_> = (0..4).map(|at| line.place(at).unwrap().get()).collect();
    assert_eq!(shown, [0, 1, 3, 4]);
    assert!(line.place(4).is_none());
    assert_eq!(line.place(2).unwrap().ticket(), Some(tickets[3]));
    let mut visited = Vec::new();
    line.visit(&mut |number| visited.push(*number));
    assert_eq!(visited, [0, 1, 3, 4]);
}

#[test]
fn only_those_who_are_not_done_are_woken_and_counted() {
    let all = mocks::<4>();
    all[0].0.woken.set(true);
    all[2].0.cancelled.set(true);
    let (line, _) = line_of(&all);
    assert_eq!(line.wake_with(1, || ()), Ok(1));
    assert_eq!(
        all.each_ref().map(Mock::is_woken),
        [true, true, false, false]
    );
    assert_eq!(line.wake_with(9, || ()), Ok(1));
    assert!(all[3].is_woken() && !all[2].is_woken());
    assert_eq!(line.len(), 4);
}

#[test]
fn the_first_alone_is_woken() {
    let all = mocks::<2>();
    let (line, tickets) = line_of(&all);
    line.wake_first().unwrap();
    line.wake_first().unwrap();
    assert!(all[0].is_woken() && !all[1].is_woken());
    line.leave(tickets[0]);
    line.wake_first().unwrap();
    assert!(all[1].is_woken());
}

#[test]
fn popping_skips_those_who_are_done() {
    let all = mocks::<3>();
    all[0].0.cancelled.set(true);
    let (line, _) = line_of(&all);
    assert_eq!(line.pop_and_wake(), Ok(true));
    assert_eq!(line.len(), 1);
    assert_eq!(line.pop_and_wake(), Ok(true));
    assert_eq!(line.pop_and_wake(), Ok(false));
    assert!(all[1].is_woken() && all[2].is_woken());
}

#[test]
fn who_is_done_is_not_asked_again() {
    let all = mocks::<4>();
    all[1].0.cancelled.set(true);
    let (line, tickets) = line_of(&all);
    line.wake(2).unwrap();
    for mock in &all[..3] {
        let ask = || panic!("asked again");
        mock.0.on_ask.replace(Some(Box::new(ask)));
    }
    line.leave(tickets[0]);
    line.wake(1).unwrap();
    assert!(all[3].is_woken());
    let late = Mock::default();
    line.join(late.clone());
    line.wake(1).unwrap();
    assert!(late.is_woken());
}

#[test]
fn a_failure_stops_the_waking() {
    let all = mocks::<3>();
    all[1].0.fails.set(true);
    let (line, _) = line_of(&all);
    assert_eq!(line.wake(3), Err("closed"));
    assert!(all[0].is_woken() && !all[2].is_woken());
}

#[test]
fn nobody_is_missed_if_waking_changes_the_line() {
    let all = mocks::<5>();
    let (line, tickets) = line_of(&all);
    let late = Mock::default();
    all[1].on_wake({
        let (line, late) = (line.clone(), late.clone());
        move || {
            for which in [0, 1, 3] {
                line.leave(tickets[which]);
            }
            line.join(late);
        }
    });
    assert_eq!(line.wake_with(usize::MAX, || ()), Ok(4));
    assert_eq!(
        all.each_ref().map(Mock::is_woken),
        [true, true, true, false, true]
    );
    assert!(!late.is_woken());
    assert_eq!(line.len(), 3);
}

#[test]
fn waking_may_empty_the_line() {
    let all = mocks::<3>();
    let (line, _) = line_of(&all);
    all[0].on_wake({
        let line = line.clone();
        move || drop(line.take().collect::<Vec<_>>())
    });
    assert_eq!(line.wake_with(usize::MAX, || ()), Ok(1));
    assert!(line.is_empty());
}

#[test]
fn who_is_woken_is_who_was_asked_though_asking_changes_the_line() {
    let all = mocks::<3>();
    let (line, tickets) = line_of(&all);
    all[0].0.on_ask.replace(Some(Box::new({
        let line = line.clone();
        move || {
            line.leave(tickets[0]);
        }
    })));
    line.wake(1).unwrap();
    assert_eq!(all.each_ref().map(Mock::is_woken), [true, false, false]);
}

#[test]
fn dropping_a_waiter_may_come_back() {
    struct Guest(Rc<Line<Guest>>);
    impl Drop for Guest {
        fn drop(&mut self) {
            assert!(self.0.len() < 3);
        }
    }
    let line = Rc::new(Line::new());
    let tickets: Vec<_> = (0..3).map(|_| line.join(Guest(line.clone()))).collect();
    drop(line.leave(tickets[1]));
    drop(line.take().collect::<Vec<_>>());
    assert!(line.is_empty());
}

#[test]
fn a_line_of_cancelled_ones_counts_as_empty() {
    let all = mocks::<2>();
    let (line, _) = line_of(&all);
    all[0].0.cancelled.set(true);
    assert_eq!(line.is_all_cancelled(), Ok(false));
    all[1].0.cancelled.set(true);
    assert_eq!(line.is_all_cancelled(), Ok(true));
}
