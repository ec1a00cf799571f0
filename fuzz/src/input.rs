//! Bytes as a source of decisions.

/// What is left of the input. At its end every number is 0.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// A number that is mostly small, and may be some ten thousands.
    pub(crate) fn size(&mut self) -> usize {
        match self.byte() {
            few @ 0..=199 => usize::from(few),
            some @ 200..=249 => usize::from(some - 199) * 100,
            many => usize::from(many - 249) * 10_000,
        }
    }

    /// Up to `most` bytes as they are.
    pub(crate) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
