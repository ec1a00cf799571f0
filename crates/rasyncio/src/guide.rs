//! For those who know something like it already.

#[doc = include_str!("../docs/from_python.md")]
pub mod from_python {}

#[doc = include_str!("../docs/from_tokio.md")]
pub mod from_tokio {}
