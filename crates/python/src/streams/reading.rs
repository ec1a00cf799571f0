//! The reader's coroutines.

use core::ptr;

use pyo3::ffi::{self, PyObject};
use rasyncio::streams::reader::Step;
use rasyncio::streams::search::{Overrun, Search, SeparatorError, Separators};

use super::reader::{ReaderObject, pull, raise_failure, resume, settle, take, taken};
use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, await_future, coroutine, coroutine_at_once, finally,
};
use crate::futures;
use crate::global::Global;
use crate::object::{
    Raised, Ref, Res, import, runtime_error, saturating_int, type_error, type_name, value_error,
};

const READER: usize = 0;
const ARGUMENT: usize = 1;
const WAITER: usize = 2;

type ReadSlots = Slots<3>;

struct Errors {
    incomplete: Ref,
    overrun: Ref,
}

static ERRORS: Global<Errors> = Global::new();

macro_rules! defs {
    ($($name:ident = $text:literal;)*) => {
        $(static $name: CoroutineDef = CoroutineDef::method(
            c"<rasyncio.streams>",
            match core::ffi::CStr::from_bytes_with_nul(concat!($text, "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => unreachable!(),
            },
            match core::ffi::CStr::from_bytes_with_nul(concat!("StreamReader.", $text, "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => unreachable!(),
            },
        );)*
    };
}

defs! {
    READ = "read";
    READLINE = "readline";
    READUNTIL = "readuntil";
    READEXACTLY = "readexactly";
    ANEXT = "__anext__";
}

static READ_PARAMETERS: Signature = Signature::required("read", &[]).optional(&["n"]);
static READLINE_PARAMETERS: Signature = Signature::required("readline", &[]);
static READUNTIL_PARAMETERS: Signature =
    Signature::required("readuntil", &[]).optional(&["separator"]);
static READEXACTLY_PARAMETERS: Signature = Signature::required("readexactly", &["n"]);

/// The coroutine methods of `StreamReader`, but for `__anext__`, which is a slot.
pub(super) static METHODS: [&FunctionDef; 4] = [
    &FunctionDef {
        name: c"read",
        module: c"rasyncio.streams",
        doc: c"Return up to n bytes, at least one unless the stream has ended; all up to its end if n is negative.",
        signature: "(self, n=-1)",
        call: read,
    },
    &FunctionDef {
        name: c"readline",
        module: c"rasyncio.streams",
        doc: c"Return one line with its end, or what is left of the stream.",
        signature: "(self)",
        call: readline,
    },
    &FunctionDef {
        name: c"readuntil",
        module: c"rasyncio.streams",
        doc: c"Return everything up to and with a separator, or the first of several in a tuple.",
        signature: "(self, separator=b'\\n')",
        call: readuntil,
    },
    &FunctionDef {
        name: c"readexactly",
        module: c"rasyncio.streams",
        doc: c"Return exactly n bytes. IncompleteReadError if the stream ends before.",
        signature: "(self, n)",
        call: readexactly,
    },
];

unsafe fn held(reader: *mut PyObject, argument: *mut PyObject) -> [Option<Ref>; 3] {
    // SAFETY: alive or NULL, says the caller.
    unsafe { [Some(Ref::borrow(reader)), Ref::borrow_opt(argument), None] }
}

vectorcall!(read, |slf, READ_PARAMETERS [n]| {
    coroutine_at_once(&READ, held(slf, n), read_at_once, read_body)
});
vectorcall!(readuntil, |slf, READUNTIL_PARAMETERS [separator]| {
    coroutine(&READUNTIL, held(slf, separator), readuntil_body)
});
vectorcall!(readexactly, |slf, READEXACTLY_PARAMETERS [n]| {
    coroutine_at_once(&READEXACTLY, held(slf, n), readexactly_at_once, readexactly_body)
});

vectorcall!(readline, |slf, READLINE_PARAMETERS []| {
    coroutine_at_once(&READLINE, held(slf, ptr::null_mut()), readline_at_once, readline_body)
});

pub(super) unsafe extern "C" fn anext(slf: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: the interpreter passes a live instance.
        coroutine(&ANEXT, unsafe { held(slf, ptr::null_mut()) }, anext_body)
    })
}

/// What is here already, if it is as much as is asked for.
fn ready(slots: ReadSlots, ask: impl FnOnce(&super::reader::State) -> Step) -> Option<Res> {
    let reader: *mut ReaderObject = slots.get(READER).cast();
    // SAFETY: the slot keeps the reader alive.
    unsafe {
        let state = ReaderObject::state(reader);
        if state.has_failed() || state.buffered() == 0 {
            return None;
        }
        match ask(state) {
            Step::Ready(count) => Some(take_out(reader, count)),
            _ => None,
        }
    }
}

/// A plain number that is an argument.
fn count(slots: ReadSlots) -> Option<usize> {
    let given = slots.get(ARGUMENT);
    // SAFETY: alive or NULL; no Python code runs for exactly an `int`.
    if given.is_null() || unsafe { ffi::PyLong_CheckExact(given) } == 0 {
        return None;
    }
    saturating_int(given).ok()?.try_into().ok()
}

