//! The attributes of the `rasyncio` crate.
