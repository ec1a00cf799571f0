//! The attributes of a future, public and private, that programs and the standard library read.

use pyo3::ffi::{self, PyObject};

use super::object::{self, FutureObject, State};
use super::{awaited_by, class, state};
use crate::object::{Ref, Res, raise, value_error};
use crate::types::TypeBuilder;

/// Adds them to the class.
pub(super) fn add(builder: TypeBuilder) -> TypeBuilder {
    builder
        .get(c"__class__", class::get_class)
        .get(c"_state", get_state)
        .property(
            c"_asyncio_future_blocking",
            get_blocking,
            Some(set_blocking),
        )
        .get(c"_asyncio_awaited_by", get_awaited_by)
        .get(c"_loop", get_loop_attr)
        .get(c"_callbacks", get_callbacks)
        .get(c"_result", get_result_attr)
        .get(c"_exception", get_exception_attr)
        .property(
            c"_log_traceback",
            get_log_traceback,
            Some(set_log_traceback),
        )
        .get(c"_source_traceback", get_source_traceback)
        .property(
            c"_cancel_message",
            get_cancel_message,
            Some(set_cancel_message),
        )
}

getter!(get_state, |fut: FutureObject| Ref::str(
    match (*fut).state {
        State::Pending => "PENDING",
        State::Cancelled => "CANCELLED",
        State::Result | State::Exception => "FINISHED",
    }
));
getter!(get_blocking, |fut: FutureObject| Ok(Ref::bool(
    !(*fut).loop_.is_null() && (*fut).blocking
)));
getter!(get_loop_attr, |fut: FutureObject| Ok(Ref::borrow_opt(
    (*fut).loop_
)
.unwrap_or_else(Ref::none)));
getter!(get_log_traceback, |fut: FutureObject| Ok(Ref::bool(
    (*fut).log_traceback
)));
getter!(get_source_traceback, |fut: FutureObject| Ok(
    FutureObject::rare(fut, |rare| &rare.source_traceback).unwrap_or_else(Ref::none)
));
getter!(get_cancel_message, |fut: FutureObject| Ok(
    FutureObject::rare(fut, |rare| &rare.cancel_message).unwrap_or_else(Ref::none)
));
getter!(get_result_attr, |fut: FutureObject| Ok(
    match (*fut).state {
        State::Result => Ref::borrow((*fut).value),
        _ => Ref::none(),
    }
));
getter!(get_exception_attr, |fut: FutureObject| Ok(
    match (*fut).state {
        State::Exception => Ref::borrow((*fut).value),
        _ => Ref::none(),
    }
));
getter!(get_callbacks, |fut: FutureObject| {
    if FutureObject::is_done(fut) || (*fut).callbacks.is_empty() {
        return Ok(Ref::none());
    }
    let list = Ref::list()?;
    let pairs: Res<Vec<Ref>> = (*fut).callbacks.iter().map(object::callback_pair).collect();
    for pair in pairs? {
        crate::object::check(ffi::PyList_Append(list.ptr(), pair.ptr()))?;
    }
    Ok(list)
});
getter!(get_awaited_by, |fut: FutureObject| awaited_by::all(fut));

setter!(set_blocking, |this: FutureObject, value| {
    state::ensure_alive(this)?;
    refuse_delete(value)?;
    (*this).blocking = Ref::borrow(value).truth()?;
    Ok(())
});

setter!(set_log_traceback, |this: FutureObject, value| {
    refuse_delete(value)?;
    if Ref::borrow(value).truth()? {
        return Err(value_error("_log_traceback can only be set to False"));
    }
    (*this).log_traceback = false;
    Ok(())
});

setter!(set_cancel_message, |this: FutureObject, value| {
    refuse_delete(value)?;
    state::set_cancel_message(this, value);
    Ok(())
});

pub(crate) fn refuse_delete(value: *mut PyObject) -> Res<()> {
    if value.is_null() {
        // SAFETY: a static exception class.
        return Err(unsafe { raise(ffi::PyExc_AttributeError, "cannot delete attribute") });
    }
    Ok(())
}