fn read_at_once(slots: ReadSlots) -> Option<Res> {
    let count = count(slots)?;
    ready(slots, |state| state.read(count))
}

fn readexactly_at_once(slots: ReadSlots) -> Option<Res> {
    let count = count(slots)?;
    ready(slots, |state| state.readexactly(count))
}

fn readline_at_once(slots: ReadSlots) -> Option<Res> {
    ready(slots, |state| {
        state.readuntil(&Separators::newline(), &mut Search::new())
    })
}

async fn read_body(slots: ReadSlots) -> Res {
    let reader: *mut ReaderObject = slots.get(READER).cast();
    let given = slots.get(ARGUMENT);
    // SAFETY: the slot keeps the reader alive.
    unsafe {
        check_failure(reader)?;
        let count = if given.is_null() {
            -1
        } else {
            saturating_int(given)?
        };
        if count == 0 {
            // Without making the transport resume.
            return take(reader, 0);
        }
        let ask = |state: &super::reader::State| match usize::try_from(count) {
            Ok(count) => state.read(count),
            Err(_) => state.read_to_end(),
        };
        loop {
            match ask(ReaderObject::state(reader)) {
                Step::Ready(count) => return take_out(reader, count),
                other => {
                    let seen = ReaderObject::state(reader).buffered();
                    wait(slots, reader, other, "read").await?;
                    // To the end, asyncio reads piece by piece, and each time looks whether the
                    // connection has failed: an end that comes then is none.
                    if count < 0 && ReaderObject::state(reader).buffered() > seen {
                        check_failure(reader)?;
                    }
                }
            }
        }
    }
}

async fn readexactly_body(slots: ReadSlots) -> Res {
    let reader: *mut ReaderObject = slots.get(READER).cast();
    let count = saturating_int(slots.get(ARGUMENT))?;
    let Ok(wanted) = usize::try_from(count) else {
        return Err(value_error("readexactly size can not be less than zero"));
    };
    // SAFETY: the slot keeps the reader alive.
    unsafe {
        check_failure(reader)?;
        loop {
            match ReaderObject::state(reader).readexactly(wanted) {
                Step::Ready(0) => return take(reader, 0),
                Step::Ready(count) => return take_out(reader, count),
                Step::Incomplete(here) => {
                    let expected = Ref::int(count)?;
                    return Err(incomplete(take(reader, here)?, expected));
                }
                other => wait(slots, reader, other, "readexactly").await?,
            }
        }
    }
}

async fn readuntil_body(slots: ReadSlots) -> Res {
    let reader: *mut ReaderObject = slots.get(READER).cast();
    let given = slots.get(ARGUMENT);
    // SAFETY: the slots keep the reader and the separators alive.
    unsafe {
        let mut search = Search::new();
        let mut step = look(reader, given, &mut search, true)?;
        loop {
            match step {
                Step::Ready(count) => return take_out(reader, count),
                Step::Incomplete(here) => return Err(incomplete(take(reader, here)?, Ref::none())),
                Step::Overrun(overrun) => return Err(too_long(overrun)),
                other => wait(slots, reader, other, "readuntil").await?,
            }
            step = look(reader, given, &mut search, false)?;
        }
    }
}

async fn readline_body(slots: ReadSlots) -> Res {
    let reader: *mut ReaderObject = slots.get(READER).cast();
    // SAFETY: the slot keeps the reader alive.
    unsafe { line(slots, reader).await }
}

async fn anext_body(slots: ReadSlots) -> Res {
    let reader: *mut ReaderObject = slots.get(READER).cast();
    // SAFETY: the slot keeps the reader alive; a fresh bytes object.
    unsafe {
        let line = line(slots, reader).await?;
        if ffi::Py_SIZE(line.ptr()) == 0 {
            ffi::PyErr_SetNone(ffi::PyExc_StopAsyncIteration);
            return Err(Raised::set());
        }
        Ok(line)
    }
}

async unsafe fn line(slots: ReadSlots, reader: *mut ReaderObject) -> Res {
    // SAFETY: alive, says the caller.
    unsafe {
        check_failure(reader)?;
        let mut search = Search::new();
        loop {
            let state = ReaderObject::state(reader);
            // Not in the `match`: what it is made of would live through its arms, and waits.
            let step = state.readuntil(&Separators::newline(), &mut search);
            match step {
                Step::Ready(count) => return take_out(reader, count),
                Step::Incomplete(here) => return take(reader, here),
                Step::Overrun(overrun) => {
                    state.skip_line(overrun);
                    taken(reader)?;
                    return Err(value_error(overrun_text(overrun)));
                }
                other => wait(slots, reader, other, "readuntil").await?,
            }
        }
    }
}

/// A reading begins by looking whether the connection has failed.
#[inline]
unsafe fn check_failure(reader: *mut ReaderObject) -> Res<()> {
    // SAFETY: alive, says the caller.
    let state = unsafe { ReaderObject::state(reader) };
    if !state.has_failed() {
        return Ok(());
    }
    match state.exception() {
        Some(exception) => Err(raise_failure(exception)),
        None => Ok(()),
    }
}

