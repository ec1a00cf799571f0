//! Random programs over the locks, polled by hand in any order: what the primitives promise
//! holds after every step, and nobody is left behind.

mod common;

use common::hands::Hands;
use proptest::prelude::*;
use rasyncio::locks::{BarrierError, LockGuard, Permit};
use rasyncio::{Barrier, Cancelled, Condition, Event, Lock, Semaphore};

/// Numbers choose among those there are.
#[derive(Clone, Debug)]
enum Step {
    /// Begins to wait.
    Start,
    /// Polls anybody.
    Poll(usize),
    /// Polls one who was woken or cancelled.
    PollWoken(usize),
    Cancel(usize),
    Drop(usize),
    /// Does something for others: releases, sets.
    Give(usize),
    /// Undoes that: clears; or does something else.
    Take(usize),
}

fn programs() -> impl Strategy<Value = Vec<Step>> {
    let which = || 0..12usize;
    let step = prop_oneof![
        4 => Just(Step::Start),
        1 => which().prop_map(Step::Poll),
        4 => which().prop_map(Step::PollWoken),
        1 => which().prop_map(Step::Cancel),
        1 => which().prop_map(Step::Drop),
        4 => which().prop_map(Step::Give),
        1 => which().prop_map(Step::Take),
    ];
    prop::collection::vec(step, 1..80)
}

/// The steps that are the same for all primitives. Answers what has resolved.
fn common_step<O>(hands: &mut Hands<'_, O>, step: &Step) -> Option<(usize, O)> {
    match *step {
        Step::Poll(which) => {
            let number = hands.pick(which)?;
            return Some((number, hands.poll(number)?));
        }
        Step::PollWoken(which) => {
            let number = hands.pick_woken(which)?;
            return Some((number, hands.poll(number)?));
        }
        Step::Cancel(which) => hands.cancel(hands.pick(which)?),
        Step::Drop(which) => hands.remove(hands.pick(which)?),
        Step::Start | Step::Give(_) | Step::Take(_) => {}
    }
    None
}

fn shows(primitive: impl std::fmt::Debug, what: &str) -> bool {
    format!("{primitive:?}").contains(what)
}

fn check_lock(program: &[Step]) -> Result<(), TestCaseError> {
    let lock = Lock::new();
    let mut hands = Hands::new();
    let mut guard: Option<LockGuard<'_>> = None;
    for step in program {
        let got = match step {
            Step::Start => {
                let nobody_waits = hands.len() == 0;
                let (number, got) = hands.start(lock.acquire());
                prop_assert!(got.is_none() || nobody_waits, "got ahead of others");
                got.map(|got| (number, got))
            }
            Step::Give(_) => {
                drop(guard.take());
                None
            }
            step => {
                let first = hands.line().first().copied();
                let got = common_step(&mut hands, step);
                if let Some((number, Ok(_))) = &got {
                    prop_assert_eq!(Some(*number), first, "got ahead of others");
                }
                got
            }
        };
        if let Some((_, Ok(new))) = got {
            prop_assert!(guard.is_none(), "two have it");
            guard = Some(new);
        }
        prop_assert!(hands.is_fair());
        prop_assert_eq!(guard.is_some(), lock.locked());
        prop_assert!(lock.locked() || hands.len() == 0 || hands.pick_woken(0).is_some());
    }
    loop {
        for (_, got) in hands.settle() {
            if let Ok(new) = got {
                prop_assert!(guard.is_none(), "two have it");
                guard = Some(new);
            }
        }
        if guard.take().is_none() {
            break;
        }
    }
    prop_assert_eq!(hands.len(), 0);
    prop_assert!(!lock.locked() && shows(&lock, "waiters: 0"));
    Ok(())
}

