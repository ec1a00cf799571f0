//! Arguments that are given twice.

use core::ptr;

use pyo3::ffi::PyObject;

/// Which arguments were there before: few are compared with each other, many are looked up by
/// their address in a table with open addressing.
pub(super) struct Seen<'a> {
    arguments: &'a [*mut PyObject],
    /// Positions, counted from 1; 0 is a free place. Twice as many as arguments or more.
    table: Vec<u32>,
}

const COMPARED: usize = 8;

impl Seen<'_> {
    pub(super) fn new(arguments: &[*mut PyObject]) -> Seen<'_> {
        let places = if arguments.len() <= COMPARED {
            0
        } else {
            (arguments.len() * 2).next_power_of_two()
        };
        Seen {
            arguments,
            table: vec![0; places],
        }
    }

    /// The position of the same argument before `at`. To be asked for each in turn.
    #[inline]
    pub(super) fn first(&mut self, at: usize) -> Option<usize> {
        let argument = self.arguments[at];
        if self.table.is_empty() {
            return self.arguments[..at]
                .iter()
                .position(|&known| ptr::eq(known, argument));
        }
        let last = self.table.len() - 1;
        let mut place = spread(argument) & last;
        loop {
            match self.table[place] {
                0 => {
                    self.table[place] = at as u32 + 1;
                    return None;
                }
                taken => {
                    let first = taken as usize - 1;
                    if ptr::eq(self.arguments[first], argument) {
                        return Some(first);
                    }
                }
            }
            place = (place + 1) & last;
        }
    }
}

/// Spreads addresses over the table: their low bits are alignment, and no attacker chooses
/// where objects lie.
fn spread(object: *mut PyObject) -> usize {
    (object.addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 32
}
