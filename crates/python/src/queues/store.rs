//! Where a queue's items are.
//!
//! A plain `Queue` keeps them in Rust until somebody asks for `_queue`: then they move into a
//! real deque, for good. The other two have a real list from the start. Where a class overrides
//! `_get`, `_put`, `empty`, `full` or `qsize`, these are called by name.

use core::cell::{Cell, RefCell};
use core::ptr;
use std::collections::VecDeque;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::queues::Store;

use super::{is_ours, kind_of};
use crate::global::Global;
use crate::locks::bound::Bound;
use crate::names::names;
use crate::object::{Raised, Ref, Res, call_method, check, import, raise, set_slot};

/// The order in which items come out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Fifo,
    Lifo,
    Priority,
}

/// How many items there may be.
#[derive(Clone, Copy)]
enum Limit {
    None,
    Items(usize),
    /// `_maxsize` is no number: comparing says what comes of it.
    Object,
}

pub(super) struct PyStore {
    /// The queue around this, which owns it.
    owner: Cell<*mut PyObject>,
    /// Its class, if that was one of ours. NULL otherwise.
    plain_class: Cell<*mut PyTypeObject>,
    kind: Cell<Kind>,
    limit: Cell<Limit>,
    maxsize: Cell<*mut PyObject>,
    /// The items, while there is no `_queue`.
    items: RefCell<VecDeque<Ref>>,
    /// `_queue`, or NULL.
    shown: Cell<*mut PyObject>,
}

struct Imported {
    deque: Ref,
    heappush: Ref,
    heappop: Ref,
}

static IMPORTED: Global<Imported> = Global::new();

impl PyStore {
    pub(super) fn new() -> PyStore {
        PyStore {
            owner: Cell::new(ptr::null_mut()),
            plain_class: Cell::new(ptr::null_mut()),
            kind: Cell::new(Kind::Fifo),
            limit: Cell::new(Limit::None),
            maxsize: Cell::new(ptr::null_mut()),
            items: RefCell::new(VecDeque::new()),
            shown: Cell::new(ptr::null_mut()),
        }
    }

    /// Whose items these are.
    pub(super) unsafe fn belong_to(&self, owner: *mut PyObject) {
        self.owner.set(owner);
        // SAFETY: a queue, says the caller.
        let class = unsafe { ffi::Py_TYPE(owner) };
        let plain = is_ours(class);
        self.plain_class
            .set(if plain { class } else { ptr::null_mut() });
        self.kind.set(kind_of(class));
    }

