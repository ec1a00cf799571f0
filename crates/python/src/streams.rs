//! `asyncio.StreamReader` and `StreamWriter`, and what is hot of the protocol between them and
//! a transport.
//!
//! What has come, what separates it, and when the transport has to pause is decided in
//! `rasyncio::streams`; here are coroutines over it. The classes are bases of those in
//! `rasyncio.streams`, which add in Python what is cold.
//!
//! ```text
//! piece.rs      bytes that have come
//! reader.rs     the reader: feeding it, its life as an object
//! reading.rs    its coroutines
//! methods.rs    the reader as Python sees it
//! writer.rs     the writer
//! protocol.rs   from the transport to the reader
//! ```

mod methods;
mod piece;
mod protocol;
mod reader;
mod reading;
mod writer;

pub(crate) use protocol::{
    data_received, is_direct as is_direct_protocol, is_protocol, wake_puller,
};

use pyo3::ffi::PyObject;

use crate::object::Res;

/// Makes the classes; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: `module` is the module being initialised, says the caller.
    unsafe {
        reading::init()?;
        methods::init(module)?;
        protocol::init(module)?;
        writer::init(module)
    }
}
