//! What connecting to several addresses has failed with.

use std::error::Error;
use std::fmt;
use std::io;

/// What connecting to several addresses has failed with, inside of an [`io::Error`].
///
/// ```
/// use rasyncio::connect::{Builder, ConnectErrors};
///
/// rasyncio::run(async {
///     let error = Builder::new().all_errors(true).connect("127.0.0.1:1").await.unwrap_err();
///     for error in ConnectErrors::of(&error).unwrap() {
///         assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
///     }
/// });
/// ```
#[derive(Debug)]
pub struct ConnectErrors {
    errors: Vec<io::Error>,
}

impl ConnectErrors {
    /// The errors inside of one, if it has some.
    ///
    /// ```
    /// use rasyncio::connect::{Builder, ConnectErrors};
    ///
    /// rasyncio::run(async {
    ///     let error = Builder::new().all_errors(true).connect("127.0.0.1:1").await.unwrap_err();
    ///     assert!(ConnectErrors::of(&error).is_some());
    /// });
    /// ```
    pub fn of(error: &io::Error) -> Option<&[io::Error]> {
        let errors: &ConnectErrors = error.get_ref()?.downcast_ref()?;
        Some(&errors.errors)
    }

    pub(super) fn sum_up(mut errors: Vec<io::Error>, all: bool) -> io::Error {
        let same = errors
            .windows(2)
            .all(|pair| pair[0].to_string() == pair[1].to_string());
        if same && !all {
            return errors.swap_remove(0);
        }
        let kind = errors[0].kind();
        io::Error::new(kind, ConnectErrors { errors })
    }
}

impl fmt::Display for ConnectErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Multiple exceptions: ")?;
        for (place, error) in self.errors.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{error}")?;
        }
        Ok(())
    }
}

impl Error for ConnectErrors {}
