//! Socket objects that do not block.

use core::ffi::c_int;

use pyo3::ffi;

use crate::audit;
use crate::names::names;
use crate::object::{Ref, Res};

/// A socket of that class which does not block, and knows it; over a descriptor, or a new one.
///
/// The flag beside the kind tells it so. Audit hooks would see the flag, and asyncio has none there: for
/// them it is told afterwards. The descriptor given stays the caller's if this fails.
pub(crate) fn open(class: &Ref, kind: [c_int; 3], number: Option<c_int>) -> Res {
    let is_heard = audit::is_heard();
    let [family, kind, proto] = kind;
    let kind = match is_heard {
        true => kind & !libc::SOCK_NONBLOCK,
        false => kind | libc::SOCK_NONBLOCK,
    };
    let mut given = Vec::with_capacity(4);
    for number in [Some(family), Some(kind), Some(proto), number]
        .into_iter()
        .flatten()
    {
        given.push(Ref::int(i64::from(number))?);
    }
    let arguments: Vec<_> = given.iter().map(Ref::ptr).collect();
    let sock = class.call(&arguments)?;
    if is_heard {
        // SAFETY: an object that lives for ever.
        let told = sock.call_method(names().setblocking, &[unsafe { ffi::Py_False() }]);
        if let Err(raised) = told {
            let error = crate::object::take_raised(raised);
            if number.is_some() {
                drop(sock.call_method(names().detach, &[]));
            }
            return Err(crate::object::raise_instance(error));
        }
    }
    Ok(sock)
}