    /// Whether nothing is overridden: the class is one of ours, and no attribute of the instance
    /// hides a method.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        let owner = self.owner.get();
        // SAFETY: the owner is alive as long as its store.
        unsafe {
            ffi::Py_TYPE(owner) == self.plain_class.get() && (*owner.cast::<Bound>()).dict.is_null()
        }
    }

    /// `maxsize`, borrowed; NULL before `__init__`.
    pub(super) fn maxsize(&self) -> *mut PyObject {
        self.maxsize.get()
    }

    /// `_maxsize = value`
    pub(super) fn set_maxsize(&self, value: Ref) {
        // SAFETY: alive.
        self.limit.set(unsafe { limit_of(value.ptr()) });
        set_cell(&self.maxsize, Some(value));
    }

    /// `_init()` of each of our classes.
    pub(super) fn start(&self, kind: Kind) -> Res<()> {
        self.kind.set(kind);
        let shown = match kind {
            Kind::Fifo => None,
            Kind::Lifo | Kind::Priority => Some(Ref::list()?),
        };
        self.show(shown);
        Ok(())
    }

    /// `_queue = value`: whatever was there is gone.
    pub(super) fn show(&self, value: Option<Ref>) {
        let items = self.items.take();
        set_cell(&self.shown, value);
        drop(items);
    }

    /// `_queue`
    pub(super) fn shown(&self) -> Res {
        // SAFETY: owned by the cell.
        if let Some(shown) = unsafe { Ref::borrow_opt(self.shown.get()) } {
            return Ok(shown);
        }
        let deque = IMPORTED.get().deque.call0()?;
        // Making room may run the collector, and that anything: so one by one.
        loop {
            let item = self.items.borrow_mut().pop_front();
            let Some(item) = item else { break };
            deque.call_method(names().append, &[item.ptr()])?;
        }
        set_cell(&self.shown, Some(deque.clone()));
        Ok(deque)
    }

    /// `list(self._queue)`
    pub(super) fn list(&self) -> Res {
        // SAFETY: alive; the cell owns it.
        unsafe {
            if let Some(shown) = Ref::borrow_opt(self.shown.get()) {
                return Ref::checked(ffi::PySequence_List(shown.ptr()));
            }
            let items: Vec<Ref> = self.items.borrow().iter().cloned().collect();
            let pointers: Vec<*mut PyObject> = items.iter().map(Ref::ptr).collect();
            Ref::checked(ffi::PySequence_List(Ref::tuple(&pointers)?.ptr()))
        }
    }

    /// `len(self._queue)`
    #[inline]
    pub(super) fn len(&self) -> Res<usize> {
        let shown = self.shown.get();
        if shown.is_null() {
            return Ok(self.items.borrow().len());
        }
        // SAFETY: owned by the cell; held over the call.
        let len = unsafe { ffi::PyObject_Size(Ref::borrow(shown).ptr()) };
        usize::try_from(len).map_err(|_| Raised::set())
    }

    /// `not self._queue`
    #[inline]
    pub(super) fn has_none(&self) -> Res<bool> {
        let shown = self.shown.get();
        if shown.is_null() {
            return Ok(self.items.borrow().is_empty());
        }
        // SAFETY: owned by the cell; held over the call.
        Ok(!unsafe { Ref::borrow(shown) }.truth()?)
    }

    /// Whether there are as many items as there may be.
    #[inline]
    pub(super) fn has_all(&self) -> Res<bool> {
        match self.limit.get() {
            Limit::None => Ok(false),
            Limit::Items(most) => Ok(self.size()? >= most),
            Limit::Object => self.compare(),
        }
    }

    /// `self.qsize()`
    #[inline]
    fn size(&self) -> Res<usize> {
        if self.is_plain() {
            return self.len();
        }
        let owner = self.owner.get();
        // SAFETY: the owner is alive as long as its store.
        unsafe {
            let size = call_method(owner, names().qsize, &[])?;
            let count = ffi::PyLong_AsSsize_t(size.ptr());
            if count == -1 && !ffi::PyErr_Occurred().is_null() {
                return Err(Raised::set());
            }
            Ok(count.max(0) as usize)
        }
    }

    #[cold]
    fn compare(&self) -> Res<bool> {
        // SAFETY: owned by the cell, or None; held over the calls.
        unsafe {
            let maxsize = Ref::borrow_opt(self.maxsize.get()).unwrap_or_else(Ref::none);
            let zero = Ref::int(0)?;
            let compared = ffi::PyObject_RichCompare(maxsize.ptr(), zero.ptr(), ffi::Py_LE);
            if Ref::checked(compared)?.truth()? {
                return Ok(false);
            }
            let size = Ref::int(self.size()? as i64)?;
            let compared = ffi::PyObject_RichCompare(size.ptr(), maxsize.ptr(), ffi::Py_GE);
            Ref::checked(compared)?.truth()
        }
    }

    /// `_put` of our classes.
    #[inline]
    pub(super) fn push(&self, kind: Kind, item: Ref) -> Res<()> {
        let shown = self.shown.get();
        if shown.is_null() && kind == Kind::Fifo {
            self.items.borrow_mut().push_back(item);
            return Ok(());
        }
        let shown = self.shown()?;
        // SAFETY: alive.
        unsafe {
            if kind == Kind::Priority {
                return IMPORTED
                    .get()
                    .heappush
                    .call(&[shown.ptr(), item.ptr()])
                    .map(drop);
            }
            if ffi::PyList_CheckExact(shown.ptr()) != 0 {
                return check(ffi::PyList_Append(shown.ptr(), item.ptr()));
            }
        }
        shown.call_method(names().append, &[item.ptr()]).map(drop)
    }

    /// `_get` of our classes.
    #[inline]
    pub(super) fn pop(&self, kind: Kind) -> Res {
        let shown = self.shown.get();
        if shown.is_null() && kind == Kind::Fifo {
            let item = self.items.borrow_mut().pop_front();
            // SAFETY: a static exception class.
            return item
                .ok_or_else(|| unsafe { raise(ffi::PyExc_IndexError, "pop from an empty deque") });
        }
        let shown = self.shown()?;
        match kind {
            Kind::Priority => IMPORTED.get().heappop.call1(shown.ptr()),
            Kind::Lifo => pop_last(&shown),
            Kind::Fifo => shown.call_method(names().popleft, &[]),
        }
    }

    /// For the collector. Should the items be borrowed, nothing is shown.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(*mut PyObject)) {
        visit(self.maxsize.get());
        visit(self.shown.get());
        if let Ok(items) = self.items.try_borrow() {
            items.iter().for_each(|item| visit(item.ptr()));
        }
    }

    pub(super) fn clear(&self) {
        self.show(None);
        set_cell(&self.maxsize, None);
    }
}

