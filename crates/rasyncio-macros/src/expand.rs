//! What the attributes make of a function.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, ItemFn};

use crate::options::{Clock, Options};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Main,
    Test,
}

impl Attribute {
    fn name(self) -> &'static str {
        match self {
            Attribute::Main => "#[rasyncio::main]",
            Attribute::Test => "#[rasyncio::test]",
        }
    }

    fn clock(self) -> Clock {
        match self {
            Attribute::Main => Clock::Real,
            Attribute::Test => Clock::Virtual,
        }
    }
}

pub(crate) fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(Attribute::Main, options, item)
}

pub(crate) fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(Attribute::Test, options, item)
}

fn expand(attribute: Attribute, options: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = syn::parse2::<Options>(options.clone()).and_then(|parsed| {
        let clock = parsed.clock.unwrap_or(attribute.clock());
        let interruptible = parsed.interruptible == Some(true);
        if attribute == Attribute::Test && parsed.interruptible.is_some() {
            // Ctrl-C ends the process that runs all the tests, whatever one of them wants.
            let message = "`interruptible` is for #[rasyncio::main]";
            return Err(Error::new_spanned(options, message));
        }
        if interruptible && clock == Clock::Virtual {
            // Nobody presses a key on virtual time.
            let message = "what is interruptible runs on the clock \"real\"";
            return Err(Error::new_spanned(options, message));
        }
        let run = match (clock, interruptible) {
            (Clock::Virtual, _) => quote!(runners::run_virtual),
            (Clock::Real, false) => quote!(run),
            (Clock::Real, true) => quote!(runners::run_or_end),
        };
        let function = check(attribute.name(), item)?;
        Ok(rewrite(function, attribute, &run, parsed.debug))
    });
    expanded.unwrap_or_else(Error::into_compile_error)
}

fn check(attribute: &str, item: TokenStream) -> syn::Result<ItemFn> {
    let function: ItemFn = syn::parse2(item)?;
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
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &signature.generics,
            format!("the function under {attribute} is not generic"),
        ));
    }
    Ok(function)
}

fn rewrite(
    mut function: ItemFn,
    attribute: Attribute,
    run: &TokenStream,
    debug: Option<bool>,
) -> TokenStream {
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
    let body = match debug {
        None => quote!(__rasyncio_body()),
        Some(debug) => quote!(async {
            ::rasyncio::events::set_debug(#debug);
            __rasyncio_body().await
        }),
    };
    let extra = (attribute == Attribute::Test).then(|| quote!(#[::core::prelude::v1::test]));
    let call = quote_spanned!(block.span()=> ::rasyncio::#run(#body));
    quote! {
        #(#attrs)*
        #extra
        #vis #sig {
            async fn __rasyncio_body() #output #block
            #call
        }
    }
}
