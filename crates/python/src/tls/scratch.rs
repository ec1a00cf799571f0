//! Memory that decrypted data passes through on its way to the application.
//!
//! The `ssl` module lets other threads run while it decrypts, and they may decrypt as well. So one
//! block is kept for whoever comes first, and another one is made when it is out. Views of it are given
//! to the module's own functions only, which do not keep them.

use core::cell::RefCell;

use pyo3::ffi;

use crate::object::{Ref, Res};

/// As much as a socket's transport reads at once.
pub(super) const SIZE: usize = 256 * 1024;

/// A block, and a `memoryview` of all of it, which saves making one for each read.
struct Block {
    memory: Box<[u8]>,
    view: Ref,
}

struct Kept(RefCell<Option<Block>>);

// SAFETY: used with the GIL held only (crate invariant, see `object.rs`).
unsafe impl Sync for Kept {}

static KEPT: Kept = Kept(RefCell::new(None));

/// A block that is in use. It goes back when it is dropped.
pub(super) struct Scratch(Option<Block>);

impl Scratch {
    pub(super) fn take() -> Res<Scratch> {
        if let Some(block) = KEPT.0.take() {
            return Ok(Scratch(Some(block)));
        }
        let mut memory = vec![0; SIZE].into_boxed_slice();
        // SAFETY: the memory stays where it is, and lives as long as the view: nobody else sees it.
        let view = unsafe { view(memory.as_mut_ptr(), SIZE)? };
        Ok(Scratch(Some(Block { memory, view })))
    }

    fn block(&mut self) -> &mut Block {
        // It is taken by drop alone.
        match &mut self.0 {
            Some(block) => block,
            None => unreachable!("the block is there until the drop"),
        }
    }

    /// A `memoryview` of what is behind the first `from` bytes.
    pub(super) fn view(&mut self, from: usize) -> Res {
        let block = self.block();
        if from == 0 {
            return Ok(block.view.clone());
        }
        let rest = &mut block.memory[from..];
        // SAFETY: as above; whoever asked drops the view before the scratch.
        unsafe { view(rest.as_mut_ptr(), rest.len()) }
    }

    /// The first `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> &[u8] {
        &self.block().memory[..count]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let replaced = KEPT.0.replace(self.0.take());
        drop(replaced);
    }
}

/// A `memoryview` of memory that outlives it.
unsafe fn view(start: *mut u8, len: usize) -> Res<Ref> {
    // SAFETY: memory of that length, says the caller.
    unsafe {
        Ref::checked(ffi::PyMemoryView_FromMemory(
            start.cast(),
            len as ffi::Py_ssize_t,
            ffi::PyBUF_WRITE,
        ))
    }
}