#[inline]
unsafe fn take_out(reader: *mut ReaderObject, count: usize) -> Res {
    // SAFETY: alive, says the caller.
    unsafe {
        let bytes = take(reader, count)?;
        taken(reader)?;
        Ok(bytes)
    }
}

/// After a step that is not the end: waits for more, or raises.
async unsafe fn wait(
    slots: ReadSlots,
    reader: *mut ReaderObject,
    step: Step,
    method: &'static str,
) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        if step == Step::Failed {
            check_failure(reader)?;
        }
        // It was left for another one, who has not come yet.
        if pull(reader)? {
            return Ok(());
        }
        let state = ReaderObject::state(reader);
        if state.has_waiter() {
            return Err(runtime_error(&format!(
                "{method}() called while another coroutine is already waiting for incoming data"
            )));
        }
        let loop_ = Ref::borrow_opt((*reader).loop_).unwrap_or_else(Ref::none);
        let waiter = slots.set(WAITER, futures::new_future(loop_.ptr())?);
        drop(loop_);
        (*reader).sleeper = slots.address();
        if state.wait_to_pull(Ref::borrow(waiter)) {
            resume(reader)?;
        }
        let woken = await_future(waiter).await;
        let gives_up = woken.is_err();
        finally(woken, || {
            drop(ReaderObject::state(reader).end_wait());
            if gives_up { settle(reader) } else { Ok(()) }
        })?;
        drop(slots.take(WAITER));
        pull(reader)?;
        Ok(())
    }
}

/// One look for the separators; `first` says that it is the reading's first.
unsafe fn look(
    reader: *mut ReaderObject,
    given: *mut PyObject,
    search: &mut Search,
    first: bool,
) -> Res<Step> {
    // SAFETY: alive or NULL, says the caller; no Python code runs while the bytes are borrowed.
    unsafe {
        let found = |separators: Result<Separators<'_>, SeparatorError>, search: &mut Search| {
            let separators = separators.map_err(|error| {
                value_error(match error {
                    SeparatorError::None => "Separator should contain at least one element",
                    SeparatorError::Empty => "Separator should be at least one-byte string",
                })
            })?;
            if first {
                check_failure(reader)?;
            }
            Ok(ReaderObject::state(reader).readuntil(&separators, search))
        };
        if given.is_null() {
            return found(Ok(Separators::newline()), search);
        }
        if ffi::PyTuple_Check(given) == 0 {
            return found(Separators::one(bytes(given)?), search);
        }
        let mut several = Vec::new();
        for i in 0..ffi::PyTuple_GET_SIZE(given) {
            several.push(bytes(ffi::PyTuple_GET_ITEM(given, i))?);
        }
        found(Separators::new(several), search)
    }
}

/// The content of a separator.
unsafe fn bytes<'a>(separator: *mut PyObject) -> Res<&'a [u8]> {
    // SAFETY: alive as long as the slice is used, says the caller, and no Python code runs
    // meanwhile that could change a bytearray.
    unsafe {
        let (start, length) = if ffi::PyBytes_Check(separator) != 0 {
            (ffi::PyBytes_AS_STRING(separator), ffi::Py_SIZE(separator))
        } else if ffi::PyByteArray_Check(separator) != 0 {
            (
                ffi::PyByteArray_AsString(separator).cast_const(),
                ffi::PyByteArray_Size(separator),
            )
        } else {
            let name = type_name(separator);
            return Err(type_error(&format!(
                "argument should be integer or bytes-like object, not '{name}'"
            )));
        };
        Ok(core::slice::from_raw_parts(start.cast(), length as usize))
    }
}

fn overrun_text(overrun: Overrun) -> &'static str {
    if overrun.found {
        "Separator is found, but chunk is longer than limit"
    } else {
        "Separator is not found, and chunk exceed the limit"
    }
}

/// `raise LimitOverrunError(text, consumed)`
#[cold]
fn too_long(overrun: Overrun) -> Raised {
    let make = || {
        let text = Ref::str(overrun_text(overrun))?;
        let consumed = Ref::int(overrun.consumed as i64)?;
        ERRORS.get().overrun.call(&[text.ptr(), consumed.ptr()])
    };
    match make() {
        Ok(error) => crate::object::raise_instance(error),
        Err(raised) => raised,
    }
}

/// `raise IncompleteReadError(partial, expected)`
#[cold]
fn incomplete(partial: Ref, expected: Ref) -> Raised {
    match ERRORS
        .get()
        .incomplete
        .call(&[partial.ptr(), expected.ptr()])
    {
        Ok(error) => crate::object::raise_instance(error),
        Err(raised) => raised,
    }
}

/// Finds the exceptions; called once by the module's initialisation.
pub(super) unsafe fn init() -> Res<()> {
    let exceptions = import(c"asyncio.exceptions")?;
    let named = |name| exceptions.attr(Ref::str(name)?.ptr());
    let errors = Errors {
        incomplete: named("IncompleteReadError")?,
        overrun: named("LimitOverrunError")?,
    };
    // SAFETY: called once, before any reader, says the caller.
    unsafe { ERRORS.set(errors) };
    Ok(())
}
