//! A job: one entry of the ready queue.
//!
//! Whatever a loop can be asked to do later (a callback, one step of a task, the
//! completion of an I/O request) is a data pointer and a static table of what can be
//! done with it, like [`std::task::RawWaker`]. So scheduling allocates nothing, looks
//! nothing up, and crosses the border of a shared object unchanged.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::rc::Rc;

/// What the loop does after a job.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on with the turn.
    Continue = 0,
    /// Leave the turn right after this job. What is queued stays queued, in order.
    Stop = 1,
}

/// What can be done with a job's data.
///
/// None of the functions may unwind. `run` and `drop` may call back into the loop;
/// `clone` may not.
#[repr(C)]
#[derive(Debug)]
pub struct JobVTable {
    /// Runs the job. Consumes the data.
    pub run: unsafe extern "C" fn(data: *mut ()) -> Flow,
    /// Gives the job up without running it. Consumes the data.
    pub drop: unsafe extern "C" fn(data: *mut ()),
    /// Makes one more owner of the same data. Readers and writers need it, because they
    /// fire many times.
    pub clone: unsafe extern "C" fn(data: *mut ()),
}

/// One entry of the ready queue: 16 bytes, owned.
///
/// Dropping a job that has not run calls [`JobVTable::drop`].
#[repr(C)]
pub struct Job {
    data: *mut (),
    vtable: &'static JobVTable,
}

// The layout is part of `LoopAbi`, and `Option<Job>` must not cost a word more.
const _: () = assert!(mem::size_of::<Job>() == 2 * mem::size_of::<usize>());
const _: () = assert!(mem::size_of::<Option<Job>>() == mem::size_of::<Job>());

impl Job {
    /// Makes a job.
    ///
    /// # Safety
    ///
    /// `data` must be what the functions of `vtable` expect, one ownership of it passes to
    /// the job, and none of the functions may unwind. The job runs, or is dropped, on the
    /// thread of the loop that it is given to.
    #[inline]
    pub const unsafe fn new(data: *mut (), vtable: &'static JobVTable) -> Job {
        Job { data, vtable }
    }

    /// Makes a job of a closure, at the cost of one allocation.
    ///
    /// A panic in the closure aborts the process, for there is nobody here to hand it to.
    /// Cloning the job shares the closure: the first clone that runs consumes it, and the
    /// others do nothing. For a reader or writer use [`Job::from_fn_mut`].
    pub fn from_fn(f: impl FnOnce() + 'static) -> Job {
        let mut f = Some(f);
        Job::from_fn_mut(move || {
            if let Some(f) = f.take() {
                f();
            }
        })
    }

    /// Makes a job of a closure that can run as often as the job is cloned, at the cost of one
    /// allocation.
    ///
    /// A panic in the closure aborts the process. Running a clone from inside the closure
    /// itself does nothing.
    pub fn from_fn_mut<F: FnMut() + 'static>(f: F) -> Job {
        let cell = Rc::new(Cell::new(Some(f)));
        // SAFETY: the table is the one for what `Rc::into_raw` gives for a `Cell<Option<F>>`.
        unsafe { Job::new(Rc::into_raw(cell).cast_mut().cast(), Closure::<F>::TABLE) }
    }

    /// Runs the job.
    #[inline]
    pub fn run(self) -> Flow {
        let (data, vtable) = self.into_raw();
        // SAFETY: `new` promised that the data suits the table; `into_raw` gave the ownership up.
        unsafe { (vtable.run)(data) }
    }

    /// The job's data, still owned by the job.
    #[inline]
    pub fn data(&self) -> *mut () {
        self.data
    }

    /// What can be done with the data. Its address tells what kind of job this is.
    #[inline]
    pub fn vtable(&self) -> &'static JobVTable {
        self.vtable
    }

    /// Takes the job apart. The caller owns the data, and [`Job::new`] puts it together again.
    #[inline]
    pub fn into_raw(self) -> (*mut (), &'static JobVTable) {
        let parts = (self.data, self.vtable);
        mem::forget(self);
        parts
    }
}

impl Clone for Job {
    #[inline]
    fn clone(&self) -> Job {
        // SAFETY: `self` owns the data, so it is alive.
        unsafe { (self.vtable.clone)(self.data) };
        Job {
            data: self.data,
            vtable: self.vtable,
        }
    }
}

impl Drop for Job {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `self` owns the data and nobody can reach it any more.
        unsafe { (self.vtable.drop)(self.data) }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

/// The functions for an `Rc<Cell<Option<F>>>`. The closure is taken out while it runs, so that
/// one that runs a clone of itself finds nothing.
struct Closure<F>(PhantomData<F>);

impl<F: FnMut() + 'static> Closure<F> {
    const TABLE: &'static JobVTable = &JobVTable {
        run: Self::run,
        drop: Self::drop,
        clone: Self::clone,
    };

    unsafe extern "C" fn run(data: *mut ()) -> Flow {
        // SAFETY: `data` is one ownership of the `Rc` that `from_fn_mut` made.
        let cell = unsafe { Rc::from_raw(data.cast_const().cast::<Cell<Option<F>>>()) };
        if let Some(mut f) = cell.take() {
            f();
            cell.set(Some(f));
        }
        Flow::Continue
    }

    unsafe extern "C" fn drop(data: *mut ()) {
        // SAFETY: `data` is one ownership of the `Rc` that `from_fn_mut` made.
        drop(unsafe { Rc::from_raw(data.cast_const().cast::<Cell<Option<F>>>()) });
    }

    unsafe extern "C" fn clone(data: *mut ()) {
        // SAFETY: `data` comes from `Rc::into_raw` and the caller holds one ownership of it.
        unsafe { Rc::increment_strong_count(data.cast_const().cast::<Cell<Option<F>>>()) };
    }
}
