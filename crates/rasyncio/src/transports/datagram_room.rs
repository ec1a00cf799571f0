//! Who is waited for when a datagram cannot be sent.

use std::cell::{Cell, RefCell};
use std::io;

use rasyncio_engine::{Direction, Job};

use super::datagram_address::sealed::Address;
use crate::net::{Obstacle, Room};

/// What is in the way of the first datagram that waits.
pub(super) struct Blocked<A> {
    obstacle: Cell<Obstacle>,
    /// Borrowed for no call of foreign code.
    receiver: RefCell<Option<Receiver<A>>>,
}

/// One that the socket is not connected to.
struct Receiver<A> {
    address: A,
    room: Room,
    watched: bool,
}

impl<A: Address> Blocked<A> {
    pub(super) fn new() -> Blocked<A> {
        Blocked {
            obstacle: Cell::new(Obstacle::Sender),
            receiver: RefCell::new(None),
        }
    }

    /// A datagram that goes to `to` would block.
    ///
    /// # Errors
    ///
    /// It cannot be sent at all.
    pub(super) fn note(&self, socket: &A::Socket, to: Option<&A>) -> io::Result<()> {
        let mut obstacle = Obstacle::Sender;
        if let Some(to) = to {
            let mut receiver = self.receiver.borrow_mut();
            if !receiver.as_ref().is_some_and(|it| it.address.is(to)) {
                *receiver = to.room()?.map(|room| Receiver {
                    address: to.clone(),
                    room,
                    watched: false,
                });
            }
            if let Some(receiver) = &*receiver {
                obstacle = receiver.room.obstacle(socket)?;
            }
        }
        self.obstacle.set(obstacle);
        Ok(())
    }

    pub(super) fn obstacle(&self) -> Obstacle {
        self.obstacle.get()
    }

    /// Has `job` run whenever the receiver has room, if it is the receiver who has none.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(super) fn watch(&self, job: impl FnOnce() -> Job) -> io::Result<()> {
        let mut receiver = self.receiver.borrow_mut();
        let Some(receiver) = &mut *receiver else {
            return Ok(());
        };
        let Some(registration) = receiver.room.registration() else {
            return Ok(());
        };
        registration.source().blocked(Direction::Write);
        if !receiver.watched {
            registration.watch(Direction::Write, job())?;
            receiver.watched = true;
        }
        Ok(())
    }

    /// Nothing waits any more.
    pub(super) fn clear(&self) {
        let receiver = self.receiver.take();
        drop(receiver);
    }
}