/// `queue.pop()`
fn pop_last(queue: &Ref) -> Res {
    // SAFETY: alive; a list's last item, which is there, is taken out by a slice of it.
    unsafe {
        if ffi::PyList_CheckExact(queue.ptr()) != 0 {
            let len = ffi::PyList_GET_SIZE(queue.ptr());
            if len > 0 {
                let last = Ref::borrow(ffi::PyList_GET_ITEM(queue.ptr(), len - 1));
                check(ffi::PyList_SetSlice(
                    queue.ptr(),
                    len - 1,
                    len,
                    ptr::null_mut(),
                ))?;
                return Ok(last);
            }
        }
    }
    queue.call_method(names().pop, &[])
}

fn set_cell(cell: &Cell<*mut PyObject>, value: Option<Ref>) {
    // SAFETY: the cell owns what it holds.
    unsafe { set_slot(cell.as_ptr(), value.map_or(ptr::null_mut(), Ref::into_ptr)) };
}

unsafe fn limit_of(maxsize: *mut PyObject) -> Limit {
    // SAFETY: alive, says the caller.
    unsafe {
        if ffi::PyLong_Check(maxsize) != 0 {
            let mut overflow = 0;
            let items = ffi::PyLong_AsLongLongAndOverflow(maxsize, &mut overflow);
            return match (overflow, usize::try_from(items)) {
                (1, _) => Limit::Items(usize::MAX),
                (0, Ok(items)) if items > 0 => Limit::Items(items),
                _ => Limit::None,
            };
        }
        if ffi::PyFloat_Check(maxsize) != 0 {
            let items = ffi::PyFloat_AS_DOUBLE(maxsize);
            // No size reaches NaN or infinity.
            return if items > 0.0 && items.is_finite() {
                Limit::Items(items.ceil() as usize)
            } else {
                Limit::None
            };
        }
        Limit::Object
    }
}

impl Store for PyStore {
    type Item = Ref;
    type Error = Raised;

    #[inline]
    fn is_empty(&self) -> Res<bool> {
        if self.is_plain() {
            return self.has_none();
        }
        // SAFETY: the owner is alive as long as its store.
        unsafe { call_method(self.owner.get(), names().empty, &[])?.truth() }
    }

    #[inline(always)]
    fn is_full(&self) -> Res<bool> {
        match self.limit.get() {
            Limit::None if self.is_simple() => Ok(false),
            Limit::Items(most) if self.is_simple() => Ok(self.items.borrow().len() >= most),
            _ => self.is_full_elsewhere(),
        }
    }

    #[inline(always)]
    fn put(&self, item: Ref) -> Res<()> {
        if self.is_simple() {
            self.items.borrow_mut().push_back(item);
            return Ok(());
        }
        self.put_elsewhere(item)
    }

    #[inline(always)]
    fn get(&self) -> Res<Option<Ref>> {
        if self.is_simple() {
            return Ok(self.items.borrow_mut().pop_front());
        }
        self.get_elsewhere()
    }
}

/// What is not simple.
impl PyStore {
    /// Whether nothing is overridden, and the items are in `items`: most queues.
    #[inline]
    fn is_simple(&self) -> bool {
        self.is_plain() && self.shown.get().is_null() && self.kind.get() == Kind::Fifo
    }

    #[inline(never)]
    fn is_full_elsewhere(&self) -> Res<bool> {
        if self.is_plain() {
            return self.has_all();
        }
        // SAFETY: the owner is alive as long as its store.
        unsafe { call_method(self.owner.get(), names().full, &[])?.truth() }
    }

    #[inline(never)]
    fn put_elsewhere(&self, item: Ref) -> Res<()> {
        if self.is_plain() {
            return self.push(self.kind.get(), item);
        }
        // SAFETY: as above.
        unsafe { call_method(self.owner.get(), names()._put, &[item.ptr()]).map(drop) }
    }

    #[inline(never)]
    fn get_elsewhere(&self) -> Res<Option<Ref>> {
        if self.is_plain() {
            if self.has_none()? {
                return Ok(None);
            }
            return self.pop(self.kind.get()).map(Some);
        }
        let owner = self.owner.get();
        // SAFETY: as above.
        unsafe {
            if call_method(owner, names().empty, &[])?.truth()? {
                return Ok(None);
            }
            call_method(owner, names()._get, &[]).map(Some)
        }
    }
}

/// Imports what items are kept in and ordered by.
pub(super) unsafe fn init() -> Res<()> {
    let from = |module, name| import(module)?.attr(Ref::str(name)?.ptr());
    let imported = Imported {
        deque: from(c"collections", "deque")?,
        heappush: from(c"heapq", "heappush")?,
        heappop: from(c"heapq", "heappop")?,
    };
    // SAFETY: once, before any reader, says the caller.
    unsafe { IMPORTED.set(imported) };
    Ok(())
}
