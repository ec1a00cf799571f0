//! Random programs over the queues, polled by hand in any order, against a plain collection: each
//! item comes out once and in order, and nobody waits for what is there.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::hands::Hands;
use proptest::prelude::*;
use rasyncio::queues::{
    BaseQueue, Fifo, GetError, GetNowaitError, Lifo, Order, PutError, PutNowaitError, Smallest,
};

#[derive(Clone, Debug)]
enum Step {
    Get,
    GetNowait,
    Put(u8),
    PutNowait(u8),
    TaskDone,
    Join,
    Shutdown(bool),
    // Numbers choose among the futures that are pending.
    Poll(usize),
    PollWoken(usize),
    Cancel(usize),
    Drop(usize),
}

fn programs() -> impl Strategy<Value = Vec<Step>> {
    let which = || 0..12usize;
    let step = prop_oneof![
        20 => Just(Step::Get),
        6 => Just(Step::GetNowait),
        20 => any::<u8>().prop_map(Step::Put),
        6 => any::<u8>().prop_map(Step::PutNowait),
        6 => Just(Step::TaskDone),
        4 => Just(Step::Join),
        1 => any::<bool>().prop_map(Step::Shutdown),
        6 => which().prop_map(Step::Poll),
        40 => which().prop_map(Step::PollWoken),
        8 => which().prop_map(Step::Cancel),
        8 => which().prop_map(Step::Drop),
    ];
    prop::collection::vec(step, 1..120)
}

/// An item: a priority that may be another's, a number that is its own, and a count of all that
/// are alive.
#[derive(Debug)]
struct Item {
    priority: u8,
    number: usize,
    _alive: Alive,
}

#[derive(Debug)]
struct Alive(Rc<Cell<usize>>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Item {
    fn key(&self) -> (u8, usize) {
        (self.priority, self.number)
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Item) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Item) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Item) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// What a future resolves to.
enum Got {
    Get(Result<Item, GetError>),
    Put(Result<(), PutError<Item>>),
    Join,
}

/// The item that comes next, and its place.
type Next = fn(&[(u8, usize)]) -> Option<usize>;

struct Model {
    maxsize: usize,
    items: Vec<(u8, usize)>,
    next: Next,
    unfinished: usize,
    shutdown: bool,
}

impl Model {
    fn full(&self) -> bool {
        self.maxsize > 0 && self.items.len() >= self.maxsize
    }

    fn put(&mut self, key: (u8, usize)) -> Result<(), TestCaseError> {
        prop_assert!(!self.full() && !self.shutdown);
        self.items.push(key);
        self.unfinished += 1;
        Ok(())
    }

    fn get(&mut self, item: &Item) -> Result<(), TestCaseError> {
        let index = (self.next)(&self.items);
        let expected = index.map(|index| self.items.remove(index));
        prop_assert_eq!(Some(item.key()), expected);
        Ok(())
    }
}

struct Run<'a, O: Order<Item = Item>> {
    queue: &'a BaseQueue<O>,
    model: Model,
    getters: Hands<'a, Got>,
    /// And the items that they want to put.
    putters: Hands<'a, Got>,
    putting: Vec<(usize, (u8, usize))>,
    joiners: Hands<'a, Got>,
    made: usize,
    alive: Rc<Cell<usize>>,
}

impl<'a, O: Order<Item = Item>> Run<'a, O> {
    fn item(&mut self, priority: u8) -> Item {
        self.made += 1;
        self.alive.set(self.alive.get() + 1);
        Item {
            priority,
            number: self.made,
            _alive: Alive(self.alive.clone()),
        }
    }

    fn all_hands(&mut self) -> [&mut Hands<'a, Got>; 3] {
        [&mut self.getters, &mut self.putters, &mut self.joiners]
    }

