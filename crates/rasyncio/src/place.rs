//! Where something is in the source, in four bytes.
//!
//! Each task notes where it was created and where it waits. A program's locations lie close
//! together, so the distance to one of them will do; those of other shared objects, which may be
//! too far away, are in a list.

#![allow(unsafe_code)]

use std::fmt;
use std::num::NonZero;
use std::panic::Location;
use std::ptr;
use std::sync::{PoisonError, RwLock};

/// What distances are measured from.
static HERE: &Location<'static> = Location::caller();

/// Locations that are too far away, each once. There are as many as calls in the source at most.
static FAR: RwLock<Vec<&'static Location<'static>>> = RwLock::new(Vec::new());

/// The distance from `HERE` or, with `IS_FAR`, an index of `FAR`: both in units of four.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(NonZero<i32>);

const IS_FAR: i32 = 1;
/// Always set, so that an `Option` takes no more.
const IS_PLACE: NonZero<i32> = NonZero::new(2).unwrap();

// What lets the two bits be.
const _: () = assert!(align_of::<Location<'static>>() >= 4);

impl Place {
    #[inline]
    pub(crate) fn of(location: &'static Location<'static>) -> Place {
        let address = ptr::from_ref(location).expose_provenance();
        let distance = address
            .wrapping_sub(ptr::from_ref(HERE).addr())
            .cast_signed();
        match i32::try_from(distance) {
            Ok(distance) => Place::new(distance),
            Err(_) => Place::far(location),
        }
    }

    #[inline]
    fn new(bits: i32) -> Place {
        Place(IS_PLACE | bits)
    }

    #[cold]
    fn far(location: &'static Location<'static>) -> Place {
        let mut far = FAR.write().unwrap_or_else(PoisonError::into_inner);
        let index = far.iter().position(|known| ptr::eq(*known, location));
        let index = index.unwrap_or_else(|| {
            far.push(location);
            far.len() - 1
        });
        let units = i32::try_from(index << 2).expect("half a billion calls in the source");
        Place::new(units | IS_FAR)
    }

    pub(crate) fn location(self) -> &'static Location<'static> {
        let bits = self.0.get();
        if bits & IS_FAR != 0 {
            let far = FAR.read().unwrap_or_else(PoisonError::into_inner);
            return far[(bits >> 2) as usize];
        }
        let distance = (bits & !IS_PLACE.get()) as isize;
        let address = ptr::from_ref(HERE).addr().wrapping_add_signed(distance);
        // SAFETY: `of` has exposed this very address, of a location that lives for ever.
        unsafe { &*ptr::with_exposed_provenance(address) }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.location(), f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_location_comes_back() {
        for location in [Location::caller(), HERE] {
            assert!(ptr::eq(Place::of(location).location(), location));
        }
    }

    #[test]
    fn one_that_is_far_away_comes_back_and_is_noted_once() {
        let (one, other) = (Location::caller(), Location::caller());
        let places = [one, other, one].map(Place::far);
        assert!(ptr::eq(places[0].location(), one));
        assert!(ptr::eq(places[1].location(), other));
        assert_eq!(places[0], places[2]);
    }
}
