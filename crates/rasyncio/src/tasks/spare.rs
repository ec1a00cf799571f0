//! The memory of tasks that have ended, for those to come: a task costs an allocator more than all the
//! rest of its life costs us.
//!
//! What is kept belongs to the loop and is never more than a burst. A debug build keeps nothing, so
//! that AddressSanitizer sees what is freed.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::array;
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// Sizes differ by as much as glibc's do, and are a word less than multiples of it, which is the word
/// that it takes itself.
const UNIT: usize = 16;
const LESS: usize = 8;
/// Tasks with more than 500 bytes are left to the allocator.
const CLASSES: usize = 32;
/// How many of a size are kept, if any are.
const MOST: u32 = 1024;
const KEEPS: bool = !cfg!(debug_assertions);

pub(crate) struct Spare([Class; CLASSES]);

/// What is kept of one size: a list through the memory itself.
struct Class {
    first: Cell<*mut Link>,
    count: Cell<u32>,
}

struct Link {
    next: *mut Link,
}

/// The number of a size.
#[inline]
fn class(layout: Layout) -> Option<usize> {
    let number = (layout.size() + LESS).div_ceil(UNIT);
    (layout.align() <= UNIT && number < CLASSES).then_some(number)
}

/// What is allocated for all sizes of that number.
#[inline]
fn layout_of(number: usize) -> Layout {
    let size = number * UNIT - LESS;
    // SAFETY: `UNIT` is a power of two, and the size is small.
    unsafe { Layout::from_size_align_unchecked(size, UNIT) }
}

#[inline]
fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: a task is never empty.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

impl Spare {
    pub(crate) fn new() -> Spare {
        Spare(array::from_fn(|_| Class {
            first: Cell::new(ptr::null_mut()),
            count: Cell::new(0),
        }))
    }

    /// Memory for a task of that layout, which is not empty.
    #[inline]
    pub(super) fn take(&self, layout: Layout) -> NonNull<u8> {
        let Some(number) = class(layout) else {
            return allocate(layout);
        };
        let class = &self.0[number];
        let Some(first) = NonNull::new(class.first.get()) else {
            return allocate(layout_of(number));
        };
        // SAFETY: what is in the list is ours, and begins with a link.
        class.first.set(unsafe { first.read() }.next);
        class.count.set(class.count.get() - 1);
        first.cast()
    }

    /// Takes memory back.
    ///
    /// # Safety
    ///
    /// It comes from `take`, of whatever loop, with that layout, and nobody uses it any more.
    #[inline]
    pub(super) unsafe fn give(&self, memory: NonNull<u8>, layout: Layout) {
        if let Some(number) = class(layout) {
            let class = &self.0[number];
            if KEEPS && class.count.get() < MOST {
                let link = memory.cast::<Link>();
                let next = class.first.replace(link.as_ptr());
                // SAFETY: the memory is ours, and all sizes have room for a link and its alignment.
                unsafe { link.write(Link { next }) };
                class.count.set(class.count.get() + 1);
                return;
            }
        }
        // SAFETY: as the caller says.
        unsafe { Spare::free(memory, layout) };
    }

    /// Gives memory back to the allocator. On any thread.
    ///
    /// # Safety
    ///
    /// As for [`Spare::give`].
    pub(super) unsafe fn free(memory: NonNull<u8>, layout: Layout) {
        let layout = class(layout).map_or(layout, layout_of);
        // SAFETY: `take` has allocated it with this very layout.
        unsafe { dealloc(memory.as_ptr(), layout) };
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        for (number, class) in self.0.iter().enumerate() {
            while let Some(first) = NonNull::new(class.first.get()) {
                // SAFETY: what is in the list is ours, begins with a link, and was allocated with
                // the layout of its class.
                unsafe {
                    class.first.set(first.read().next);
                    dealloc(first.as_ptr().cast(), layout_of(number));
                }
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_for_what_is_about_as_large() {
        let spare = Spare::new();
        let (small, large) = (Layout::new::<[u64; 12]>(), Layout::new::<[u64; 13]>());
        assert_eq!(layout_of(class(small).unwrap()).size(), large.size());
        let memory = spare.take(small);
        // SAFETY: taken with that layout, just now.
        unsafe { spare.give(memory, small) };
        let again = spare.take(large);
        if KEEPS {
            assert_eq!(again, memory);
        }
        // SAFETY: as above.
        unsafe { spare.give(again, large) };
    }

    #[test]
    fn what_is_large_or_aligned_to_much_goes_to_the_allocator() {
        #[repr(align(64))]
        struct Aligned;
        let spare = Spare::new();
        for layout in [Layout::new::<[u64; 100]>(), Layout::new::<(Aligned, u8)>()] {
            let memory = spare.take(layout);
            assert_eq!(memory.as_ptr().addr() % layout.align(), 0);
            // SAFETY: taken with that layout, just now.
            unsafe { spare.give(memory, layout) };
        }
        assert!(spare.0.iter().all(|class| class.count.get() == 0));
    }
}