fn check_semaphore(program: &[Step], value: usize) -> Result<(), TestCaseError> {
    let semaphore = Semaphore::new(value);
    let mut hands = Hands::new();
    let mut permits: Vec<Permit<'_>> = Vec::new();
    for step in program {
        let got = match step {
            Step::Start => {
                let nobody_waits = hands.len() == 0;
                let (number, got) = hands.start(semaphore.acquire());
                prop_assert!(got.is_none() || nobody_waits, "got ahead of others");
                got.map(|got| (number, got))
            }
            Step::Give(which) => {
                if let Some(index) = which.checked_rem(permits.len()) {
                    drop(permits.swap_remove(index));
                }
                None
            }
            step => common_step(&mut hands, step),
        };
        if let Some((_, Ok(permit))) = got {
            permits.push(permit);
        }
        // Who was woken has a permit already.
        let woken = hands.line().iter().filter(|&&it| hands.is_woken(it));
        let all = permits.len() + semaphore.value() + woken.count();
        prop_assert_eq!(all, value);
        prop_assert!(hands.is_fair());
    }
    loop {
        permits.extend(hands.settle().into_iter().filter_map(|(_, got)| got.ok()));
        prop_assert_eq!(permits.len() + semaphore.value(), value);
        prop_assert!(semaphore.value() == 0 || hands.len() == 0);
        if permits.pop().is_none() {
            break;
        }
    }
    prop_assert!(hands.len() == 0 || value == 0);
    prop_assert!(value == 0 || shows(&semaphore, "waiters: 0"));
    Ok(())
}

fn check_event(program: &[Step]) -> Result<(), TestCaseError> {
    let event = Event::new();
    let mut hands = Hands::new();
    for step in program {
        match step {
            Step::Start => {
                let set = event.is_set();
                let (_, got) = hands.start(event.wait());
                prop_assert_eq!(got, set.then_some(Ok(())));
            }
            Step::Give(_) => {
                event.set();
                prop_assert!(hands.line().iter().all(|&it| hands.is_woken(it)));
            }
            Step::Take(_) => event.clear(),
            step => {
                common_step(&mut hands, step);
            }
        }
        prop_assert!(hands.is_fair());
    }
    event.set();
    hands.settle();
    prop_assert_eq!(hands.len(), 0);
    prop_assert!(shows(&event, "waiters: 0"));
    Ok(())
}

fn check_barrier(program: &[Step], parties: usize) -> Result<(), TestCaseError> {
    let barrier = Barrier::new(parties);
    let mut hands = Hands::new();
    let (mut passed, mut undisturbed) = (0, true);
    for step in program {
        let got = match step {
            Step::Start => hands.start(barrier.wait()).1,
            Step::Take(which) => {
                undisturbed = false;
                if which % 3 == 0 {
                    barrier.abort();
                } else {
                    barrier.reset();
                }
                None
            }
            Step::Give(_) => None,
            step => {
                undisturbed &= !matches!(step, Step::Cancel(_) | Step::Drop(_));
                common_step(&mut hands, step).map(|(_, got)| got)
            }
        };
        match got {
            Some(Ok(index)) => {
                prop_assert!(index < parties);
                passed += 1;
            }
            Some(Err(BarrierError::BrokenBarrier)) => prop_assert!(!undisturbed),
            _ => {}
        }
        prop_assert!(barrier.n_waiting() < parties);
    }
    passed += hands.settle().iter().filter(|(_, got)| got.is_ok()).count();
    if undisturbed {
        prop_assert_eq!(passed % parties, 0);
    }
    // Who still waits, waits for others.
    prop_assert_eq!(barrier.n_waiting(), hands.len());
    barrier.abort();
    for (_, got) in hands.settle() {
        prop_assert_eq!(got, Err(BarrierError::BrokenBarrier));
    }
    prop_assert_eq!(hands.len(), 0);
    barrier.reset();
    prop_assert_eq!(barrier.n_waiting(), 0);
    Ok(())
}

/// What the futures of a condition's program resolve to: the lock, and how a wait has ended.
type Got<'a> = (Option<LockGuard<'a>>, Option<Result<(), Cancelled>>);

/// Who has which notification: it goes to the first who waits and has none, and whoever ends
/// without having used it passes it on.
#[derive(Default)]
struct Notifications {
    /// Who waits, and whether it was notified.
    waiting: Vec<(usize, bool)>,
    /// Who waits for the lock only.
    acquiring: Vec<(usize, bool)>,
}

impl Notifications {
    fn notify(&mut self, count: usize) {
        let waiting = self.waiting.iter_mut().filter(|it| !it.1);
        waiting.take(count).for_each(|it| it.1 = true);
    }

    fn left_line(&mut self, number: usize) {
        let index = self.waiting.iter().position(|it| it.0 == number);
        self.acquiring
            .extend(index.map(|index| self.waiting.remove(index)));
    }

