//! Whether another datagram waits.
//!
//! A poll for each datagram is a system call more than is needed while several wait. So, after one,
//! the next is looked for in the next turn, where the event of a poll would be; or at once, if that turn
//! would do nothing else, as where each datagram is answered on the spot. If the first look after an
//! event finds nothing, as where one question is asked at a time, it is not tried again for a while.

use core::cell::Cell;

/// So many are received in one turn: others want to be looked at, too.
pub(super) const MOST: usize = 16;
/// For so many events at most nothing is tried.
const LONGEST: u8 = 63;

/// What the last look has brought.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Got {
    Datagram,
    Nothing,
    /// An error, or a transport that does not read any more.
    #[default]
    Other,
}

#[derive(Default)]
pub(super) struct Ahead {
    pub(super) got: Cell<Got>,
    /// A look is scheduled, so an event says nothing new.
    scheduled: Cell<bool>,
    /// It comes after an event, not after another look.
    first: Cell<bool>,
    /// How many events are left to be waited for, and how many it will be next time.
    left: Cell<u8>,
    wait: Cell<u8>,
}

impl Ahead {
    pub(super) fn is_scheduled(&self) -> bool {
        self.scheduled.get()
    }

    /// After an event. True: schedule a look.
    pub(super) fn after_event(&self) -> bool {
        if self.got.get() != Got::Datagram {
            return false;
        }
        if self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            return false;
        }
        self.scheduled.set(true);
        self.first.set(true);
        true
    }

    /// A look begins. True: it comes after an event.
    pub(super) fn begins(&self) -> bool {
        self.scheduled.set(false);
        self.got.set(Got::Other);
        self.first.replace(false)
    }

    /// After a look. True: it has brought a datagram, and the next may begin at once.
    pub(super) fn goes_on(&self) -> bool {
        let goes_on = self.got.get() == Got::Datagram;
        if goes_on {
            self.got.set(Got::Other);
            self.wait.set(0);
        }
        goes_on
    }

    /// After a look. True: schedule another.
    pub(super) fn after_look(&self, is_first: bool) -> bool {
        match self.got.get() {
            Got::Datagram => {
                self.wait.set(0);
                self.scheduled.set(true);
                true
            }
            Got::Nothing if is_first => {
                self.wait.set((self.wait.get() * 2 + 1).min(LONGEST));
                self.left.set(self.wait.get());
                false
            }
            Got::Nothing | Got::Other => false,
        }
    }
}
