//! The kinds of record in the key space. A key's first byte says its kind, so all of them stand here, where no two can collide.

/// A kind of record. The number is stored: never change or reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Table {
    /// The store's own format number. `()` → format, position of a running migration.
    Format = 0,
    // Add a line for each kind of record: its key, an arrow, what it holds. Ranges: 1 to 99 what both roles share, 100 to 169 the
    // coordinator, 170 to 239 the agent.
    /// Records of this module's own tests.
    #[cfg(test)]
    Test = 250,
    /// More records of this module's own tests.
    #[cfg(test)]
    TestIndex = 251,
}

impl Table {
    /// Returns the first byte of each of its keys.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }
}