    fn resolved(&mut self, number: usize, got: Option<Got>) -> Result<(), TestCaseError> {
        match got {
            Some(Got::Get(Ok(item))) => self.model.get(&item)?,
            Some(Got::Get(Err(GetError::QueueShutDown))) => {
                prop_assert!(self.model.shutdown && self.model.items.is_empty());
            }
            Some(Got::Put(result)) => {
                let index = self.putting.iter().position(|it| it.0 == number);
                let (_, key) = self.putting.remove(index.unwrap());
                match result {
                    Ok(()) => self.model.put(key)?,
                    Err(error) => {
                        prop_assert!(error.cancelled().is_some() || self.model.shutdown);
                        prop_assert_eq!(error.into_item().key(), key);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The n-th of all futures does something.
    fn with_any(
        &mut self,
        which: usize,
        f: impl FnOnce(&mut Hands<'a, Got>, usize) -> Option<Got>,
    ) -> Result<(), TestCaseError> {
        let hands = &mut self.all_hands()[which % 3];
        let Some(number) = hands.pick(which / 3) else {
            return Ok(());
        };
        let got = f(hands, number);
        self.resolved(number, got)
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let queue = self.queue;
        match *step {
            Step::Get => {
                let get = async { Got::Get(queue.get().await) };
                let (number, got) = self.getters.start(get);
                self.resolved(number, got)?;
            }
            Step::GetNowait => match queue.get_nowait() {
                Ok(item) => self.model.get(&item)?,
                Err(error) => {
                    prop_assert!(self.model.items.is_empty());
                    let shutdown = error == GetNowaitError::QueueShutDown;
                    prop_assert_eq!(shutdown, self.model.shutdown);
                }
            },
            Step::Put(priority) => {
                let item = self.item(priority);
                let key = item.key();
                let put = async { Got::Put(queue.put(item).await) };
                let (number, got) = self.putters.start(put);
                self.putting.push((number, key));
                self.resolved(number, got)?;
            }
            Step::PutNowait(priority) => {
                let item = self.item(priority);
                let key = item.key();
                match queue.put_nowait(item) {
                    Ok(()) => self.model.put(key)?,
                    Err(PutNowaitError::QueueShutDown(item)) => {
                        prop_assert!(self.model.shutdown && item.key() == key);
                    }
                    Err(PutNowaitError::QueueFull(item)) => {
                        prop_assert!(self.model.full() && item.key() == key);
                    }
                }
            }
            Step::TaskDone => {
                prop_assert_eq!(queue.task_done().is_ok(), self.model.unfinished > 0);
                self.model.unfinished = self.model.unfinished.saturating_sub(1);
            }
            Step::Join => {
                let join = async { queue.join().await.map_or(Got::Join, |()| Got::Join) };
                let (_, got) = self.joiners.start(join);
                prop_assert_eq!(got.is_some(), self.model.unfinished == 0);
            }
            Step::Shutdown(immediate) => {
                queue.shutdown(immediate);
                self.model.shutdown = true;
                if immediate {
                    let dropped = self.model.items.drain(..).count();
                    self.model.unfinished = self.model.unfinished.saturating_sub(dropped);
                }
            }
            Step::Poll(which) => self.with_any(which, |hands, number| hands.poll(number))?,
            Step::PollWoken(which) => {
                let hands = &mut self.all_hands()[which % 3];
                if let Some(number) = hands.pick_woken(which / 3) {
                    let got = hands.poll(number);
                    self.resolved(number, got)?;
                }
            }
            Step::Cancel(which) => self.with_any(which, |hands, number| {
                hands.cancel(number);
                None
            })?,
            Step::Drop(which) => {
                self.with_any(which, |hands, number| {
                    hands.remove(number);
                    None
                })?;
                let putters = self.putters.line();
                self.putting.retain(|it| putters.contains(&it.0));
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), TestCaseError> {
        while self.all_hands().iter().any(|it| it.pick_woken(0).is_some()) {
            for hands in 0..3 {
                self.step(&Step::PollWoken(hands))?;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.queue.qsize(), self.model.items.len());
        prop_assert_eq!(self.queue.full(), self.model.full());
        prop_assert_eq!(self.queue.unfinished_tasks(), self.model.unfinished);
        prop_assert_eq!(
            self.alive.get(),
            self.model.items.len() + self.putting.len()
        );
        prop_assert!(self.all_hands().iter().all(|hands| hands.is_fair()));
        Ok(())
    }

    /// Nobody was woken and did not go on. Then nobody waits without a reason.
    fn check_quiet(&mut self) -> Result<(), TestCaseError> {
        let empty = self.model.items.is_empty();
        prop_assert!(self.getters.len() == 0 || empty && !self.model.shutdown);
        prop_assert!(self.putters.len() == 0 || self.model.full() && !self.model.shutdown);
        prop_assert!(self.joiners.len() == 0 || self.model.unfinished > 0);
        Ok(())
    }
}

fn check<O: Order<Item = Item>>(
    program: &[Step],
    maxsize: usize,
    next: Next,
) -> Result<(), TestCaseError> {
    let queue = BaseQueue::<O>::new(maxsize);
    let mut run = Run {
        queue: &queue,
        model: Model {
            maxsize,
            items: Vec::new(),
            next,
            unfinished: 0,
            shutdown: false,
        },
        getters: Hands::new(),
        putters: Hands::new(),
        putting: Vec::new(),
        joiners: Hands::new(),
        made: 0,
        alive: Rc::default(),
    };
    for step in program {
        run.step(step)?;
        run.check()?;
    }
    run.settle()?;
    run.check_quiet()?;
    // Shut down, all go.
    run.step(&Step::Shutdown(true))?;
    while run.queue.task_done().is_ok() {
        run.model.unfinished -= 1;
    }
    run.settle()?;
    run.check()?;
    let left = run.all_hands().map(|hands| hands.len());
    prop_assert_eq!((left, run.alive.get()), ([0; 3], 0));
    Ok(())
}

proptest! {
    #[test]
    fn first_in_first_out(program in programs(), maxsize in 0..4usize) {
        check::<Fifo<Item>>(&program, maxsize, |items| (!items.is_empty()).then_some(0))?;
    }

    #[test]
    fn last_in_first_out(program in programs(), maxsize in 0..4usize) {
        check::<Lifo<Item>>(&program, maxsize, |items| items.len().checked_sub(1))?;
    }

    #[test]
    fn the_smallest_first(program in programs(), maxsize in 0..4usize) {
        let smallest: Next = |items| {
            (0..items.len()).min_by_key(|&index| items[index])
        };
        check::<Smallest<Item>>(&program, maxsize, smallest)?;
    }
}