    /// Whether it had been notified.
    fn ended(&mut self, number: usize) -> bool {
        self.left_line(number);
        let index = self.acquiring.iter().position(|it| it.0 == number);
        index.is_some_and(|index| self.acquiring.remove(index).1)
    }
}

async fn acquire(condition: &Condition) -> Got<'_> {
    (condition.acquire().await.ok(), None)
}

async fn wait<'a>(condition: &'a Condition, mut guard: LockGuard<'a>) -> Got<'a> {
    let result = condition.wait(&mut guard).await;
    (Some(guard), Some(result))
}

fn check_condition(program: &[Step]) -> Result<(), TestCaseError> {
    let condition = Condition::new();
    let mut hands: Hands<'_, Got<'_>> = Hands::new();
    let mut guard: Option<LockGuard<'_>> = None;
    let mut model = Notifications::default();
    // In the end, all who were notified go on.
    let ending = (0..100).flat_map(|_| [Step::PollWoken(0), Step::Give(9)]);
    for step in program.iter().cloned().chain(ending) {
        let mut polled = None;
        match step {
            Step::Start => {
                let (number, got) = hands.start(acquire(&condition));
                polled = Some((number, got));
            }
            Step::Poll(_) | Step::PollWoken(_) => {
                let number = match step {
                    Step::Poll(which) => hands.pick(which),
                    Step::PollWoken(which) => hands.pick_woken(which),
                    _ => None,
                };
                if let Some(number) = number {
                    if hands.is_woken(number) || hands.is_cancelled(number) {
                        model.left_line(number);
                    }
                    polled = Some((number, hands.poll(number)));
                }
            }
            Step::Cancel(_) => drop(common_step(&mut hands, &step)),
            Step::Drop(which) => {
                if let Some(number) = hands.pick(which) {
                    hands.remove(number);
                    if model.ended(number) {
                        model.notify(1);
                    }
                }
            }
            // The holder waits, notifies, or releases.
            Step::Give(0..=4) | Step::Take(_) => {
                if let Some(guard) = guard.take() {
                    let (number, got) = hands.start(wait(&condition, guard));
                    prop_assert!(got.is_none());
                    model.waiting.push((number, false));
                }
            }
            Step::Give(count @ 5..=8) => {
                let result = condition.notify(count - 4);
                prop_assert_eq!(result.is_ok(), guard.is_some());
                if guard.is_some() {
                    model.notify(count - 4);
                }
            }
            Step::Give(_) => drop(guard.take()),
        }
        if let Some((number, Some((new, result)))) = polled {
            if let Some(new) = new {
                prop_assert!(guard.is_none(), "two have it");
                prop_assert!(new.is_held());
                guard = Some(new);
            }
            let notified = model.ended(number);
            match result {
                Some(Ok(())) => prop_assert!(notified, "woken for nothing"),
                Some(Err(_)) if notified => model.notify(1),
                _ => {}
            }
        }
        prop_assert_eq!(guard.is_some(), condition.locked());
        for &(number, notified) in &model.waiting {
            prop_assert_eq!(hands.is_woken(number), notified);
        }
    }
    // Who still waits was not notified.
    prop_assert!(model.acquiring.is_empty());
    prop_assert!(model.waiting.iter().all(|it| !it.1));
    prop_assert_eq!(model.waiting.len(), hands.len());
    drop(hands);
    prop_assert!(!condition.locked());
    prop_assert!(!shows(&condition, "waiters: 1"));
    Ok(())
}

proptest! {
    #[test]
    fn a_lock_is_exclusive_and_fair_and_goes_to_all(program in programs()) {
        check_lock(&program)?;
    }

    #[test]
    fn no_permit_is_lost_or_made(program in programs(), value in 0..4usize) {
        check_semaphore(&program, value)?;
    }

    #[test]
    fn a_set_event_wakes_all(program in programs()) {
        check_event(&program)?;
    }

    #[test]
    fn no_notification_is_lost(program in programs()) {
        check_condition(&program)?;
    }

    #[test]
    fn nobody_is_left_at_a_barrier(program in programs(), parties in 1..4usize) {
        check_barrier(&program, parties)?;
    }
}
