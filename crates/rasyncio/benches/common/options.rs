//! What a benchmark is told on its command line.

use std::env;

/// `[WORD...] [--only NAME] [--rounds N] [--operations N]`
pub(crate) struct Options {
    /// Parts of the names of rows; none: all rows.
    words: Vec<String>,
    /// The only contestant to run.
    pub(crate) only: Option<String>,
    pub(crate) rounds: usize,
    pub(crate) operations: Option<u32>,
}

impl Options {
    pub(crate) fn from_arguments(rounds: usize) -> Options {
        let mut options = Options {
            words: Vec::new(),
            only: None,
            rounds,
            operations: None,
        };
        let mut arguments = env::args().skip(1);
        let number = "a number follows";
        while let Some(argument) = arguments.next() {
            let mut next = || arguments.next().expect("a value follows");
            match &*argument {
                // Cargo says so.
                "--bench" => {}
                "--only" => options.only = Some(next()),
                "--rounds" => options.rounds = next().parse().expect(number),
                "--operations" => options.operations = Some(next().parse().expect(number)),
                _ => options.words.push(argument),
            }
        }
        options
    }

    pub(crate) fn wants(&self, row: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| row.contains(&**word))
    }
}
