//! What the compiler is told, right or wrong. That it works is shown by the tests of `rasyncio`.

use proc_macro2::TokenStream;
use quote::quote;

use crate::expand::{main, test};

/// The text of the error, if that is what it is.
fn error(expanded: TokenStream) -> Option<String> {
    let text = expanded.to_string();
    let (_, rest) = text.split_once("compile_error ! {")?;
    let literal: syn::LitStr = syn::parse_str(rest.trim().strip_suffix('}')?.trim()).ok()?;
    Some(literal.value())
}

#[test]
fn a_function_that_is_not_async_is_refused() {
    let message = error(main(
        quote!(),
        quote!(
            fn main() {}
        ),
    ));
    assert_eq!(message.unwrap(), "#[rasyncio::main] goes on an `async fn`");
}

#[test]
fn a_function_with_arguments_is_refused() {
    let message = error(test(
        quote!(),
        quote!(
            async fn it(_: u8) {}
        ),
    ));
    let expected = "the function under #[rasyncio::test] takes no arguments";
    assert_eq!(message.unwrap(), expected);
}

#[test]
fn a_generic_function_is_refused() {
    let message = error(test(
        quote!(),
        quote!(
            async fn it<T>() {}
        ),
    ));
    let expected = "the function under #[rasyncio::test] is not generic";
    assert_eq!(message.unwrap(), expected);
}

#[test]
fn what_is_no_function_is_refused() {
    assert!(
        error(main(
            quote!(),
            quote!(
                struct Main;
            )
        ))
        .is_some()
    );
}

#[test]
fn an_unknown_option_is_named_beside_those_there_are() {
    let message = error(main(
        quote!(flavor = "current_thread"),
        quote!(
            async fn main() {}
        ),
    ));
    let expected = "there is no option `flavor`; there are `debug`, `clock` and `interruptible`";
    assert_eq!(message.unwrap(), expected);
}

#[test]
fn an_unknown_clock_is_named_beside_those_there_are() {
    let message = error(test(
        quote!(clock = "sundial"),
        quote!(
            async fn it() {}
        ),
    ));
    let expected = "there is no clock \"sundial\"; there are \"real\" and \"virtual\"";
    assert_eq!(message.unwrap(), expected);
}

#[test]
fn an_option_is_said_once() {
    let message = error(main(
        quote!(debug, debug = false),
        quote!(
            async fn main() {}
        ),
    ));
    assert_eq!(message.unwrap(), "`debug` is said twice");
}

#[test]
fn a_main_runs_on_real_time_and_a_test_on_virtual_time_unless_said() {
    let run = |expanded: TokenStream| {
        let text = expanded.to_string().replace(' ', "");
        assert!(!text.contains("compile_error"), "{text}");
        text.contains("::rasyncio::runners::run_virtual(")
    };
    let item = quote!(
        async fn it() {}
    );
    assert!(!run(main(quote!(), item.clone())));
    assert!(run(test(quote!(), item.clone())));
    assert!(run(main(quote!(clock = "virtual"), item.clone())));
    assert!(!run(test(quote!(debug, clock = "real",), item)));
}

#[test]
fn a_test_is_not_interruptible() {
    let item = quote!(
        async fn it() {}
    );
    let refused = error(test(quote!(interruptible, clock = "real"), item));
    assert_eq!(refused.unwrap(), "`interruptible` is for #[rasyncio::main]");
}

#[test]
fn what_is_interruptible_runs_on_real_time() {
    let item = quote!(
        async fn it() {}
    );
    let expected = "what is interruptible runs on the clock \"real\"";
    let refused = error(main(quote!(interruptible, clock = "virtual"), item.clone()));
    assert_eq!(refused.unwrap(), expected);

    let runs_so = |options| {
        let text = main(options, item.clone()).to_string().replace(' ', "");
        text.contains("::rasyncio::runners::run_or_end(")
    };
    assert!(runs_so(quote!(interruptible)));
    assert!(runs_so(quote!(debug, interruptible = true)));
    assert!(!runs_so(quote!(interruptible = false)));
}
