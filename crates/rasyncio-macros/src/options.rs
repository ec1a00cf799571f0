//! What can be said in the brackets of an attribute.

use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitBool, LitStr, Token};

/// `debug`, `debug = true`, `clock = "real"`, `clock = "virtual"`, `interruptible`,
/// `interruptible = true`, with commas in between.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) debug: Option<bool>,
    pub(crate) clock: Option<Clock>,
    pub(crate) interruptible: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Real,
    Virtual,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Options> {
        let mut options = Options::default();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            let before = match name.to_string().as_str() {
                "debug" => options.debug.replace(flag(input)?).is_some(),
                "clock" => options.clock.replace(clock(input)?).is_some(),
                "interruptible" => options.interruptible.replace(flag(input)?).is_some(),
                other => {
                    let message = format!(
                        "there is no option `{other}`; there are `debug`, `clock` and `interruptible`"
                    );
                    return Err(Error::new(name.span(), message));
                }
            };
            if before {
                return Err(Error::new(name.span(), format!("`{name}` is said twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

fn flag(input: ParseStream<'_>) -> syn::Result<bool> {
    if !input.peek(Token![=]) {
        return Ok(true);
    }
    input.parse::<Token![=]>()?;
    Ok(input.parse::<LitBool>()?.value)
}

fn clock(input: ParseStream<'_>) -> syn::Result<Clock> {
    input.parse::<Token![=]>()?;
    let clock: LitStr = input.parse()?;
    match clock.value().as_str() {
        "real" => Ok(Clock::Real),
        "virtual" => Ok(Clock::Virtual),
        other => Err(Error::new(
            clock.span(),
            format!("there is no clock \"{other}\"; there are \"real\" and \"virtual\""),
        )),
    }
}
