//! Looking for separators in bytes that come bit by bit, with asyncio's rules about the limit.

use std::error::Error;
use std::fmt;

use memchr::memmem::Finder;

/// What ends a message: one separator or several, of which the one wins whose match ends first,
/// and of two that end together the shorter one.
///
/// ```
/// use rasyncio::streams::search::{Found, Search, Separators};
///
/// let separators = Separators::new([&b"\r\n"[..], &b"\n"[..]])?;
/// let mut search = Search::new();
/// assert_eq!(search.look(&separators, b"hello\r", 100), Ok(None));
/// let found = search.look(&separators, b"hello\r\nworld", 100);
/// assert_eq!(found, Ok(Some(Found { start: 6, end: 7 })));
/// # Ok::<_, rasyncio::streams::search::SeparatorError>(())
/// ```
pub struct Separators<'a> {
    /// Shortest first, so that of two matches with the same end the shorter one wins.
    finders: Finders<'a>,
    shortest: usize,
    longest: usize,
}

#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack for one reading"
)]
enum Finders<'a> {
    /// `readline`, and most protocols of lines.
    Byte(u8),
    One(Finder<'a>),
    Several(Vec<Finder<'a>>),
}

/// What cannot separate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeparatorError {
    /// There is no separator.
    None,
    /// One of them is empty.
    Empty,
}

/// Where a separator was found: it is `start..end`, and the message with it is `..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where the separator begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// The message is longer than the limit (asyncio's `LimitOverrunError`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// Whether a separator was found at all. If so, it begins after `consumed` bytes.
    pub found: bool,
    /// How many bytes from the beginning are not part of a separator.
    pub consumed: usize,
}

impl<'a> Separators<'a> {
    /// Prepares to look for these.
    ///
    /// # Errors
    ///
    /// If there are none, or one is empty.
    pub fn new(
        separators: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Separators<'a>, SeparatorError> {
        let mut all: Vec<&[u8]> = separators.into_iter().collect();
        all.sort_by_key(|separator| separator.len());
        let (Some(shortest), Some(longest)) = (all.first(), all.last()) else {
            return Err(SeparatorError::None);
        };
        if shortest.is_empty() {
            return Err(SeparatorError::Empty);
        }
        let (shortest, longest) = (shortest.len(), longest.len());
        let finders = match &all[..] {
            [one] => Finders::one(one),
            _ => Finders::Several(all.into_iter().map(Finder::new).collect()),
        };
        Ok(Separators {
            finders,
            shortest,
            longest,
        })
    }

    /// Prepares to look for one.
    ///
    /// # Errors
    ///
    /// If it is empty.
    pub fn one(separator: &'a [u8]) -> Result<Separators<'a>, SeparatorError> {
        if separator.is_empty() {
            return Err(SeparatorError::Empty);
        }
        Ok(Separators {
            finders: Finders::one(separator),
            shortest: separator.len(),
            longest: separator.len(),
        })
    }

    /// The end of a line.
    pub const fn newline() -> Separators<'static> {
        Separators {
            finders: Finders::Byte(b'\n'),
            shortest: 1,
            longest: 1,
        }
    }

    fn find(&self, bytes: &[u8]) -> Option<Found> {
        match &self.finders {
            Finders::Byte(byte) => memchr::memchr(*byte, bytes).map(|start| Found {
                start,
                end: start + 1,
            }),
            Finders::One(finder) => find(finder, bytes),
            Finders::Several(finders) => {
                let mut first: Option<Found> = None;
                for finder in finders {
                    // A match that ends later is of no use.
                    let bytes = &bytes[..first.map_or(bytes.len(), |found| found.end - 1)];
                    first = find(finder, bytes).or(first);
                }
                first
            }
        }
    }
}

impl<'a> Finders<'a> {
    fn one(separator: &'a [u8]) -> Finders<'a> {
        match separator {
            [byte] => Finders::Byte(*byte),
            separator => Finders::One(Finder::new(separator)),
        }
    }
}

fn find(finder: &Finder<'_>, bytes: &[u8]) -> Option<Found> {
    finder.find(bytes).map(|start| Found {
        start,
        end: start + finder.needle().len(),
    })
}

/// One search, from the first look to the last. In between the bytes may only grow at the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Search {
    /// No separator begins before this.
    offset: usize,
}

impl Search {
    /// A search that has not looked yet.
    pub const fn new() -> Search {
        Search { offset: 0 }
    }

    /// Looks through what has come since. `None`: more is needed. The limit is asyncio's: the
    /// longest message, without its separator, in bytes.
    ///
    /// # Errors
    ///
    /// If the message is longer than `limit`, or has become so without a separator in sight.
    pub fn look(
        &mut self,
        separators: &Separators<'_>,
        bytes: &[u8],
        limit: usize,
    ) -> Result<Option<Found>, Overrun> {
        if bytes.len().saturating_sub(self.offset) < separators.shortest {
            return Ok(None);
        }
        if let Some(found) = separators.find(&bytes[self.offset..]) {
            let found = Found {
                start: found.start + self.offset,
                end: found.end + self.offset,
            };
            if found.start > limit {
                return Err(Overrun {
                    found: true,
                    consumed: found.start,
                });
            }
            return Ok(Some(found));
        }
        // The longest separator may have come but for its last byte.
        self.offset = (bytes.len() + 1).saturating_sub(separators.longest);
        if self.offset > limit {
            return Err(Overrun {
                found: false,
                consumed: self.offset,
            });
        }
        Ok(None)
    }
}

