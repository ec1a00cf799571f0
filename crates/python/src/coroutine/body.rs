//! What a coroutine runs: the future of one coroutine function, and what can be done with it.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pyo3::ffi::PyObject;

use super::object::CoroutineObject;
use super::slots::Slots;
use crate::object::Res;

/// What an object's size is counted in.
pub(super) const ITEM: usize = 16;

/// What can be done with the future of one coroutine function.
pub(super) struct Body {
    /// Completes without a future, if it can.
    pub(super) at_once: Option<unsafe fn(*mut CoroutineObject) -> Option<Res>>,
    /// Makes the future in its place.
    pub(super) start: unsafe fn(*mut CoroutineObject, *mut u8),
    pub(super) poll: unsafe fn(*mut u8, &mut Context<'_>) -> Poll<Res>,
    pub(super) drop: unsafe fn(*mut u8),
    /// From the end of the header.
    pub(super) offset: usize,
    pub(super) slots: usize,
}

pub(super) struct Layout<F, Q, Fut, const N: usize>(core::marker::PhantomData<(F, Q, Fut)>);

impl<F, Q, Fut, const N: usize> Layout<F, Q, Fut, N>
where
    F: FnOnce(Slots<N>) -> Fut + Copy + 'static,
    Q: FnOnce(Slots<N>) -> Option<Res> + Copy + 'static,
    Fut: Future<Output = Res> + 'static,
{
    const OFFSET: usize = (N * size_of::<*mut PyObject>()).next_multiple_of(ITEM);
    pub(super) const ITEMS: usize = (Self::OFFSET + size_of::<Fut>()).div_ceil(ITEM);
    pub(super) const BODY: Body = Body {
        at_once: None,
        start: start::<F, Fut, N>,
        poll: poll::<Fut>,
        drop: drop_body::<Fut>,
        offset: Self::OFFSET,
        slots: {
            assert!(align_of::<Fut>() <= ITEM, "the allocator aligns no further");
            N
        },
    };
    pub(super) const BODY_AT_ONCE: Body = Body {
        at_once: Some(at_once::<Q, N>),
        ..Self::BODY
    };
}

/// A function or closure that captures nothing, out of thin air.
pub(super) fn conjure<F: Copy>() -> F {
    const {
        assert!(size_of::<F>() == 0, "what a body needs is in its slots");
    }
    // SAFETY: it has no size, and a value of the type existed when the coroutine was made: this
    // is a copy of it.
    unsafe { core::ptr::NonNull::<F>::dangling().read() }
}

unsafe fn at_once<Q, const N: usize>(object: *mut CoroutineObject) -> Option<Res>
where
    Q: FnOnce(Slots<N>) -> Option<Res> + Copy,
{
    conjure::<Q>()(Slots(object))
}

unsafe fn start<F, Fut, const N: usize>(object: *mut CoroutineObject, future: *mut u8)
where
    F: FnOnce(Slots<N>) -> Fut + Copy,
{
    // SAFETY: room for the future, and nothing there yet, says the caller.
    unsafe { future.cast::<Fut>().write(conjure::<F>()(Slots(object))) }
}

unsafe fn poll<Fut: Future<Output = Res>>(future: *mut u8, cx: &mut Context<'_>) -> Poll<Res> {
    // SAFETY: a live `Fut` that stays where it is until it is dropped there.
    unsafe { Pin::new_unchecked(&mut *future.cast::<Fut>()).poll(cx) }
}

unsafe fn drop_body<Fut>(future: *mut u8) {
    // SAFETY: a live `Fut`, not used again.
    unsafe { future.cast::<Fut>().drop_in_place() }
}
