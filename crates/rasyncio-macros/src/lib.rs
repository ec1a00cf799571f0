//! The attributes of the `rasyncio` crate, which re-exports and documents them:
//! `#[rasyncio::main]` and `#[rasyncio::test]`.

use proc_macro::TokenStream;

mod expand;
mod options;
#[cfg(test)]
mod tests;

/// The function, which takes no arguments, becomes a plain one that hands its body to `rasyncio::run`.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::main(options.into(), item.into()).into()
}

/// The function, which takes no arguments, becomes a `#[test]` that hands its body to
/// `rasyncio::runners::run_virtual`. Other attributes, such as `#[should_panic]`, stay.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::test(options.into(), item.into()).into()
}