impl fmt::Debug for Separators<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Separators")
            .field("shortest", &self.shortest)
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SeparatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SeparatorError::None => "Separator should contain at least one element",
            SeparatorError::Empty => "Separator should be at least one-byte string",
        })
    }
}

impl Error for SeparatorError {}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.found {
            "Separator is found, but chunk is longer than limit"
        } else {
            "Separator is not found, and chunk exceed the limit"
        })
    }
}

impl Error for Overrun {}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(separators: &[&'static [u8]]) -> Separators<'static> {
        Separators::new(separators.iter().copied()).unwrap()
    }

    #[test]
    fn the_match_that_ends_first_wins() {
        let separators = all(&[b"abcd", b"bc", b"xyz"]);
        let found = Search::new().look(&separators, b"__abcd", 100);
        assert_eq!(found, Ok(Some(Found { start: 3, end: 5 })));
        let separators = all(&[b"ab", b"b"]);
        let found = Search::new().look(&separators, b"ab", 100);
        assert_eq!(found, Ok(Some(Found { start: 1, end: 2 })));
    }

    #[test]
    fn a_separator_may_come_in_two_parts() {
        let separators = all(&[b"END"]);
        let mut search = Search::new();
        assert_eq!(search.look(&separators, b"text EN", 100), Ok(None));
        assert_eq!(search.offset, 5);
        let found = search.look(&separators, b"text END", 100);
        assert_eq!(found, Ok(Some(Found { start: 5, end: 8 })));
    }

    #[test]
    fn the_limit_does_not_count_the_separator() {
        let separators = all(&[b"--"]);
        let look = |bytes, limit| Search::new().look(&separators, bytes, limit);
        assert_eq!(look(b"abc--", 3), Ok(Some(Found { start: 3, end: 5 })));
        let found = Overrun {
            found: true,
            consumed: 3,
        };
        assert_eq!(look(b"abc--", 2), Err(found));
        assert_eq!(look(b"abcd", 3), Ok(None));
        let missing = Overrun {
            found: false,
            consumed: 4,
        };
        assert_eq!(look(b"abcde", 3), Err(missing));
    }

    #[test]
    fn there_must_be_something_to_look_for() {
        assert_eq!(Separators::new([]).unwrap_err(), SeparatorError::None);
        assert_eq!(Separators::one(b"").unwrap_err(), SeparatorError::Empty);
        let one_empty = Separators::new([&b"a"[..], b""]);
        assert_eq!(one_empty.unwrap_err(), SeparatorError::Empty);
    }

    /// asyncio's rules on all bytes that there are.
    fn model(separators: &[Vec<u8>], bytes: &[u8]) -> Option<Found> {
        (1..=bytes.len()).find_map(|end| {
            separators
                .iter()
                .filter(|separator| bytes[..end].ends_with(separator))
                .map(|separator| Found {
                    start: end - separator.len(),
                    end,
                })
                .max_by_key(|found| found.start)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_same_is_found_however_it_comes(
            separators in prop::collection::vec(prop::collection::vec(0u8..3, 1..4), 1..4),
            bytes in prop::collection::vec(0u8..3, 0..40),
            cuts in prop::collection::vec(1usize..6, 1..40),
        ) {
            let prepared = Separators::new(separators.iter().map(|it| &it[..])).unwrap();
            let mut search = Search::new();
            let mut seen = 0;
            for cut in cuts {
                seen = (seen + cut).min(bytes.len());
                let found = search.look(&prepared, &bytes[..seen], usize::MAX).unwrap();
                prop_assert_eq!(found, model(&separators, &bytes[..seen]));
                if found.is_some() { break; }
            }
        }

        #[test]
        fn the_limit_holds(
            bytes in prop::collection::vec(0u8..3, 0..40),
            limit in 0usize..20,
        ) {
            let separator = [vec![1, 2]];
            let prepared = Separators::one(&separator[0]).unwrap();
            let looked = Search::new().look(&prepared, &bytes, limit);
            match (looked, model(&separator, &bytes)) {
                (Ok(Some(found)), expected) => {
                    prop_assert_eq!(Some(found), expected);
                    prop_assert!(found.start <= limit);
                }
                (Ok(None), expected) => {
                    prop_assert_eq!(expected, None);
                    prop_assert!(bytes.len() <= limit + 1);
                }
                (Err(Overrun { found: true, consumed }), expected) => {
                    prop_assert_eq!(expected.unwrap().start, consumed);
                    prop_assert!(consumed > limit);
                }
                (Err(Overrun { found: false, consumed }), expected) => {
                    prop_assert_eq!(expected, None);
                    prop_assert_eq!(consumed, bytes.len() - 1);
                    prop_assert!(consumed > limit);
                }
            }
        }
    }
}
