//! The attributes of the `rasyncio` crate, which re-exports and documents them:
//! `#[rasyncio::main]` and `#[rasyncio::test]`.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, ItemFn};

/// The attribute takes no arguments, and neither does the function, which becomes a plain one
/// that hands its body to `rasyncio::run`.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(
        "#[rasyncio::main]",
        &arguments.into(),
        item,
        &quote!(),
        &quote!(run),
    )
}

/// The attribute takes no arguments, and neither does the function, which becomes a `#[test]`
/// that hands its body to `rasyncio::runners::run_virtual`. Other attributes, such as
/// `#[should_panic]`, stay.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(
        "#[rasyncio::test]",
        &arguments.into(),
        item,
        &quote!(#[::core::prelude::v1::test]),
        &quote!(runners::run_virtual),
    )
}

fn expand(
    attribute: &str,
    arguments: &Tokens,
    item: TokenStream,
    extra: &Tokens,
    run: &Tokens,
) -> TokenStream {
    match check(attribute, arguments, item) {
        Ok(function) => rewrite(function, extra, run).into(),
        Err(error) => error.into_compile_error().into(),
    }
}

fn check(attribute: &str, arguments: &Tokens, item: TokenStream) -> syn::Result<ItemFn> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(
            arguments,
            format!("{attribute} takes no arguments"),
        ));
    }
    let function: ItemFn = syn::parse(item)?;
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        return Err(Error::new_spanned(
            signature.fn_token,
            format!("{attribute} goes on an `async fn`"),
        ));
    }
    if !signature.inputs.is_empty() {
        return Err(Error::new_spanned(
            &signature.inputs,
            format!("the function under {attribute} takes no arguments"),
        ));
    }
    Ok(function)
}

fn rewrite(mut function: ItemFn, extra: &Tokens, run: &Tokens) -> Tokens {
    function.sig.asyncness = None;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = &function;
    // Inside an async block, the compiler would look for the type of the output in the wrong
    // place; an inner function tells it, and keeps `return` and `?` working. Its name must not
    // hide one that the block uses.
    let output = &sig.output;
    let call = quote_spanned!(block.span()=> ::rasyncio::#run(__rasyncio_body()));
    quote! {
        #(#attrs)*
        #extra
        #vis #sig {
            async fn __rasyncio_body() #output #block
            #call
        }
    }
}
