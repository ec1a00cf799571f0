//! From the pipe to the protocol. What the protocol raises harms nothing: it is reported like any
//! callback's.

use rasyncio::transports::stream::{MAX_RECEIVE, Received};

use super::super::closing::{closed, failed};
use super::super::object::TransportObject;
use super::super::reading::receive;
use super::descriptor::pipe;
use super::log_info;
use crate::event_loop;
use crate::names::names;
use crate::object::{Ref, Res, call_method};
use crate::streams;

const FATAL: &str = "Fatal read error on pipe transport";

/// The pipe is readable, and the protocol wants data.
pub(in super::super) unsafe fn read_ready(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; the protocol is held over the calls.
    unsafe {
        let Some(protocol) = Ref::borrow_opt((*this).protocol) else {
            return Ok(());
        };
        let last = (*this).last_reads.get();
        match receive(pipe(this), last, MAX_RECEIVE)? {
            (Received::Data(count), Some(data)) => {
                (*this).last_reads.set(last.and(count, &data));
                if streams::is_direct_protocol(protocol.ptr()) {
                    return streams::data_received(protocol.ptr(), data.ptr());
                }
                call_method(protocol.ptr(), names().data_received, &[data.ptr()]).map(drop)
            }
            (Received::Eof, _) => end_of_file(this, &protocol),
            (Received::Failed(error), _) => failed(this, event_loop::os_error(&error), FATAL),
            (Received::Blocked | Received::Data(_), _) => Ok(()),
        }
    }
}

/// All writers have closed it. The protocol hears of that in the next turn, and then of the end.
unsafe fn end_of_file(this: *mut TransportObject, protocol: &Ref) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        log_info(this, "%r was closed by peer")?;
        let loop_ = Ref::borrow_opt((*this).loop_).unwrap_or_else(Ref::none);
        let closing = TransportObject::state(this).eof(false);
        let told = protocol.attr(names().eof_received)?;
        loop_.call_method(names().call_soon, &[told.ptr()])?;
        closed(this, closing)
    }
}
